//! The wiring: names every concrete adapter, starts everything in order, runs, and stops everything in order.
//! No rules here, and nothing that another room could know.

mod access;
#[cfg(test)]
mod answering_tests;
mod build;
#[cfg(test)]
mod device_tests;
mod exit;
mod greeting;
mod ingress;
mod listeners;
#[cfg(test)]
mod liveness_tests;
mod mail;
mod metrics;
mod operator;
mod plan;
mod redis;
mod reload;
mod server_url;
mod settings;
#[cfg(test)]
mod socket_tests;
mod start;
mod stop;
mod tunnel;
mod vitals;
#[cfg(test)]
mod waiting_tests;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use clap::{Parser, Subcommand};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

pub use exit::{Exit, StartError};

use crate::access::Gate;
use crate::bus::Kind;
use crate::config::{Config, ConfigArgs, Loaded};
use crate::hub::{Gateway, Hub, listen::Connections};
use crate::manifest::Generator;
use crate::presence;
use crate::service::{
    activation::take_activated,
    lock::DirLock,
    logging::{Chain, error_mark},
    manager::{Manager, launchctl_print, launchd_exit_timeout},
    notify::Notifier,
    signals::Wish,
    sleep,
};
use crate::shutdown::TaskGroup;
use crate::store::Embedded;
use crate::supervisor::Handle;
use crate::tunnel::Tunnel;

use self::{
    ingress::Ingress,
    operator::{Operator, Order},
    server_url::ServerUrl,
    start::Ground,
};

const EXAMPLES: &str = "\
Examples:
  maestrod run                              in the foreground, where the Node server was
  maestrod run --port 4000 --data-dir ~/hub
  maestrod check                            what is configured, and where each value came from

Signals:
  TERM, INT  stop in order; a second one stops at once
  HUP        read the configuration again; a bad one changes nothing
  USR1       write a dump of the state to the log

