//! What the answers of a living child mean.

use std::time::Duration;

use super::Step;
use crate::supervisor::{
    child::{Phase, Run, Then},
    event::{Action, At, Blocked, Blow, Code, Outcome},
};

impl Step<'_> {
    pub(super) fn probed(&mut self, outcome: Outcome) {
        match (self.child.phase.clone(), outcome) {
            (
                Phase::Starting { run, .. } | Phase::Ready { run, .. } | Phase::Degraded { run, .. },
                Outcome::Foreign(why),
            ) => {
                // Its polite end might take the intruder's socket with it.
                let code = why.code.clone();
                self.end(run, Blow::Kill, Then::Block(why), code);
            }
            (Phase::Starting { run, .. } | Phase::Degraded { run, .. }, Outcome::Ok) => {
                self.ready(run, "probe_ok")
            }
            (Phase::Starting { run, give_up }, outcome) => self.not_ready_yet(run, give_up, outcome),
            (Phase::Ready { since, .. }, Outcome::Ok) => {
                self.note_stability(since);
                if let Phase::Ready { misses, .. } = &mut self.child.phase {
                    *misses = 0;
                }
                self.probe_after(self.policy.live_interval);
            }
            (Phase::Ready { run, since, .. }, Outcome::Hung { code }) => {
                self.note_stability(since);
                self.degrade(run, code, Some(self.degraded_until(Patience::Hung)));
            }
            (Phase::Ready { run, since, .. }, Outcome::Impaired { code }) => {
                self.note_stability(since);
                self.degrade(run, code, None);
            }
            (Phase::Ready { run, since, misses }, outcome) => self.missed(run, since, misses + 1, outcome),
            (Phase::Degraded { run, give_up, .. }, outcome) => self.still_degraded(run, give_up, outcome),
            // No other phase asks.
            (Phase::Stopped | Phase::Adopting | Phase::Launching { .. } | Phase::Stopping { .. }, _) => {}
            (Phase::Backoff { .. } | Phase::CrashLoop { .. } | Phase::Blocked { .. }, _) => {}
        }
    }

    pub(super) fn not_ready_yet(&mut self, run: Run, give_up: At, outcome: Outcome) {
        match outcome {
            Outcome::Impaired { code } => return self.degrade(run, code, None),
            Outcome::Hung { code } => {
                let give_up = self.degraded_until(Patience::Hung);
                return self.degrade(run, code, Some(give_up));
            }
            Outcome::Progress { allow } => {
                let give_up = give_up.max(run.started + allow);
                self.child.phase = Phase::Starting { run, give_up };
                self.realarm();
            }
            Outcome::Miss { .. } | Outcome::Ok | Outcome::Foreign(_) => {}
        }
        self.probe_after(
            self.policy
                .ready_interval(self.now.boot.saturating_sub(run.started)),
        );
    }

    pub(super) fn missed(&mut self, run: Run, since: Duration, misses: u32, outcome: Outcome) {
        if misses < self.policy.misses {
            self.child.phase = Phase::Ready { run, since, misses };
            return self.probe_after(self.policy.live_interval);
        }
        self.note_stability(since);
        let (code, patience) = miss_reason(outcome);
        self.degrade(run, code, Some(self.degraded_until(patience)));
    }

    pub(super) fn still_degraded(&mut self, run: Run, give_up: Option<At>, outcome: Outcome) {
        let (code, give_up) = match outcome {
            Outcome::Impaired { code } => (code, None),
            outcome => {
                let (code, patience) = miss_reason(outcome);
                let limit = self.degraded_until(patience);
                (code, Some(give_up.map_or(limit, |at| at.min(limit))))
            }
        };
        self.child.phase = Phase::Degraded { run, code, give_up };
        self.realarm();
        self.probe_after(self.policy.live_interval);
    }

    pub(super) fn degrade(&mut self, run: Run, code: Code, give_up: Option<At>) {
        self.enter(
            Phase::Degraded {
                run,
                code: code.clone(),
                give_up,
            },
            code,
        );
        self.probe_after(self.policy.live_interval);
    }

    pub(super) fn degraded_until(&self, patience: Patience) -> At {
        let now = self.now.boot;
        let policy = self.policy;
        match patience {
            Patience::Frozen => return now + policy.frozen_limit,
            Patience::Hung => return now + policy.hung_limit,
            Patience::Silent => {}
        }
        let nudged = self
            .child
            .last_nudge
            .is_some_and(|at| at + policy.nudge_memory > now);
        let limit = if nudged {
            policy.degraded_limit.min(policy.degraded_limit_after_nudge)
        } else {
            policy.degraded_limit
        };
        let not_before = self
            .child
            .last_liveness_kill
            .map_or(now, |at| at + policy.min_restart_interval);
        (now + limit).max(not_before)
    }

    pub(super) fn note_stability(&mut self, since: Duration) {
        if self.now.awake.saturating_sub(since) >= self.policy.stable_after {
            self.child.run_stable = true;
            self.child.repaired = false;
            self.child.n = 0;
        }
    }

    pub(super) fn rechecked(&mut self, cleared: bool) {
        let Phase::Blocked { why, .. } = &self.child.phase else {
            return;
        };
        if cleared {
            return self.launch("cause_cleared", true);
        }
        let after = if why.code == Blocked::ORPHAN {
            self.policy.orphan_interval
        } else {
            self.policy.recheck_interval
        };
        self.actions.push(Action::Recheck {
            g: self.child.g,
            after,
        });
    }
}

/// How long a degraded child is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It may come back by itself.
    Silent,
    /// The kernel says that it is stopped.
    Frozen,
    /// It is there and lost to its work.
    Hung,
}

/// Why a probe did not pass, and what that is worth waiting for.
fn miss_reason(outcome: Outcome) -> (Code, Patience) {
    match outcome {
        Outcome::Miss { code, frozen: true } => (code, Patience::Frozen),
        Outcome::Miss { code, frozen: false } => (code, Patience::Silent),
        Outcome::Hung { code } => (code, Patience::Hung),
        Outcome::Progress { .. } => (Code::Borrowed("loading"), Patience::Silent),
        Outcome::Impaired { code } => (code, Patience::Silent),
        Outcome::Ok | Outcome::Foreign(_) => (Code::Borrowed("probe"), Patience::Silent),
    }
}
