//! What is said over the control socket. Versioned and additive: a field may appear, none changes its meaning, and
//! a reader ignores what it does not know, so an older `maestroctl` understands a newer daemon and the other way round.

pub mod devices;

use serde::{Deserialize, Serialize};

use devices::DeviceCounts;

/// Version of this protocol; it moves only if a meaning has to change.
pub const VERSION: u32 = 1;

/// The truth at a glance (SUPERVISION 4.8).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// [`VERSION`].
    pub version: u32,
    /// Milliseconds since the epoch at which this was said.
    pub at: i64,
    /// The daemon itself.
    pub daemon: Daemon,
    /// What an operator should know first.
    pub warnings: Vec<Warning>,
    /// One entry a part: store, hub, redis, tunnel ...
    pub components: Vec<Component>,
    /// Where the hub listens and who is connected.
    pub hub: Hub,
    /// Agents by verdict.
    pub agents: AgentCounts,
    /// Paired devices at a glance.
    pub devices: DeviceCounts,
    /// Mail between agents.
    pub mail: Mail,
    /// Claims of tasks.
    pub claims: Claims,
    /// Where things lie.
    pub places: Places,
}

/// Claims of tasks, counted since the start of this hub from what it was asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Claims {
    /// Held now.
    pub held: u64,
    /// Given to somebody who did not have it.
    pub granted: u64,
    /// Prolonged for who had it.
    pub renewed: u64,
    /// Refused: somebody else had it.
    pub refused: u64,
    /// Given back by the holder.
    pub released: u64,
    /// Given back because the holder's session ended.
    pub ended: u64,
    /// Taken back because the holder's agent died.
    pub died: u64,
    /// Lapsed.
    pub expired: u64,
}

/// Mail between agents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mail {
    /// Where it is kept, for people.
    pub place: String,
    /// `open`; `moving`, while it comes from where it was kept before; `closed`, until that can begin.
    pub state: String,
    /// How many there are, as last counted.
    pub mails: Option<u64>,
    /// How many came from elsewhere since the start.
    pub moved: u64,
    /// How many agents wait for mail.
    pub waiting: usize,
    /// Mail that could not be brought here.
    pub left_behind: Vec<LeftBehind>,
}

/// Mail that could not be brought to where mail is kept now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftBehind {
    /// Where it lies.
    pub place: String,
    /// Why it is still there.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// The daemon itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Daemon {
    /// Its release.
    pub release: String,
    /// Its process.
    pub pid: u32,
    /// `starting`, `running`, `stopping`, `stopped`.
    pub state: String,
    /// When it started, milliseconds since the epoch.
    pub started_at: i64,
    /// Who runs it: `systemd (system)`, `systemd (user)`, `launchd`, `brew`, `by hand`.
    pub owner: String,
    /// Why it stopped, if it has.
    pub last_words: Option<String>,
}

/// Something an operator should know first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Warning {
    /// For scripts.
    pub code: String,
    /// For people.
    pub text: String,
    /// What to do.
    pub remedy: Option<String>,
}

/// How a part is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Does its work.
    Ready,
    /// Is coming up.
    Starting,
    /// An earlier run of it is being looked at.
    Adopting,
    /// Alive, but not well.
    Degraded,
    /// Waits a moment before the next try.
    Backoff,
    /// Keeps failing; tried again every few minutes.
    CrashLoop,
    /// Cannot work until something changes.
    Blocked,
    /// Is ending.
    Stopping,
    /// Was told to be down.
    Stopped,
    /// Is not in use.
    Off,
    /// Something a newer daemon knows.
    #[default]
    #[serde(other)]
    Unknown,
}

impl State {
    /// The word for scripts, as in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::CrashLoop => "crash_loop",
            other => other.word(),
        }
    }

    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Adopting => "adopting",
            Self::Degraded => "degraded",
            Self::Backoff => "backoff",
            Self::CrashLoop => "crash loop",
            Self::Blocked => "blocked",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Off => "off",
            Self::Unknown => "unknown",
        }
    }

    /// True if nothing needs an operator.
    pub fn is_fine(self) -> bool {
        matches!(self, Self::Ready | Self::Off)
    }
}

/// One part of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Component {
    /// `store`, `hub`, `redis`, `tunnel`.
    pub name: String,
    /// How it is doing.
    pub state: State,
    /// True if the daemon is not ready without it.
    pub required: bool,
    /// Since when, milliseconds since the epoch.
    pub since: i64,
    /// Its process, if it is one and lives.
    pub pid: Option<u32>,
    /// True if it was taken over from an earlier daemon.
    pub adopted: bool,
    /// Restarts in the last 24 hours.
    pub restarts_24h: u32,
    /// Restarts since the daemon started.
    pub restarts_total: u64,
    /// How it last ended.
    pub last_exit: Option<LastExit>,
    /// When the next try is due, milliseconds since the epoch.
    pub next_retry_at: Option<i64>,
    /// Why it is in this state, for scripts.
    pub reason: Option<String>,
    /// Facts worth a glance.
    pub detail: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// How a child last ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastExit {
    /// When, milliseconds since the epoch.
    pub at: i64,
    /// `exit 1`, `signal 9`, ...
    pub how: String,
    /// How long it had been up.
    pub uptime_ms: u64,
    /// Its last lines of output.
    pub last_lines: Vec<String>,
}