Exit codes:
  0 asked to stop   64 wrong usage   70 a mistake of ours   73 cannot start
  75 try again later (port taken, disk full)   78 wrong configuration";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "maestrod", version, about = "Keeps a computer full of coding agents a dependable hub", after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run in the foreground
    Run {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Check the configuration and print it with the origin of each value; secrets are masked
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

/// Carries out a command line.
pub fn main(cli: Cli) -> Exit {
    let outcome = match cli.command {
        Command::Check { config, json } => check(&config, json),
        Command::Run { config } => run(config).inspect_err(tell_manager),
    };
    outcome.unwrap_or_else(|error| {
        let mark = error_mark();
        let said = format!("maestrod: {}", Chain(&error));
        let remedy = error.remedy().map(|remedy| format!("\n  → {remedy}"));
        for line in (said + &remedy.unwrap_or_default()).lines() {
            eprintln!("{mark}{line}");
        }
        error.exit()
    })
}

/// `systemctl status` shows it beside the exit code, whatever has become of the journal.
fn tell_manager(error: &StartError) {
    Notifier::from_process().status(&format!("cannot start: {}", Chain(error)));
}

fn check(args: &ConfigArgs, json: bool) -> Result<Exit, StartError> {
    let loaded = Config::from_process(args)?;
    if json {
        println!("{:#}", loaded.to_json());
    } else {
        print!("{}", loaded.render());
    }
    Ok(Exit::Stopped)
}

fn run(args: ConfigArgs) -> Result<Exit, StartError> {
    let activated = take_activated();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("maestro")
        .build()
        .map_err(|error| StartError::System("start threads", error))?;
    let outcome = runtime.block_on(async {
        let Some(mut ground) = Ground::prepare_in_peace(args).await? else {
            return Ok(Exit::Stopped);
        };
        ground.activated = activated;
        match ground.lock().await? {
            Some(locks) => Ok(build::build(ground, locks).await?.run().await),
            None => Ok(Exit::Stopped),
        }
    });
    // What still runs has been waited for as long as anybody was willing to.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

/// Answered by the main loop.
type Beat = oneshot::Sender<()>;

/// A built daemon whose hub serves.
struct Daemon {
    ground: Ground,
    hub: Hub,
    gateway: Gateway,
    gate: Arc<ArcSwap<Gate>>,
    manifests: Arc<Generator>,
    connections: Connections,
    listeners: TaskGroup,
    ingress: Ingress,
    /// Of the listener for Prometheus.
    scrapes: Connections,
    store: Embedded,
    server_url: ServerUrl,
    loaded: Arc<ArcSwap<Loaded>>,
    operator: Operator,
    orders: mpsc::Receiver<Order>,
    redis: Option<Handle>,
    tunnel: Tunnel,
    children: TaskGroup,
    presence: Option<presence::Reconciler>,
    background: TaskGroup,
    /// How long launchd lets us stop, once it has said so.
    launchd_waits: Arc<OnceLock<Duration>>,
    /// The control socket: operators are answered until the end.
    desk: TaskGroup,
    /// Questions to the main loop whether it still turns.
    pulse: (mpsc::Sender<Beat>, mpsc::Receiver<Beat>),
    _locks: Vec<DirLock>,
}

impl Daemon {
    async fn run(mut self) -> Exit {
        self.start_background();
        let why = loop {
            tokio::select! {
                wish = self.ground.signals.next() => match wish {
                    Wish::Stop | Wish::StopNow => break "it was told to stop by a signal",
                    Wish::Reload => {
                        let _told_in_the_log = self.reload();
                    }
                    Wish::Dump => info!(dump = %self.dump(), "the state, as asked for by USR1"),
                },
                Some(beat) = self.pulse.1.recv() => {
                    let _late = beat.send(());
                }
                Some(order) = self.orders.recv() => match order {
                    Order::Stop => break "an operator stopped it",
                    Order::Reload(answer) => {
                        let _hung_up = answer.send(self.reload());
                    }
                },
            }
        };
        self.stop(why).await
    }

    /// What the hub does not need to answer.
    fn start_background(&mut self) {
        let resumes = sleep::watch(&self.background, sleep::SystemClocks::default(), sleep::TICK);
        access::tell_of_sleep(&self.hub, resumes.clone(), &self.background);
        if let Some(redis) = self.redis.clone() {
            redis::nudge_on_resume(redis, resumes.clone(), &self.background);
        }
        if let Some(cloudflared) = self.tunnel.handle() {
            redis::nudge_on_resume(cloudflared.clone(), resumes.clone(), &self.background);
            tunnel::nudge_on_network_change(cloudflared.clone(), &self.background);
        }
        if let Some(presence) = self.presence.take() {
            presence.start(self.hub.app().clone(), &self.background, resumes);
        }
        let (notifier, readiness) = (self.ground.notifier.clone(), self.hub.readiness().clone());
        let operator = self.operator.clone();
        self.background.spawn("ready", move |stop| async move {
            let ready = tokio::time::timeout(start::READY_WITHIN, readiness.complete());
            let complete = tokio::select! {
                () = stop.cancelled() => return,
                complete = ready => complete.is_ok(),
            };
            if complete {
                info!("ready");
            } else {
                // The hub serves; what is missing shows in /ready and in the status. A manager would only kill us.
                let missing: Vec<_> = readiness.missing().into_values().collect();
                warn!("ready, except: {}", missing.join("; "));
            }
            notifier.ready(&operator.glance());
            vitals::tell_status(notifier, operator, stop).await;
        });
        if let Manager::Launchd { label } = self.ground.owner.manager.clone() {
            let waits = self.launchd_waits.clone();
            self.background.spawn("launchd", move |_| async move {
                let uid = nix::unistd::Uid::effective().as_raw();
                let told = launchd_exit_timeout(&label, uid, async |job| launchctl_print(job).await);
                if let Some(limit) = told.await {
                    waits.get_or_init(|| limit);
                }
            });
        }
        self.background.spawn("memory", vitals::give_memory_back);
        let (watchdog, pulse) = (self.ground.notifier.clone(), self.pulse.0.clone());
        let store = self.store.database().clone();
        self.background.spawn("watchdog", move |stop| {
            watchdog.feed_watchdog(stop, async move || vitals::alive(&pulse, &store).await)
        });
    }

    /// One JSON object: what an engineer asks first.
    fn dump(&self) -> serde_json::Value {
        let hub = &self.hub;
        serde_json::json!({
            "uptime_s": hub.uptime().as_secs(),
            "url": hub.app().facts().server_url,
            "stopping": hub.stopping().is_cancelled(),
            "missing": hub.readiness().missing(),
            "connections": self.connections.open(),
            "connections_from_outside": self.ingress.connections().open(),
            "requests_in_flight": hub.in_flight().len(),
            "raw_sockets": hub.bus().count(Kind::Raw),
            "ui_sockets": hub.clients().ui(),
            "mobile_sockets": hub.clients().mobile(),
            "sockets_cut_off": hub.bus().cut_off() + hub.clients().cut_off(),
            "store": self.store.database().path(),
            "store_trouble": self.store.database().trouble().map(|trouble| trouble.to_string()),
            "redis": self.redis.as_ref().map(Handle::status),
            "tunnel": self.tunnel.handle().map(Handle::status),
            "public_url": self.tunnel.public_url().borrow().as_ref().map(ToString::to_string),
            "background_tasks": self.background.len(),
        })
    }
}
