//! What is remembered of an agent across restarts of the hub. Heartbeats are not: they are of the moment.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{Millis, SessionId};
use crate::process::Identity;

/// An agent, as it introduced itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Whose agent.
    pub session: SessionId,
    /// Its process, as it said.
    pub pid: Option<i32>,
    /// Its machine.
    pub host: String,
    /// When it says it began.
    pub started_at: Option<Millis>,
    /// How long its heartbeats are believed, in milliseconds.
    pub ttl: u64,
    /// The hub gives signs on its behalf for as long as its process runs.
    pub watch: bool,
    /// Its process, if we could tell it from all others.
    pub identity: Option<Identity>,
}

impl Record {
    /// How long its heartbeats are believed.
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl)
    }
}
