//! Is the agent alive? Heartbeats, the kernel and a registry give evidence; [`judge`] makes a verdict of it; one task
//! sees to it that sessions follow, through the application.
//!
//! It deliberately does not signal, start or stop any agent, and decides nothing from a pid alone: a process counts by
//! pid, start time and boot. An agent that never gave a sign of life is never missed.

mod book;
mod judge;
mod reconcile;
mod record;
mod redis;
mod registry;
mod sensors;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

pub use book::CHAPTER;
pub use judge::{Evidence, Lease, Process, judge};
pub use reconcile::Reconciler;
pub use redis::RedisRegistry;
pub use shared::{Left, Reach, Shared, SharedError, Sign};

use crate::domain::{Beat, SessionId, Sighting};
use crate::ports::{Pending, Presence, PresenceError};
use crate::process::clock;
use crate::sqlite::Database;

use book::Book;
use registry::Registry;

/// Signs of life that may wait to be taken. One more is refused; its sender beats again soon.
const QUEUE: usize = 1024;
/// Agents that can be known at once.
const MOST: usize = 100_000;
/// How often, at least, everybody who is due is looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// A clock that counts suspended time; only differences mean anything.
pub type BootClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How presence is kept.
#[derive(Clone)]
pub struct Options {
    /// This machine's name, as agents on it say it.
    pub host: String,
    /// How long a heartbeat is believed that does not say so itself.
    pub ttl: Duration,
    /// Agents that can be known at once.
    pub most: usize,
    /// How often, at least, everybody who is due is looked at.
    pub sweep: Duration,
    /// For timers.
    pub clock: BootClock,
    /// Where other hubs and agents leave heartbeats, if there is such a place.
    pub shared: Option<Arc<dyn Shared>>,
}

impl Options {
    /// The usual ones, on this machine.
    pub fn new(host: &str, ttl: Duration) -> Self {
        Self {
            host: host.to_owned(),
            ttl,
            most: MOST,
            sweep: SWEEP,
            clock: Arc::new(clock::boot),
            shared: None,
        }
    }
}

/// What the reconciler is asked from outside.
enum Ask {
    Beat(Beat, oneshot::Sender<Result<Sighting, PresenceError>>),
    Leave(SessionId, oneshot::Sender<Result<bool, PresenceError>>),
}

/// The agents we know. Clones share them.
#[derive(Clone)]
pub struct Agents {
    asks: mpsc::Sender<Ask>,
    registry: Roll,
}

/// The registry: written by the reconciler only, read by anybody.
#[derive(Clone)]
struct Roll(Arc<Mutex<Registry>>);

impl Roll {
    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Agents, remembered in `db` (opened with [`CHAPTER`]), and the reconciler to be started for them.
pub fn open(options: Options, db: Database) -> (Agents, Reconciler) {
    let (asks, asked) = mpsc::channel(QUEUE);
    let registry = Registry::new(options.most, (options.clock)());
    let registry = Roll(Arc::new(Mutex::new(registry)));
    let reconciler = Reconciler::new(options, registry.clone(), Book::new(db), asked);
    (Agents { asks, registry }, reconciler)
}

impl Agents {
    async fn ask<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<T, PresenceError>>) -> Ask,
    ) -> Result<T, PresenceError> {
        let (answer, answered) = oneshot::channel();
        let queued = self.asks.try_send(ask(answer));
        queued.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PresenceError::Full,
            mpsc::error::TrySendError::Closed(_) => PresenceError::Stopping,
        })?;
        answered.await.unwrap_or(Err(PresenceError::Stopping))
    }
}

impl Presence for Agents {
    fn beat(&self, beat: Beat) -> Pending<'_, Result<Sighting, PresenceError>> {
        Box::pin(self.ask(|answer| Ask::Beat(beat, answer)))
    }

    fn leave<'a>(&'a self, session: &'a SessionId) -> Pending<'a, Result<bool, PresenceError>> {
        let session = session.clone();
        Box::pin(self.ask(|answer| Ask::Leave(session, answer)))
    }

    fn of(&self, session: &SessionId) -> Option<Sighting> {
        self.registry.lock().sighting(session)
    }

    fn all(&self) -> Vec<Sighting> {
        self.registry.lock().sightings()
    }
}
