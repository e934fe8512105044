//! One child as a value: what is wanted of it, what is, and what its past allows.

use std::{collections::VecDeque, time::Duration};

use super::event::{At, Blocked, Blow, Code, Generation, RunId, State, Want};

/// One living process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// Its process id.
    pub pid: i32,
    /// Spawned or adopted at this time.
    pub started: At,
    /// Not our own child in the sense of wait(2).
    pub adopted: bool,
}

/// Why a child is being ended, and so what follows when it is gone.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// The operator asked, or it is to be replaced: what is wanted then decides.
    Asked,
    /// It failed.
    Fail(Code),
    /// It may not run while this lasts.
    Block(Blocked),
}

/// What is. State lives inside the phase it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Nothing runs, nothing is pending.
    Stopped,
    /// Finding out who holds the lock.
    Adopting,
    /// The spawn is under way.
    Launching { run: RunId },
    /// Spawned; ended if not ready at `give_up`.
    Starting { run: Run, give_up: At },
    /// Ready since (awake clock).
    Ready { run: Run, since: Duration, misses: u32 },
    /// Ended at `give_up`, unless a restart would not help.
    Degraded {
        run: Run,
        code: Code,
        give_up: Option<At>,
    },
    /// `blow` was the last one; the next is due at `next`, the deadly one at `kill_at`.
    Stopping {
        run: Run,
        blow: Blow,
        next: At,
        kill_at: At,
        then: Then,
    },
    /// Next attempt then.
    Backoff { until: At },
    /// Next attempt then.
    CrashLoop { until: At },
    /// Next attempt when the cause is gone, or then.
    Blocked { why: Blocked, retry_at: At },
}

/// One child, as far as decisions need to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// What the operator asked for last.
    pub want: Want,
    /// What is.
    pub phase: Phase,
    /// Generation of the phase.
    pub g: Generation,
    /// Failures in a row.
    pub n: u32,
    /// Restarts that nobody asked for.
    pub restarts_total: u64,
    /// Name of the latest run.
    pub last_run: RunId,
    /// The current run was ready long enough.
    pub(super) run_stable: bool,
    pub(super) repaired: bool,
    pub(super) repair_due: bool,
    pub(super) kill_after: Option<Duration>,
    pub(super) spawns: VecDeque<At>,
    pub(super) last_liveness_kill: Option<At>,
    pub(super) last_nudge: Option<At>,
}

impl Default for Child {
    fn default() -> Self {
        Child {
            want: Want::Down,
            phase: Phase::Stopped,
            g: Generation(0),
            n: 0,
            restarts_total: 0,
            last_run: RunId(0),
            run_stable: false,
            repaired: false,
            repair_due: false,
            kill_after: None,
            spawns: VecDeque::new(),
            last_liveness_kill: None,
            last_nudge: None,
        }
    }
}

impl Child {
    /// A child whose runs and restarts are numbered on from an earlier life of the supervisor.
    pub fn resumed(last_run: RunId, restarts_total: u64) -> Child {
        Child {
            last_run,
            restarts_total,
            ..Child::default()
        }
    }

    /// What clients see.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Stopped => State::Stopped,
            Phase::Adopting => State::Adopting,
            Phase::Launching { .. } | Phase::Starting { .. } => State::Starting,
            Phase::Ready { .. } => State::Ready,
            Phase::Degraded { .. } => State::Degraded,
            Phase::Stopping { .. } => State::Stopping,
            Phase::Backoff { .. } => State::Backoff,
            Phase::CrashLoop { .. } => State::CrashLoop,
            Phase::Blocked { .. } => State::Blocked,
        }
    }

    /// The living process, if there is one.
    pub fn run(&self) -> Option<Run> {
        match self.phase {
            Phase::Starting { run, .. }
            | Phase::Ready { run, .. }
            | Phase::Degraded { run, .. }
            | Phase::Stopping { run, .. } => Some(run),
            Phase::Stopped | Phase::Adopting | Phase::Launching { .. } => None,
            Phase::Backoff { .. } | Phase::CrashLoop { .. } | Phase::Blocked { .. } => None,
        }
    }

    /// When the next attempt is due by itself.
    pub fn next_retry(&self) -> Option<At> {
        match self.phase {
            Phase::Backoff { until } | Phase::CrashLoop { until } => Some(until),
            Phase::Blocked { retry_at, .. } => Some(retry_at),
            _ => None,
        }
    }

    /// Why it is blocked, if it is.
    pub fn blocked(&self) -> Option<&Blocked> {
        match &self.phase {
            Phase::Blocked { why, .. } => Some(why),
            _ => None,
        }
    }
}
