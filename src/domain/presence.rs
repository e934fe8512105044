//! What is known of the agent behind a session: what it says of itself, and what we make of it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Millis, Refusal, SessionId};

/// A heartbeat of less than this lapses before a busy machine sends the next one.
const SHORTEST_TTL: Duration = Duration::from_millis(200);
/// A longer one says nothing about now.
const LONGEST_TTL: Duration = Duration::from_secs(24 * 3600);
/// A host's name is at most this long (bytes); DNS allows 253.
const LONGEST_HOST: usize = 255;

/// Is the agent alive?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It said so lately, or its process runs and nobody could have heard it.
    Alive,
    /// Its process runs, but it says nothing: shown, never failed.
    Silent,
    /// Its process is gone: our own kernel says so.
    Crashed,
    /// It is elsewhere and said nothing for a whole TTL in which we could have heard it.
    Lost,
    /// Nothing can be said yet.
    Unknown,
}

impl Verdict {
    /// The loss this verdict means, if it means one.
    pub fn loss(self) -> Option<Loss> {
        match self {
            Self::Crashed => Some(Loss::Crashed),
            Self::Lost => Some(Loss::Lost),
            Self::Alive | Self::Silent | Self::Unknown => None,
        }
    }
}

/// How a session lost its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// Its process ended.
    Crashed,
    /// It was not heard of any more.
    Lost,
}

impl Loss {
    /// For people, in a timeline.
    pub fn said(self) -> &'static str {
        match self {
            Self::Crashed => "Agent disconnected: its process ended",
            Self::Lost => "Agent disconnected: it was not heard of any more",
        }
    }
}

/// A sign of life of a session's agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Whose agent.
    pub session: SessionId,
    /// The agent's process, if it says so.
    pub pid: Option<i32>,
    /// The machine it is on; absent means ours.
    pub host: Option<String>,
    /// When it says it began.
    pub started_at: Option<Millis>,
    /// How long to believe it; absent means as configured.
    pub ttl: Option<Duration>,
    /// No more signs will come: the hub is asked to look after the process itself.
    pub watch: bool,
}

impl Beat {
    /// True if a sign of life may be believed for so long.
    pub fn may_last(ttl: &Duration) -> bool {
        (SHORTEST_TTL..=LONGEST_TTL).contains(ttl)
    }

    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.pid.is_some_and(|pid| pid <= 1) {
            return Err(Refusal::invalid(
                "pid must be the id of one process, greater than 1",
            ));
        }
        if self.watch && self.pid.is_none() {
            return Err(Refusal::invalid("watch needs a pid"));
        }
        if !self.ttl.as_ref().is_none_or(Self::may_last) {
            return Err(Refusal::invalid(
                "ttl must be between 200 and 86400000 milliseconds",
            ));
        }
        let host = self.host.as_deref().unwrap_or_default();
        if host.len() > LONGEST_HOST || host.chars().any(char::is_control) {
            return Err(Refusal::invalid("host is not the name of a machine"));
        }
        Ok(())
    }
}

/// What is known of a session's agent.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sighting {
    /// Whose agent.
    pub session_id: SessionId,
    /// Whether it lives.
    pub verdict: Verdict,
    /// Its process.
    pub pid: Option<i32>,
    /// Its machine.
    pub host: Option<String>,
    /// When it says it began.
    pub started_at: Option<Millis>,
    /// When it last gave, or its process last showed, a sign of life; absent if not since the hub started.
    pub last_seen: Option<Millis>,
    /// How long a sign is believed, in milliseconds.
    pub ttl: u64,
    /// True if the kernel tells us of the end of its process.
    pub watched: bool,
}

impl Sighting {
    /// Of an agent that never gave a sign.
    pub fn none(session_id: SessionId) -> Self {
        Self {
            session_id,
            verdict: Verdict::Unknown,
            pid: None,
            host: None,
            started_at: None,
            last_seen: None,
            ttl: 0,
            watched: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat() -> Beat {
        Beat {
            session: SessionId::parse("s").unwrap(),
            pid: None,
            host: None,
            started_at: None,
            ttl: None,
            watch: false,
        }
    }

    #[test]
    fn pids_that_mean_init_a_group_or_nobody_are_refused() {
        assert!(beat().check().is_ok());
        for pid in [1, 0, -1, -4711, i32::MIN] {
            let beat = Beat {
                pid: Some(pid),
                ..beat()
            };
            assert!(beat.check().is_err(), "{pid}");
        }
        let watch = Beat {
            watch: true,
            ..beat()
        };
        assert!(watch.check().is_err(), "nothing to watch");
    }

    #[test]
    fn times_and_names_that_cannot_be_meant_are_refused() {
        for (ms, fine) in [(30, false), (200, true), (86_400_000, true), (86_400_001, false)] {
            let beat = Beat {
                ttl: Some(Duration::from_millis(ms)),
                ..beat()
            };
            assert_eq!(beat.check().is_ok(), fine, "{ms}");
        }
        for (host, fine) in [
            ("box.local".to_owned(), true),
            ("a\nb".into(), false),
            ("x".repeat(256), false),
        ] {
            let beat = Beat {
                host: Some(host),
                ..beat()
            };
            assert_eq!(beat.check().is_ok(), fine, "{:?}", beat.host);
        }
    }
}