/// Where the hub listens and who is connected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hub {
    /// Bound addresses.
    pub listen: Vec<String>,
    /// What agents are told to call.
    pub url: String,
    /// Connected clients of the raw WebSocket.
    pub raw_clients: usize,
    /// Connected desktop clients.
    pub ui_clients: usize,
    /// Connected phones.
    pub mobile_clients: usize,
    /// Number of the newest event.
    pub seq: u64,
    /// Where Prometheus may read metrics besides the control socket.
    pub metrics: Option<String>,
}

/// Agents by verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentCounts {
    /// Known to be alive.
    pub alive: usize,
    /// Running, but not heard of.
    pub silent: usize,
    /// Known to be dead.
    pub dead: usize,
    /// Sessions that wait for a person's answer.
    pub waiting: usize,
    /// Since when the one that waits longest, milliseconds since the epoch.
    pub waiting_since: Option<i64>,
}

/// Where things lie.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Places {
    /// Entities.
    pub data_dir: String,
    /// Locks, records, logs of children.
    pub state_dir: String,
    /// Sockets.
    pub runtime_dir: String,
    /// The configuration file that was read.
    pub config_file: Option<String>,
}

/// The way in from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TunnelReport {
    /// `off`, `quick`, `named`, `token`, `external`.
    pub mode: String,
    /// The same as in the status.
    pub state: State,
    /// The public address, while it is known.
    pub url: Option<String>,
    /// A quick tunnel: no promise, and another address at each start.
    pub trial: bool,
    /// Connections to Cloudflare.
    pub connections: u32,
    /// Why it is in this state, for scripts.
    pub reason: Option<String>,
    /// The same for people, with what is known besides.
    pub detail: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// The socket that its origin has to be.
    pub ingress: String,
    /// The latest question to the public address, if there was one.
    pub checked: Option<TunnelCheck>,
}

/// A question to the public address whether it leads to this very process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TunnelCheck {
    /// When, milliseconds since the epoch.
    pub at: i64,
    /// How long it took.
    pub took_ms: u64,
    /// It does.
    pub ok: bool,
    /// What else, for scripts: `no_connector`, `wrong_answer`, `ingress_dead`, `foreign_answer`, `unreachable`.
    pub code: Option<String>,
    /// What was seen, for people.
    pub seen: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// What can be done to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildAct {
    /// It shall run.
    Start,
    /// It shall not.
    Stop,
    /// It shall run anew.
    Restart,
}

impl ChildAct {
    /// The word in the path and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// Whose log is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// The daemon's own.
    Hub,
    /// A child's output.
    Child(String),
}

impl LogSource {
    /// `hub`, or a child's name.
    pub fn parse(word: &str) -> Self {
        if word == "hub" {
            Self::Hub
        } else {
            Self::Child(word.to_owned())
        }
    }
}

/// What can be asked about mail. Ids as the operator wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailAsk {
    /// A session's inbox, or the newest mail.
    List {
        /// Whose inbox.
        session: Option<String>,
        /// Only of this project.
        project: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// One mail.
    Show(String),
    /// The conversation it belongs to.
    Thread(String),
    /// It shall be gone, for everybody.
    Delete(String),
}

/// One step of something that takes a while; a line each, ending in `done` or `failed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Progress {
    /// So many of so many.
    Working {
        /// What is being done.
        what: String,
        /// Finished so far.
        done: u64,
        /// In all, if known.
        total: Option<u64>,
    },
    /// The end, with a report.
    Done {
        /// What was done, in the order to be shown.
        report: serde_json::Value,
    },
    /// The end, with a reason.
    Failed {
        /// Why, and what to do.
        problem: Problem,
    },
}

/// Why something asked for was not done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// For scripts.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
}

impl Problem {
    /// A problem without a remedy.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            remedy: None,
        }
    }

    /// The same with what to do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_daemon_is_understood() {
        let text =
            r#"{"version":1,"at":5,"moon":"full","components":[{"name":"x","state":"levitating","tide":3}]}"#;
        let status: Status = serde_json::from_str(text).unwrap();
        assert_eq!(status.components[0].state, State::Unknown);
        assert_eq!(status.at, 5);
    }
}
