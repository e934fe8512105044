//! What the daemon answers on the control socket.

mod devices;
mod glance;
mod log_lines;
mod mail;
mod redis_part;
mod report;
mod transfer;
mod way_in;

pub use transfer::Stock;

use super::ingress::Standing;

use std::{fs, ops::Deref, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption};
use serde_json::{Value, json};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc, oneshot, watch,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::bus::{Bounds, Delivery, Kind};
use crate::children::TUNNEL;
use crate::config::Loaded;
use crate::control::protocol::{ChildAct, LogSource, MailAsk, Problem, Progress, Status, TunnelReport};
use crate::control::{DeviceDesk, LAST_STATUS, Lines, Operations, Pending};
use crate::hub::Hub;
use crate::redis_link::RedisLink;
use crate::service::recent::Recent;
use crate::shutdown::TaskGroup;
use crate::supervisor::{Handle, Transition};
use crate::tunnel::Tunnel;

use super::{
    mail::MailHouse,
    metrics::{self, Counted},
};

/// The status is written down at least this often, so that a dead daemon's last words have an age.
const NOTE_PULSE: Duration = Duration::from_secs(60);
/// An operator's wish waits so long for the daemon's main loop.
const ORDERS: usize = 8;

/// What an operator wants of the daemon's main loop.
pub enum Order {
    /// Read the configuration again; the answer is what came of it.
    Reload(oneshot::Sender<Result<String, String>>),
    /// Stop in order.
    Stop,
}

/// A child of ours, by the name operators use.
#[derive(Clone)]
pub struct Child {
    /// `redis`, `tunnel`.
    pub name: &'static str,
    /// True if the daemon is not ready without it.
    pub required: bool,
    /// Its remote control.
    pub handle: Handle,
}

/// What is known once and for all at the start.
pub struct Fixed {
    /// Bound addresses.
    pub listen: Vec<String>,
    /// Who runs us.
    pub owner: String,
    /// When we started, milliseconds since the epoch.
    pub started_at: i64,
    /// What is said of redis if it is no child of ours.
    pub redis: String,
    /// What is said of the way in from outside.
    pub ingress: Standing,
    /// The way to redis, if there is one.
    pub link: Option<RedisLink>,
    /// Where Prometheus may read metrics.
    pub metrics: Option<String>,
}

/// Answers operators. Clones share everything.
#[derive(Clone)]
pub struct Operator {
    inner: Arc<Inner>,
}

/// What operators are told of, and can change.
pub struct Parts {
    /// What clients see.
    pub hub: Hub,
    /// What is stored.
    pub stock: Stock,
    /// Where mail is.
    pub mail: MailHouse,
    /// What is kept running for us alone.
    pub children: Vec<Child>,
    /// The way in from outside.
    pub tunnel: Tunnel,
    /// What does not change.
    pub fixed: Fixed,
    /// The configuration in effect.
    pub loaded: Arc<ArcSwap<Loaded>>,
    /// Our own newest log lines.
    pub recent: Recent,
    /// What is asked for counts only.
    pub counted: Counted,
}

pub(super) struct Inner {
    parts: Parts,
    orders: mpsc::Sender<Order>,
    changes: watch::Sender<u64>,
    /// Why the newest configuration is not in effect.
    bad_config: ArcSwapOption<String>,
}

impl Deref for Inner {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Operator {
    /// An operator's desk, and the wishes that come from it.
    pub fn new(parts: Parts) -> (Self, mpsc::Receiver<Order>) {
        let (orders, wishes) = mpsc::channel(ORDERS);
        let inner = Inner {
            parts,
            orders,
            changes: watch::Sender::new(0),
            bad_config: ArcSwapOption::empty(),
        };
        let inner = Arc::new(inner);
        (Self { inner }, wishes)
    }

    /// Follows the children: each transition is shown to whoever watches, and written down.
    pub fn follow(&self, mut transitions: broadcast::Receiver<Transition>, group: &TaskGroup) {
        let operator = self.clone();
        group.spawn("status notes", move |stop: CancellationToken| async move {
            let mut speaking = true;
            loop {
                operator.inner.changes.send_modify(|count| *count += 1);
                operator.note(None);
                tokio::select! {
                    () = stop.cancelled() => return,
                    // What was missed does not matter: the status is read afresh.
                    news = transitions.recv(), if speaking => speaking = !matches!(news, Err(RecvError::Closed)),
                    () = tokio::time::sleep(NOTE_PULSE) => {}
                }
            }
        });
    }

    /// Writes down how things are, for when nobody answers any more. `last_words`: why we end.
    pub fn note(&self, last_words: Option<&str>) {
        let mut status = self.inner.status();
        if let Some(words) = last_words {
            status.daemon.state = "stopped".into();
            status.daemon.last_words = Some(words.to_owned());
        }
        let file = PathBuf::from(&status.places.state_dir).join(LAST_STATUS);
        let part = file.with_extension("json.part");
        let written = serde_json::to_vec(&status)
            .map_err(std::io::Error::other)
            .and_then(|text| fs::write(&part, text))
            .and_then(|()| fs::rename(&part, &file));
        if let Err(error) = written {
            debug!(%error, "the status could not be written down");
        }
    }

    /// How things are, in one line.
    pub fn glance(&self) -> String {
        self.inner.glance()
    }

    /// Moves whenever a part changes.
    pub fn glance_changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// The configuration was read again; `Err`: why it is not in effect.
    pub fn read_again(&self, outcome: Result<(), &str>) {
        let bad = outcome.err().map(|why| Arc::new(why.to_owned()));
        self.inner.bad_config.store(bad);
        self.reloaded();
    }

