//! The words of the state machine: what can happen to a child, and what is to be done about it.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A time since some fixed moment, on the clock that goes on while the machine sleeps.
pub type At = Duration;

/// The times at which something happened, and the chance that goes with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// On the clock that counts suspended time: every timer.
    pub boot: At,
    /// On the clock that does not: stability.
    pub awake: Duration,
    /// A factor between 0.8 and 1.2, drawn by the caller.
    pub jitter: f64,
}

/// A short reason that programs may compare: `exited`, `binary_missing`, ...
pub type Code = Cow<'static, str>;

/// Stamps everything pending in one phase, so that leaving the phase makes it void.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// Names one process from its spawn (or adoption) to its exit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub u64);

/// What the operator asked for; kept apart from what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// It shall run.
    Up,
    /// It shall not.
    Down,
}

/// What a child is, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not running, and not wanted.
    Stopped,
    /// Somebody holds its lock: is that our child of an earlier life?
    Adopting,
    /// Spawned, not ready yet.
    Starting,
    /// It answered as itself.
    Ready,
    /// Alive, but it does not answer, or not usefully.
    Degraded,
    /// Told to end.
    Stopping,
    /// Waiting to be tried again.
    Backoff,
    /// The same after so many failures that somebody should look.
    CrashLoop,
    /// Trying again cannot help until a cause changes.
    Blocked,
}

/// Why trying again cannot help, and what would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// `binary_missing`, `config_rejected`, `foreign_redis`, ...
    pub code: Code,
    /// One or two sentences for the operator: what is wrong and what to do.
    pub remedy: String,
}

impl Blocked {
    /// Code of an earlier child's lock held by we know not whom.
    pub const ORPHAN: &'static str = "orphan_unverified";

    /// A cause with its remedy.
    pub fn new(code: impl Into<Code>, remedy: impl Into<String>) -> Blocked {
        Blocked {
            code: code.into(),
            remedy: remedy.into(),
        }
    }

    /// Someone holds our lock whom we cannot prove to be our child.
    pub fn orphan() -> Blocked {
        Blocked::new(
            Self::ORPHAN,
            "a process holds this child's lock, but it cannot be proven to be the child; \
             end that process (`fuser` on the lock file names it) and the child starts by itself",
        )
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It returned this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It was not our own child, so the kernel does not tell.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
            Exit::Unknown => f.write_str("exit unknown"),
        }
    }
}

/// What a failure means for the next attempt; the child's spec decides (see `Program::classify`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Try again, a little later each time, and not before `floor`.
    Transient {
        /// Why.
        code: Code,
        /// The shortest delay for this kind of failure.
        floor: Duration,
    },
    /// Not the child's fault (say, a port we picked was taken): again at once, not counted.
    RetryNow {
        /// Why.
        code: Code,
    },
    /// Repair its data once, then try again; if that was tried already, block.
    Repair {
        /// Why, and the remedy if the repair did not help.
        otherwise: Blocked,
    },
    /// Trying again cannot help until a cause changes.
    Permanent(Blocked),
}

impl Fault {
    /// An ordinary failure.
    pub fn transient(code: impl Into<Code>) -> Fault {
        Fault::Transient {
            code: code.into(),
            floor: Duration::ZERO,
        }
    }

    /// The reason code.
    pub fn code(&self) -> Code {
        match self {
            Fault::Transient { code, .. } | Fault::RetryNow { code } => code.clone(),
            Fault::Repair { otherwise: blocked } | Fault::Permanent(blocked) => blocked.code.clone(),
        }
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It answered, it is the process we mean, and it is usable.
    Ok,
    /// It is starting and says so: give it this long, counted from its spawn.
    Progress {
        /// The whole time it may take.
        allow: Duration,
    },
    /// No useful answer in time.
    Miss {
        /// Why.
        code: Code,
        /// The kernel says that the process is stopped; it will not recover by waiting.
        frozen: bool,
    },
    /// It is there and lost to its work (an open port that never answers, a loop that floods its log): found at
    /// once, and it has `Policy::hung_limit` to come to itself.
    Hung {
        /// Why.
        code: Code,
    },
    /// It answers but cannot do its work, and a restart would not help (disk full, say).
    Impaired {
        /// Why.
        code: Code,
    },
    /// Somebody else answers in its place.
    Foreign(Blocked),
}

impl Outcome {
    /// No useful answer in time.
    pub fn miss(code: impl Into<Code>) -> Outcome {
        Outcome::Miss {
            code: code.into(),
            frozen: false,
        }
    }
}

/// Who holds the lock of a child that we did not start.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Nobody any more.
    Free,
    /// Our child: verified, healthy, and of the configuration we want.
    Ours {
        /// Its process id.
        pid: i32,
    },
    /// Our child, verified, but unhealthy or of another configuration.
    Unfit {
        /// Its process id.
        pid: i32,
        /// Why it cannot stay.
        code: Code,
        /// Its polite end would harm somebody else: kill it.
        kill: bool,
    },
    /// We cannot tell.
    Unverified,
}

