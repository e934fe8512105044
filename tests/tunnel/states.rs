//! What a tunnel that lives can be, each told from the others.

use maestro::{children::TunnelKind, supervisor::State};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    harness::{Edge, eventually},
    house::{House, bytes_in, signal},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_tunnel_is_ready_when_it_is_connected_and_has_a_new_address_at_each_start() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.state("connecting");
    let (spec, program) = house.spec(house.params(&edge, TunnelKind::Quick));
    let kept = house.supervise(spec).await;
    // Its address is known before it is connected, and that makes it no more ready.
    let mut host = program.quick_host();
    let first = host
        .wait_for(Option::is_some)
        .await
        .expect("told")
        .clone()
        .expect("a host");
    assert!(first.ends_with(".trycloudflare.com"), "{first}");
    assert_eq!(kept.handle.status().state, State::Starting);
    edge.restore();
    let pid = kept.ready().await;
    let facts = kept.handle.status().facts;
    assert_eq!(facts["url"], format!("https://{first}"));
    assert_eq!(
        (facts["connections"].as_str(), facts["version"].as_str()),
        ("1", "2026.8.2")
    );

    kept.handle.restart().await.expect("supervised");
    kept.ready_anew(pid).await;
    let second = host
        .wait_for(|host| host.as_ref().is_some_and(|host| *host != first))
        .await
        .expect("told")
        .clone();
    assert!(second.is_some());
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_and_places_are_no_connections() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.state("connecting");
    let kept = house.tunnel(&edge).await;
    // What its counters say misleads: one attempt under way looks like a connection there.
    let metrics = eventually("it has been asked", || async {
        kept.handle.status().facts.get("metrics").cloned()
    })
    .await;
    let port: u16 = metrics
        .rsplit_once(':')
        .expect("an address")
        .1
        .parse()
        .expect("a port");
    let counters = crate::harness::Ask::new("GET", "/metrics").to(port).await.text();
    assert!(
        counters.contains("cloudflared_tunnel_ha_connections 1"),
        "{counters}"
    );
    assert_eq!(kept.handle.status().state, State::Starting);
    edge.restore();
    kept.ready().await;
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_refused_at_first_is_no_death() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.script(json!({"metrics_after": 400}));
    let kept = house.tunnel(&edge).await;
    kept.ready().await;
    assert_eq!((edge.starts().len(), kept.handle.status().n), (1, 0));
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_edge_is_shown_and_waited_for_without_a_restart() {
    let (house, edge) = (House::new(), Edge::start().await);
    let mut kept = house.tunnel(&edge).await;
    let pid = kept.ready().await;
    edge.lose();
    assert_eq!(kept.change_to(State::Degraded).await.reason, "edge_lost");
    assert_eq!(kept.handle.status().pid, Some(pid), "it lives");
    edge.restore();
    assert_eq!(kept.change_to(State::Ready).await.reason, "probe_ok");
    let status = kept.handle.status();
    assert_eq!(
        (status.pid, status.restarts_total, edge.starts().len()),
        (Some(pid), 0, 1)
    );
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_stays_lost_costs_one_restart_when_its_time_is_over() {
    let (house, edge) = (House::new(), Edge::start().await);
    let (mut spec, _) = house.spec(house.params(&edge, House::token(&edge)));
    spec.policy.degraded_limit = std::time::Duration::from_millis(200);
    let mut kept = house.supervise(spec).await;
    let pid = kept.ready().await;
    edge.lose();
    let stopping = kept.change_to(State::Stopping).await;
    assert_eq!(
        (stopping.from, stopping.reason.as_ref()),
        (State::Degraded, "edge_lost")
    );
    edge.restore();
    kept.ready_anew(pid).await;
    assert_eq!(kept.handle.status().restarts_total, 1);
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unauthorized_tunnel_says_so_and_works_as_soon_as_it_is_known_again() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.state("unauthorized");
    let mut kept = house.tunnel(&edge).await;
    assert_eq!(kept.change_to(State::Degraded).await.reason, "unauthorized");
    edge.restore();
    kept.change_to(State::Ready).await;
    assert_eq!(edge.starts().len(), 1, "the same process all along");
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_takes_questions_and_never_answers_is_replaced() {
    let (house, edge) = (House::new(), Edge::start().await);
    let mut kept = house.tunnel(&edge).await;
    let pid = kept.ready().await;
    edge.script(json!({"hang": true}));
    assert_eq!(kept.change_to(State::Degraded).await.reason, "hung");
    kept.change_to(State::Stopping).await;
    edge.script(json!({"hang": false}));
    kept.ready_anew(pid).await;
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_one_is_replaced() {
    let (house, edge) = (House::new(), Edge::start().await);
    let mut kept = house.tunnel(&edge).await;
    let pid = kept.ready().await;
    signal(pid, Signal::SIGSTOP);
    assert_eq!(kept.change_to(State::Degraded).await.reason, "hung");
    kept.ready_anew(pid).await;
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_bounded_on_disk_named_and_ended() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.state("flood");
    let (mut spec, _) = house.spec(house.params(&edge, House::token(&edge)));
    spec.output.file = 1 << 20;
    let mut kept = house.supervise(spec).await;
    let degraded = kept.change_to(State::Degraded).await;
    assert_eq!(
        (degraded.from, degraded.reason.as_ref()),
        (State::Starting, "flooding")
    );
    kept.change_to(State::Stopping).await;
    // Three files of 1 MiB, and what is written between two looks of the keeper.
    let kept_on_disk = bytes_in(&house.log());
    assert!(kept_on_disk < 12 << 20, "{kept_on_disk} bytes");
    edge.restore();
    kept.change_to(State::Ready).await;
    kept.end().await;
}
