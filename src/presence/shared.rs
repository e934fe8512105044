//! The registry that several hubs and agents share, as presence needs it. Without one everything is in memory.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::domain::{Millis, SessionId};
use crate::ports::Pending;

/// A heartbeat somebody left there.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    /// Whose agent.
    pub session: SessionId,
    /// The agent's process.
    pub pid: Option<i32>,
    /// Its machine.
    pub host: Option<String>,
    /// When it says it began.
    pub started_at: Option<Millis>,
    /// How long every one of this agent is believed, if that is said.
    pub ttl: Option<Duration>,
    /// How long it is believed from now on.
    pub left: Duration,
}

/// A heartbeat to be left there.
#[derive(Clone, Debug, PartialEq)]
pub struct Sign {
    /// Whose agent.
    pub session: SessionId,
    /// The agent's process.
    pub pid: Option<i32>,
    /// Its machine.
    pub host: String,
    /// When it says it began.
    pub started_at: Option<Millis>,
    /// How long every one of this agent is believed.
    pub ttl: Duration,
    /// How long it is to be believed from now on.
    pub left: Duration,
}

/// Can the registry be read? Whenever the number is another one than before, what was in it may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It can, for the so-manieth time.
    Readable(u64),
    /// It cannot.
    Away,
}

/// A registry that is not there. Nothing follows from it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the shared registry cannot be asked: {0}")]
pub struct SharedError(pub Arc<str>);

/// Heartbeats that lapse by themselves, readable by several hubs.
pub trait Shared: Send + Sync + 'static {
    /// Tells whether it can be read, now and at every change.
    fn reach(&self) -> watch::Receiver<Reach>;
    /// What is there of these sessions' agents.
    fn read(&self, sessions: Vec<SessionId>) -> Pending<'_, Result<Vec<Left>, SharedError>>;
    /// Leaves signs there.
    fn write(&self, signs: Vec<Sign>) -> Pending<'_, Result<(), SharedError>>;
    /// Takes a session's sign away.
    fn remove(&self, session: SessionId) -> Pending<'_, Result<(), SharedError>>;
}
