//! What the world is told about a child. Additive: fields are added, never renamed.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::event::{Code, Exit, RunId, State, Want};

/// Exits kept per child.
pub const HISTORY: usize = 20;

/// Restart times kept per child: more than the backoff allows in a day.
const RESTARTS: usize = 512;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// What a child tells about itself: version, run id, memory, ...; for people and for `status`.
pub type Facts = BTreeMap<String, String>;

/// May others rely on the child now?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is ready; another `run` is another process.
    Up {
        /// Names the process.
        run: RunId,
        /// Its process id.
        pid: i32,
    },
    /// It is not.
    Down {
        /// What it is instead.
        state: State,
        /// Why.
        reason: Code,
    },
}

impl Health {
    /// Is it up?
    pub fn is_up(&self) -> bool {
        matches!(self, Health::Up { .. })
    }
}

/// One exit, for the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// When, in ms since the epoch.
    pub at_ms: u64,
    /// How.
    pub exit: Exit,
    /// How long it had lived.
    pub uptime_ms: u64,
    /// What the child's spec made of it.
    pub reason: Code,
    /// The operator or the supervisor had asked for it.
    pub asked: bool,
    /// The last lines it wrote.
    pub last_lines: Vec<String>,
}

/// Everything about a child at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildStatus {
    /// Its name.
    pub name: String,
    /// What the operator asked for.
    pub want: Want,
    /// What it is.
    pub state: State,
    /// Since when, in ms since the epoch.
    pub since_ms: u64,
    /// Why it is in this state.
    pub reason: Code,
    /// What the operator can do, if it is blocked.
    pub remedy: Option<String>,
    /// Its process id, if it lives.
    pub pid: Option<i32>,
    /// The process was started by an earlier supervisor.
    pub adopted: bool,
    /// Names the latest process.
    pub run: RunId,
    /// Failures in a row.
    pub n: u32,
    /// Restarts that nobody asked for, ever.
    pub restarts_total: u64,
    /// The same within the last 24 hours, at the time this was read through a `Handle`.
    pub restarts_24h: u32,
    /// When the next attempt is due by itself, in ms since the epoch.
    pub next_retry_at_ms: Option<u64>,
    /// The latest exits, newest last.
    pub exits: VecDeque<ExitRecord>,
    /// What the child told at its last good probe.
    pub facts: Facts,
    /// When restarts happened, oldest first.
    #[serde(default)]
    pub restart_times_ms: VecDeque<u64>,
}

impl ChildStatus {
    pub(super) fn new(name: &str, now_ms: u64) -> ChildStatus {
        ChildStatus {
            name: name.to_owned(),
            want: Want::Down,
            state: State::Stopped,
            since_ms: now_ms,
            reason: Code::Borrowed("new"),
            remedy: None,
            pid: None,
            adopted: false,
            run: RunId(0),
            n: 0,
            restarts_total: 0,
            restarts_24h: 0,
            next_retry_at_ms: None,
            exits: VecDeque::new(),
            facts: Facts::new(),
            restart_times_ms: VecDeque::new(),
        }
    }

    pub(super) fn remember_exit(&mut self, exit: ExitRecord) {
        self.exits.push_back(exit);
        while self.exits.len() > HISTORY {
            self.exits.pop_front();
        }
    }

    pub(super) fn remember_restart(&mut self, now_ms: u64) {
        self.restart_times_ms.push_back(now_ms);
        while self.restart_times_ms.len() > RESTARTS {
            self.restart_times_ms.pop_front();
        }
    }

    /// Brings the count of the last 24 hours up to date.
    pub fn count_restarts(&mut self, now_ms: u64) {
        let recent = self
            .restart_times_ms
            .iter()
            .filter(|at| **at + DAY_MS > now_ms)
            .count();
        self.restarts_24h = u32::try_from(recent).unwrap_or(u32::MAX);
    }

    /// The latest exit.
    pub fn last_exit(&self) -> Option<&ExitRecord> {
        self.exits.back()
    }

    pub(super) fn health(&self) -> Health {
        match (self.state, self.pid) {
            (State::Ready, Some(pid)) => Health::Up { run: self.run, pid },
            (state, _) => Health::Down {
                state,
                reason: self.reason.clone(),
            },
        }
    }
}

/// One change of state, as it is logged and pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Which child.
    pub child: String,
    /// When, in ms since the epoch.
    pub at_ms: u64,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why.
    pub reason: Code,
    /// How the process ended, if it did.
    pub exit: Option<Exit>,
    /// How long the process had lived, if there is or was one.
    pub uptime_ms: Option<u64>,
    /// Failures in a row.
    pub n: u32,
    /// Restarts that nobody asked for, ever.
    pub restarts_total: u64,
    /// When the next attempt is due by itself, in ms since the epoch.
    pub next_retry_at_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_and_restarts_are_bounded_and_counted_by_day() {
        let mut status = ChildStatus::new("redis", 0);
        for i in 0..1_000 {
            status.remember_restart(i * 600_000);
            status.remember_exit(ExitRecord {
                at_ms: i,
                exit: Exit::Code(1),
                uptime_ms: 1,
                reason: Code::Borrowed("exited"),
                asked: false,
                last_lines: vec![],
            });
        }
        assert_eq!((status.exits.len(), status.restart_times_ms.len()), (20, 512));
        assert_eq!(status.last_exit().map(|e| e.at_ms), Some(999));
        status.count_restarts(999 * 600_000);
        assert_eq!(status.restarts_24h, 144);
    }
}
