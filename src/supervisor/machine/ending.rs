//! Deadlines, the way out, and what follows an end.

use std::time::Duration;

use super::Step;
use crate::supervisor::{
    child::{Phase, Run, Then},
    event::{Action, At, Blocked, Blow, Code, Exit, Fault, Want},
    policy::Delay,
};

impl Step<'_> {
    pub(super) fn alarm(&mut self) {
        if self.due().is_none_or(|at| at > self.now.boot) {
            return self.realarm();
        }
        match self.child.phase.clone() {
            Phase::Starting { run, .. } => self.end(
                run,
                Blow::Term,
                Then::Fail(Code::Borrowed("start_timeout")),
                "start_timeout",
            ),
            Phase::Degraded { run, code, .. } => {
                self.child.last_liveness_kill = Some(self.now.boot);
                self.end(run, Blow::Term, Then::Fail(code.clone()), code);
            }
            Phase::Stopping {
                run,
                blow,
                kill_at,
                then,
                ..
            } => self.next_blow(run, blow, kill_at, then),
            Phase::Backoff { .. } | Phase::CrashLoop { .. } => self.launch("retry", true),
            Phase::Blocked { .. } => self.launch("blocked_retry", true),
            Phase::Stopped | Phase::Adopting | Phase::Launching { .. } | Phase::Ready { .. } => {}
        }
    }

    pub(super) fn end(&mut self, run: Run, blow: Blow, then: Then, reason: impl Into<Code>) {
        let now = self.now.boot;
        let kill_at = now + self.child.kill_after.unwrap_or(self.policy.kill_after);
        let blow = if kill_at <= now { Blow::Kill } else { blow };
        let next = self.blow_after(blow, kill_at);
        self.enter(
            Phase::Stopping {
                run,
                blow,
                next,
                kill_at,
                then,
            },
            reason,
        );
        self.actions.push(Action::Signal { run: run.id, blow });
    }

    pub(super) fn blow_after(&self, blow: Blow, kill_at: At) -> At {
        let now = self.now.boot;
        match blow {
            Blow::Term => kill_at.min(now + self.policy.cont_after),
            Blow::Cont => kill_at,
            Blow::Kill => now + self.policy.kill_again,
        }
    }

    pub(super) fn next_blow(&mut self, run: Run, blow: Blow, kill_at: At, then: Then) {
        let blow = if blow == Blow::Term && self.now.boot < kill_at {
            Blow::Cont
        } else {
            Blow::Kill
        };
        let next = self.blow_after(blow, kill_at);
        self.child.phase = Phase::Stopping {
            run,
            blow,
            next,
            kill_at,
            then,
        };
        self.actions.push(Action::Signal { run: run.id, blow });
        self.realarm();
    }

    pub(super) fn exited(&mut self, exit: Exit, fault: Fault) {
        match self.child.phase.clone() {
            Phase::Ready { since, .. } => {
                self.note_stability(since);
                self.gone(fault, Some(exit));
            }
            Phase::Stopping {
                then: Then::Fail(code),
                ..
            } => self.gone(Fault::transient(code), Some(exit)),
            Phase::Stopping {
                then: Then::Block(why),
                ..
            } => self.gone(Fault::Permanent(why), Some(exit)),
            Phase::Stopping {
                then: Then::Asked, ..
            } if self.child.want == Want::Up => {
                self.exit = Some(exit);
                self.launch("replaced", false);
            }
            _ => self.gone(fault, Some(exit)),
        }
    }

    /// There is no process (any more): a failure, unless that is what is wanted.
    pub(super) fn gone(&mut self, fault: Fault, exit: Option<Exit>) {
        self.exit = exit;
        if self.child.want == Want::Down {
            self.child.n = 0;
            return self.enter(Phase::Stopped, "operator_stop");
        }
        let was_stable = std::mem::take(&mut self.child.run_stable);
        match fault {
            Fault::RetryNow { code } => self.launch(code, true),
            Fault::Repair { otherwise } if !self.child.repaired => {
                self.child.n += 1;
                self.child.repaired = true;
                self.child.repair_due = true;
                self.launch(otherwise.code, true);
            }
            Fault::Repair { otherwise: why } | Fault::Permanent(why) => {
                self.child.n = self.child.n.saturating_add(1);
                self.block(why);
            }
            Fault::Transient { code, floor } => {
                self.child.n = self.child.n.saturating_add(1);
                self.back_off(code, floor, was_stable);
            }
        }
    }

    pub(super) fn back_off(&mut self, code: Code, floor: Duration, was_stable: bool) {
        let now = self.now.boot;
        match self
            .policy
            .backoff
            .delay(self.child.n, was_stable, self.now.jitter)
        {
            Delay::Backoff(delay) if delay.max(floor).is_zero() => self.launch(code, true),
            Delay::Backoff(delay) => self.enter(
                Phase::Backoff {
                    until: now + delay.max(floor),
                },
                code,
            ),
            Delay::CrashLoop(delay) => self.enter(
                Phase::CrashLoop {
                    until: now + delay.max(floor),
                },
                code,
            ),
        }
    }

    pub(super) fn block(&mut self, why: Blocked) {
        let orphan = why.code == Blocked::ORPHAN;
        let after = if orphan {
            self.policy.orphan_interval
        } else {
            self.policy.recheck_interval
        };
        let retry_at = self.now.boot + self.policy.blocked_retry;
        let code = why.code.clone();
        self.enter(Phase::Blocked { why, retry_at }, code);
        self.actions.push(Action::Recheck {
            g: self.child.g,
            after,
        });
    }
}
