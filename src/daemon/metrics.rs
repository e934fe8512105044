//! The page of metrics: what parts count of themselves, and what the status says anyway.

use std::{fs, net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use tokio::{net::TcpListener, sync::watch};
use tracing::info;

use crate::access::Gate;
use crate::bus::{Kind, Outbox};
use crate::control::{
    Operations,
    protocol::{Component, State, Status},
};
use crate::hub::{
    MetricsDoor,
    listen::{self, ConnectionLimits, Connections, Listener},
};
use crate::metrics::Page;
use crate::shutdown::TaskGroup;

use super::{
    exit::StartError,
    operator::{Inner, Operator},
};

/// Connections of those who scrape: one or two.
const SCRAPERS: usize = 16;

/// Every state, so that each component has one series for each.
const STATES: [State; 10] = [
    State::Ready,
    State::Starting,
    State::Adopting,
    State::Degraded,
    State::Backoff,
    State::CrashLoop,
    State::Blocked,
    State::Stopping,
    State::Stopped,
    State::Off,
];

/// Parts that operators ask for nothing but their counts.
pub(super) struct Counted {
    /// Of the local listener.
    pub connections: Connections,
    /// Of the ingress.
    pub outside: Connections,
    /// What is still to be told to other hubs.
    pub outbox: Outbox,
    /// How often events of other hubs were missed.
    pub resyncs: Option<watch::Receiver<(u64, &'static str)>>,
}

/// Takes the address that the configuration opens for Prometheus, if it opens one. The configuration lets only loopback
/// addresses be.
pub(super) fn bind(address: Option<SocketAddr>) -> Result<Option<TcpListener>, StartError> {
    let Some(address) = address else { return Ok(None) };
    let bound = listen::bind(&[address.ip()], address.port())?;
    Ok(bound.into_iter().next())
}

/// Where a bound listener is read.
pub(super) fn address(listener: &TcpListener) -> Option<String> {
    let address = listener.local_addr().ok()?;
    Some(format!("http://{address}/metrics"))
}

/// Serves the page there, with connections of its own: it is read even while clients have taken all of theirs.
pub(super) fn serve(
    listener: Option<TcpListener>,
    operator: &Operator,
    gate: &Arc<ArcSwap<Gate>>,
    listeners: &TaskGroup,
) -> Connections {
    let connections = Connections::new(ConnectionLimits {
        connections: SCRAPERS,
        ..ConnectionLimits::default()
    });
    if let Some(listener) = listener {
        info!(address = address(&listener), "metrics can be read");
        let operator = operator.clone();
        let page = move || {
            let operator = operator.clone();
            async move { operator.metrics().await }
        };
        let (serving, door) = (connections.clone(), MetricsDoor::new(gate.clone(), page));
        listeners.spawn("metrics", move |stop| {
            serving.accept(Listener::Tcp(listener), door, stop)
        });
    }
    connections
}

/// All of it. `status` is as it was just now.
pub(super) fn page(of: &Inner, status: &Status) -> String {
    let page = Page::new();
    of.hub.traffic().show(&page);
    of.hub.bus().show(&page);
    of.stock.store.database().meters().show(&page);
    status_of_parts(&page, status);
    status_of_work(&page, status);
    hub(&page, of, status);
    bus(&page, of);
    store(&page, of);
    page.text()
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1e3
}

/// The daemon and what it keeps running.
fn status_of_parts(page: &Page, status: &Status) {
    let release = status.daemon.release.as_str();
    page.gauges(
        "maestro_build_info",
        "The release that runs",
        ["version"],
        [([release], 1.0)],
    );
    page.gauge(
        "maestro_start_time_seconds",
        "When the daemon started, since the epoch",
        seconds(status.daemon.started_at),
    );
    page.gauge(
        "maestro_ready",
        "1 if everything required is there",
        f64::from(status.daemon.state == "running"),
    );
    page.gauge(
        "maestro_warnings",
        "What an operator should know, as `maestroctl status` says it",
        status.warnings.len() as f64,
    );
    let parts = &status.components;
    let states = parts.iter().flat_map(|part| {
        let row = |state: State| ([part.name.as_str(), state.code()], f64::from(part.state == state));
        STATES.map(row)
    });
    page.gauges(
        "maestro_component_state",
        "1 for the state that a part is in, 0 for the others",
        ["component", "state"],
        states,
    );
    let child = |part: &&Component| part.pid.is_some() || part.last_exit.is_some() || part.restarts_total > 0;
    let children = || parts.iter().filter(child);
    page.gauges(
        "maestro_child_uptime_seconds",
        "How long a child has been ready; 0 if it is not",
        ["child"],
        children().map(|part| {
            let ready = part.state == State::Ready;
            (
                [part.name.as_str()],
                if ready {
                    seconds(status.at - part.since).max(0.0)
                } else {
                    0.0
                },
            )
        }),
    );
    page.counters(
        "maestro_child_restarts_total",
        "Restarts of a child that nobody asked for",
        ["child"],
        children().map(|part| ([part.name.as_str()], part.restarts_total)),
    );
}

/// Agents, mail, claims, devices.
fn status_of_work(page: &Page, status: &Status) {
    let agents = &status.agents;
    page.gauges(
        "maestro_agents",
        "Agents by whether they live",
        ["verdict"],
        [
            ("alive", agents.alive),
            ("silent", agents.silent),
            ("dead", agents.dead),
        ]
        .map(|(verdict, count)| ([verdict], count as f64)),
    );
    page.gauge(
        "maestro_questions_waiting",
        "Sessions that wait for a person's answer",
        agents.waiting as f64,
    );
    page.gauge(
        "maestro_question_oldest_seconds",
        "How long the one that waits longest has waited; 0 if none does",
        agents
            .waiting_since
            .map_or(0.0, |since| seconds(status.at - since).max(0.0)),
    );
    let mail = &status.mail;
    if let Some(mails) = mail.mails {
        page.gauge("maestro_mail_messages", "Mails that are kept", mails as f64);
    }
    page.gauge(
        "maestro_mail_open",
        "1 if mail can be sent and read",
        f64::from(mail.state == "open"),
    );
    page.gauge(
        "maestro_mail_waiters",
        "Agents that wait for mail",
        mail.waiting as f64,
    );
    page.counter(
        "maestro_mail_moved_total",
        "Mails that were brought here from where they were kept before",
        mail.moved,
    );
    page.gauge(
        "maestro_mail_left_behind",
        "Places with mail that could not be brought here",
        mail.left_behind.len() as f64,
    );
    let claims = &status.claims;
    page.gauge(
        "maestro_claims_held",
        "Tasks that are claimed",
        claims.held as f64,
    );
    let outcomes = [
        ("granted", claims.granted),
        ("renewed", claims.renewed),
        ("refused", claims.refused),
        ("released", claims.released),
        ("ended", claims.ended),
        ("died", claims.died),
        ("expired", claims.expired),
    ];
    page.counters(
        "maestro_claims_total",
        "What became of claims of tasks",
        ["outcome"],
        outcomes.map(|(outcome, count)| ([outcome], count)),
    );
    let devices = &status.devices;
    page.gauge(
        "maestro_devices_paired",
        "Devices that are paired",
        devices.paired as f64,
    );
    page.gauge(
        "maestro_pairing_codes",
        "Pairing codes that can be redeemed",
        devices.live_codes as f64,
    );
    page.gauge(
        "maestro_lockdown",
        "1 while nobody is let in from outside",
        f64::from(devices.locked_since.is_some()),
    );
}

fn hub(page: &Page, of: &Inner, status: &Status) {
    page.gauge(
        "maestro_http_requests_in_flight",
        "Requests that are being answered",
        of.hub.in_flight().len() as f64,
    );
    let open = [
        ("local", &of.counted.connections),
        ("ingress", &of.counted.outside),
    ];
    page.gauges(
        "maestro_connections",
        "Open connections, sockets included",
        ["door"],
        open.map(|(door, connections)| ([door], connections.open() as f64)),
    );
    let sockets = [
        ("raw", status.hub.raw_clients),
        ("ui", status.hub.ui_clients),
        ("mobile", status.hub.mobile_clients),
    ];
    page.gauges(
        "maestro_sockets",
        "Connected sockets",
        ["kind"],
        sockets.map(|(kind, count)| ([kind], count as f64)),
    );
    let cut = [
        ("raw", of.hub.bus().cut_off()),
        ("socket_io", of.hub.clients().cut_off()),
    ];
    page.counters(
        "maestro_slow_readers_cut_total",
        "Clients that were cut off because they did not keep up",
        ["kind"],
        cut.map(|(kind, count)| ([kind], count)),
    );
}

fn bus(page: &Page, of: &Inner) {
    let bus = of.hub.bus();
    let kinds = [
        ("raw", Kind::Raw),
        ("ui", Kind::Ui),
        ("mobile", Kind::Mobile),
        ("inside", Kind::Inside),
    ];
    page.gauges(
        "maestro_bus_longest_queue_events",
        "Events that wait for the subscriber that lags most",
        ["kind"],
        kinds.map(|(name, kind)| ([name], bus.longest_queue(kind) as f64)),
    );
    let Some(link) = &of.fixed.link else { return };
    page.gauge(
        "maestro_redis_link_up",
        "1 while Redis answers",
        f64::from(link.state().up().is_some()),
    );
    page.gauge(
        "maestro_bus_untold_events",
        "Events that wait to be told to other hubs",
        of.counted.outbox.waiting() as f64,
    );
    page.counter(
        "maestro_bus_untold_dropped_total",
        "Events that other hubs were never told, because Redis was away for too long",
        of.counted.outbox.dropped(),
    );
    if let Some(resyncs) = &of.counted.resyncs {
        page.counter(
            "maestro_bus_resyncs_total",
            "Times that events of other hubs were missed",
            resyncs.borrow().0,
        );
    }
}

fn store(page: &Page, of: &Inner) {
    let file = of.stock.store.database().path();
    let bytes = |file: &std::path::Path| fs::metadata(file).map_or(0.0, |found| found.len() as f64);
    let files = [
        ("database", bytes(file)),
        ("log", bytes(&file.with_extension("db-wal"))),
    ];
    page.gauges(
        "maestro_store_file_bytes",
        "Size of the store's files",
        ["file"],
        files.map(|(name, size)| ([name], size)),
    );
    let trouble = of.stock.store.database().trouble().is_some();
    page.gauge(
        "maestro_store_trouble",
        "1 if the newest write failed",
        f64::from(trouble),
    );
    let view = of.hub.app().view();
    let records = [
        ("projects", view.projects().len()),
        ("tasks", view.tasks(None).len()),
        ("sessions", view.session_heads(None).len()),
    ];
    page.gauges(
        "maestro_store_records",
        "Records that are kept",
        ["kind"],
        records.map(|(kind, count)| ([kind], count as f64)),
    );
}