/// Something in the world that makes a failed attempt worth repeating now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudge {
    /// The machine was asleep.
    Wake,
    /// The default route or an address changed.
    Network,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It shall run.
    Start,
    /// It shall not; `kill_after` shortens the policy's patience (zero: now).
    Stop {
        /// From TERM to KILL.
        kill_after: Option<Duration>,
    },
    /// It shall run afresh.
    Restart,
    /// A likely moment for a retry.
    Nudge(Nudge),
    /// The launch found the child's lock taken.
    LockHeld {
        /// Of which launch.
        run: RunId,
    },
    /// The process exists.
    Launched {
        /// Of which launch.
        run: RunId,
        /// Its process id.
        pid: i32,
    },
    /// There is no process.
    LaunchFailed {
        /// Of which launch.
        run: RunId,
        /// What that means.
        fault: Fault,
    },
    /// Answer to `Action::Inspect`.
    Inspected {
        /// Of the question.
        g: Generation,
        /// The answer.
        found: Found,
    },
    /// Answer to `Action::Probe`.
    Probed {
        /// Of the question.
        g: Generation,
        /// The answer.
        outcome: Outcome,
    },
    /// Answer to `Action::Recheck`.
    Rechecked {
        /// Of the question.
        g: Generation,
        /// Whether the cause is gone.
        cleared: bool,
    },
    /// The process is gone.
    Exited {
        /// Which.
        run: RunId,
        /// How.
        exit: Exit,
        /// What that means, should it be a failure.
        fault: Fault,
    },
    /// The time of `Action::SetAlarm` has come (or the clock jumped: look again).
    Alarm {
        /// Of the alarm.
        g: Generation,
    },
}

/// The three ways to tell a process to end, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// Please.
    Term,
    /// In case it was stopped and could not hear.
    Cont,
    /// Now.
    Kill,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Take the lock, write the record, spawn. Cannot be called off: its result will be waited for.
    Launch {
        /// The name of the process to be.
        run: RunId,
        /// Repair the data first.
        repair: bool,
    },
    /// Find out who holds the lock.
    Inspect {
        /// To be returned with the answer.
        g: Generation,
    },
    /// Watch this verified process as ours from now on.
    Adopt {
        /// Its name.
        run: RunId,
        /// Its process id.
        pid: i32,
    },
    /// Ask the child how it is.
    Probe {
        /// To be returned with the answer.
        g: Generation,
        /// Wait so long first.
        after: Duration,
    },
    /// Look whether the cause of a blocked child is gone.
    Recheck {
        /// To be returned with the answer.
        g: Generation,
        /// Wait so long first.
        after: Duration,
    },
    /// Signal the process of this run.
    Signal {
        /// Which.
        run: RunId,
        /// How.
        blow: Blow,
    },
    /// One alarm per child: replaces the former.
    SetAlarm {
        /// To be returned with the alarm.
        g: Generation,
        /// When.
        at: At,
    },
    /// No alarm is needed.
    ClearAlarm,
    /// Tell the world.
    Publish(Change),
}

/// One change of state, as the machine knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why.
    pub reason: Code,
    /// How the process ended, if it did.
    pub exit: Option<Exit>,
    /// How long the process had lived, if there is or was one.
    pub uptime: Option<Duration>,
    /// Failures in a row.
    pub n: u32,
    /// Restarts that nobody asked for, ever.
    pub restarts_total: u64,
    /// When the next attempt is due by itself.
    pub next_retry: Option<At>,
}