    /// What is shown has changed.
    pub fn reloaded(&self) {
        self.inner.changes.send_modify(|count| *count += 1);
    }

    fn child(&self, name: &str) -> Result<&Child, Problem> {
        self.inner
            .children
            .iter()
            .find(|child| child.name == name)
            .ok_or_else(|| {
                let names = self.inner.children.iter().map(|child| child.name);
                let known = names.chain([TUNNEL]).collect::<Vec<_>>().join(", ");
                Problem::new(
                    "unknown_child",
                    format!("maestrod keeps no child called `{name}`"),
                )
                .remedy(format!("known here: {known}"))
            })
    }
}

impl Operations for Operator {
    fn status(&self) -> Pending<'_, Status> {
        Box::pin(async {
            self.inner.mail.count().await;
            self.inner.status()
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    fn config(&self) -> Value {
        let loaded = self.inner.loaded.load();
        json!({"values": loaded.to_json(), "text": loaded.render()})
    }

    fn metrics(&self) -> Pending<'_, String> {
        Box::pin(async {
            let status = self.status().await;
            metrics::page(&self.inner, &status)
        })
    }

    fn agents(&self) -> Pending<'_, Value> {
        Box::pin(std::future::ready(self.inner.agents()))
    }

    fn device_desk(&self) -> &dyn DeviceDesk {
        self
    }

    fn mail(&self, ask: MailAsk) -> Pending<'_, Result<Value, Problem>> {
        Box::pin(self.inner.mails(ask))
    }

    fn act(&self, child: String, act: ChildAct) -> Pending<'_, Result<(), Problem>> {
        Box::pin(async move {
            if child == TUNNEL {
                return way_in::act(&self.inner.tunnel, act).await;
            }
            let handle = &self.child(&child)?.handle;
            let done = match act {
                ChildAct::Start => handle.start().await,
                ChildAct::Stop => handle.stop().await,
                ChildAct::Restart => handle.restart().await,
            };
            done.map_err(|ended| Problem::new("stopping", ended.to_string()))
        })
    }

    fn tunnel(&self, check: bool) -> Pending<'_, Result<TunnelReport, Problem>> {
        Box::pin(async move {
            if check {
                self.inner
                    .tunnel
                    .check()
                    .await
                    .map_err(|refusal| way_in::problem(&refusal))?;
                self.inner.changes.send_modify(|count| *count += 1);
            }
            Ok(way_in::report(&self.inner.tunnel.seen()))
        })
    }

    fn events(&self) -> Lines {
        let (tx, rx) = mpsc::channel(64);
        let subscription = self.inner.hub.bus().subscribe(Kind::Inside, Bounds::default());
        let stop = self.inner.hub.stopping().clone();
        tokio::spawn(async move {
            let mut batch = Vec::new();
            loop {
                batch.clear();
                let next = tokio::select! {
                    () = stop.cancelled() => return,
                    () = tx.closed() => return,
                    next = subscription.next(&mut batch, 64) => next,
                };
                if let Err(cut) = next {
                    let _gone = tx
                        .send(json!({"event": "cut_off", "reason": cut.to_string()}).to_string())
                        .await;
                    return;
                }
                for delivery in &batch {
                    let Delivery::Event(event) = delivery else {
                        continue;
                    };
                    let line = String::from_utf8_lossy(event.raw_frame()).into_owned();
                    if tx.send(line).await.is_err() {
                        return;
                    }
                }
            }
        });
        rx
    }

    fn logs(&self, source: LogSource, lines: usize, follow: bool) -> Result<Lines, Problem> {
        let stop = self.inner.hub.stopping().clone();
        match source {
            LogSource::Hub => Ok(log_lines::ours(&self.inner.recent, lines, follow, stop)),
            LogSource::Child(name) => {
                let tunnel = self.inner.tunnel.handle().filter(|_| name == TUNNEL);
                let handle = match tunnel {
                    Some(handle) => handle,
                    None => &self.child(&name)?.handle,
                };
                Ok(log_lines::of_child(handle.output(), lines, follow, stop))
            }
        }
    }

    fn reload(&self) -> Pending<'_, Result<Value, Problem>> {
        Box::pin(async move {
            let (answer, told) = oneshot::channel();
            let gone = || Problem::new("stopping", "maestrod is stopping");
            self.inner
                .orders
                .send(Order::Reload(answer))
                .await
                .map_err(|_| gone())?;
            match told.await.map_err(|_| gone())? {
                Ok(text) => Ok(json!({"text": text})),
                Err(text) => Err(Problem::new("bad_config", format!("nothing has changed: {text}"))
                    .remedy("mend the file, check it with `maestroctl config check`, and reload again")),
            }
        })
    }

    fn stop(&self) {
        if self.inner.orders.try_send(Order::Stop).is_err() {
            info!("asked to stop while busy with earlier orders: the stop signal works always");
        }
    }

    fn import(&self, dir: PathBuf) -> mpsc::Receiver<Progress> {
        transfer::import(self.inner.stock.clone(), dir)
    }

    fn export(&self, dir: PathBuf) -> mpsc::Receiver<Progress> {
        transfer::export(self.inner.stock.clone(), dir)
    }

    fn backup(&self, file: PathBuf) -> mpsc::Receiver<Progress> {
        transfer::backup(&self.inner.stock.store, file)
    }
}
