//! What to do next about one child. No process, clock, channel or chance in here.
//!
//! What is *wanted* and what *is* are two variables. Every phase has its own generation, so an answer or an
//! alarm that belongs to a phase we left is not news; processes are named by run, so neither is an old exit.
//! A launch cannot be called off: its outcome is always waited for, or a process would get lost.

use std::time::Duration;

use super::{
    child::{Child, Phase, Run, Then},
    event::{Action, At, Blocked, Blow, Change, Code, Event, Exit, Found, Moment, Nudge, RunId, Want},
    policy::Policy,
};

mod ending;
mod health;
#[cfg(test)]
mod lessons;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod stories;

/// Decides. Pure: the same arguments give the same answer.
pub fn step(policy: &Policy, child: Child, event: Event, now: Moment) -> (Child, Vec<Action>) {
    let from = child.state();
    let run_before = child.run();
    let mut step = Step {
        policy,
        now,
        child,
        actions: Vec::new(),
        reason: Code::Borrowed(""),
        exit: None,
    };
    step.on(event);
    let to = step.child.state();
    if from != to {
        let run = run_before.or(step.child.run());
        let change = Change {
            from,
            to,
            reason: step.reason,
            exit: step.exit,
            uptime: run.map(|run| now.boot.saturating_sub(run.started)),
            n: step.child.n,
            restarts_total: step.child.restarts_total,
            next_retry: step.child.next_retry(),
        };
        step.actions.push(Action::Publish(change));
    }
    (step.child, step.actions)
}

/// One decision being made.
struct Step<'a> {
    policy: &'a Policy,
    now: Moment,
    child: Child,
    actions: Vec<Action>,
    reason: Code,
    exit: Option<Exit>,
}

impl Step<'_> {
    fn on(&mut self, event: Event) {
        match event {
            Event::Start => self.start(false),
            Event::Restart => self.start(true),
            Event::Stop { kill_after } => self.stop(kill_after),
            Event::Nudge(nudge) => self.nudge(nudge),
            Event::LockHeld { run } if self.launching(run) => self.lock_held(),
            Event::Launched { run, pid } if self.launching(run) => self.launched(run, pid),
            Event::LaunchFailed { run, fault } if self.launching(run) => self.gone(fault, None),
            Event::Exited { run, exit, fault } if self.child.run().is_some_and(|r| r.id == run) => {
                self.exited(exit, fault)
            }
            Event::Inspected { g, found } if g == self.child.g => self.inspected(found),
            Event::Probed { g, outcome } if g == self.child.g => self.probed(outcome),
            Event::Rechecked { g, cleared } if g == self.child.g => self.rechecked(cleared),
            Event::Alarm { g } if g == self.child.g => self.alarm(),
            // Not news: the answer to a question of an earlier phase, or the end of an earlier process. Spelled
            // out instead of `_`, so that a new event does not compile until someone has thought about it.
            Event::LockHeld { .. }
            | Event::Launched { .. }
            | Event::LaunchFailed { .. }
            | Event::Exited { .. } => {}
            Event::Inspected { .. }
            | Event::Probed { .. }
            | Event::Rechecked { .. }
            | Event::Alarm { .. } => {}
        }
    }

    fn launching(&self, run: RunId) -> bool {
        matches!(self.child.phase, Phase::Launching { run: ours } if ours == run)
    }

    /// Leaves the phase: whatever was pending in it is void.
    fn enter(&mut self, phase: Phase, reason: impl Into<Code>) {
        self.child.g.0 += 1;
        self.child.phase = phase;
        self.reason = reason.into();
        match self.due() {
            Some(at) => self.actions.push(Action::SetAlarm { g: self.child.g, at }),
            None => self.actions.push(Action::ClearAlarm),
        }
    }

    /// When this phase wants to be looked at again.
    fn due(&self) -> Option<At> {
        match self.child.phase {
            Phase::Starting { give_up, .. } => Some(give_up),
            Phase::Degraded { give_up, .. } => give_up,
            Phase::Stopping { next, .. } => Some(next),
            Phase::Backoff { until } | Phase::CrashLoop { until } => Some(until),
            Phase::Blocked { retry_at, .. } => Some(retry_at),
            Phase::Stopped | Phase::Adopting | Phase::Launching { .. } | Phase::Ready { .. } => None,
        }
    }

    // ---- what the operator and the world say ----

    fn start(&mut self, afresh: bool) {
        self.child.want = Want::Up;
        self.child.kill_after = None;
        self.child.n = 0;
        self.child.repaired = false;
        match &mut self.child.phase {
            Phase::Stopped | Phase::Backoff { .. } | Phase::CrashLoop { .. } | Phase::Blocked { .. } => {
                self.launch("operator_start", false)
            }
            Phase::Stopping { then, .. } if !matches!(then, Then::Block(_)) => *then = Then::Asked,
            Phase::Starting { run, .. } | Phase::Ready { run, .. } | Phase::Degraded { run, .. }
                if afresh =>
            {
                let run = *run;
                self.end(run, Blow::Term, Then::Asked, "operator_restart");
            }
            // It is coming up already, or is up.
            Phase::Stopping { .. } | Phase::Adopting | Phase::Launching { .. } => {}
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Degraded { .. } => {}
        }
    }

    fn stop(&mut self, kill_after: Option<Duration>) {
        self.child.want = Want::Down;
        self.child.kill_after = kill_after;
        self.child.n = 0;
        match self.child.phase.clone() {
            Phase::Backoff { .. } | Phase::CrashLoop { .. } | Phase::Blocked { .. } => {
                self.enter(Phase::Stopped, "operator_stop")
            }
            Phase::Starting { run, .. } | Phase::Ready { run, .. } | Phase::Degraded { run, .. } => {
                self.end(run, Blow::Term, Then::Asked, "operator_stop");
            }
            // A second, less patient stop brings the end nearer, never farther.
            Phase::Stopping {
                run,
                blow,
                next,
                kill_at,
                ..
            } => {
                let kill_at = kill_after.map_or(kill_at, |limit| kill_at.min(self.now.boot + limit));
                let next = if blow < Blow::Kill {
                    next.min(kill_at)
                } else {
                    next
                };
                self.child.phase = Phase::Stopping {
                    run,
                    blow,
                    next,
                    kill_at,
                    then: Then::Asked,
                };
                self.actions.push(Action::SetAlarm {
                    g: self.child.g,
                    at: next,
                });
            }
            // What is under way reports back, and finds that it is not wanted.
            Phase::Launching { .. } | Phase::Adopting | Phase::Stopped => {}
        }
    }

    fn nudge(&mut self, nudge: Nudge) {
        let now = self.now.boot;
        self.child.last_nudge = Some(now);
        let pause = match nudge {
            Nudge::Wake => self.policy.wake_pause,
            Nudge::Network => Duration::ZERO,
        };
        match &mut self.child.phase {
            // Once, and without forgetting the failures.
            Phase::Backoff { .. } | Phase::CrashLoop { .. } | Phase::Blocked { .. } => {
                self.launch("nudge", true)
            }
            Phase::Ready { misses, .. } => {
                *misses = 0;
                self.actions.push(Action::Probe {
                    g: self.child.g,
                    after: pause,
                });
            }
            Phase::Degraded { give_up, .. } => {
                *give_up = give_up.map(|at| {
                    at.min(now + self.policy.degraded_limit_after_nudge)
                        .max(now + pause)
                });
                self.actions.push(Action::Probe {
                    g: self.child.g,
                    after: pause,
                });
                self.realarm();
            }
            // Time it spent suspended is no time to start in.
            Phase::Starting { give_up, .. } => {
                *give_up = (*give_up).max(now + self.policy.start_timeout);
                self.realarm();
            }
            Phase::Stopped | Phase::Adopting | Phase::Launching { .. } | Phase::Stopping { .. } => {}
        }
    }

    fn realarm(&mut self) {
        match self.due() {
            Some(at) => self.actions.push(Action::SetAlarm { g: self.child.g, at }),
            None => self.actions.push(Action::ClearAlarm),
        }
    }

    // ---- starting ----

    /// Starts the next run now, unless there were too many of late. `unasked`: it counts as a restart.
    fn launch(&mut self, reason: impl Into<Code>, unasked: bool) {
        let now = self.now.boot;
        let window = self.policy.spawn_window;
        self.child.spawns.retain(|at| *at + window > now);
        if self.child.spawns.len() >= self.policy.spawn_limit {
            let until = self.child.spawns.front().map_or(now, |oldest| *oldest + window);
            return self.enter(Phase::Backoff { until }, "spawn_guard");
        }
        self.child.spawns.push_back(now);
        self.child.restarts_total += u64::from(unasked);
        self.child.last_run.0 += 1;
        self.child.run_stable = false;
        let run = self.child.last_run;
        self.enter(Phase::Launching { run }, reason);
        let repair = std::mem::take(&mut self.child.repair_due);
        self.actions.push(Action::Launch { run, repair });
    }

    fn launched(&mut self, id: RunId, pid: i32) {
        let run = Run {
            id,
            pid,
            started: self.now.boot,
            adopted: false,
        };
        if self.child.want == Want::Down {
            return self.end(run, Blow::Term, Then::Asked, "operator_stop");
        }
        self.enter(
            Phase::Starting {
                run,
                give_up: self.now.boot + self.policy.start_timeout,
            },
            "spawned",
        );
        self.probe_after(self.policy.ready_interval(Duration::ZERO));
    }

    fn lock_held(&mut self) {
        self.enter(Phase::Adopting, "lock_held");
        self.actions.push(Action::Inspect { g: self.child.g });
    }

    fn inspected(&mut self, found: Found) {
        let (pid, unfit) = match found {
            Found::Free if self.child.want == Want::Up => return self.launch("lock_free", false),
            Found::Free => return self.enter(Phase::Stopped, "lock_free"),
            Found::Unverified if self.child.want == Want::Up => return self.block(Blocked::orphan()),
            Found::Unverified => return self.enter(Phase::Stopped, Blocked::ORPHAN),
            Found::Ours { pid } => (pid, None),
            Found::Unfit { pid, code, kill } => (pid, Some((code, kill))),
        };
        self.child.last_run.0 += 1;
        self.child.run_stable = false;
        let run = Run {
            id: self.child.last_run,
            pid,
            started: self.now.boot,
            adopted: true,
        };
        self.actions.push(Action::Adopt { run: run.id, pid });
        match unfit {
            None if self.child.want == Want::Up => self.ready(run, "adopted"),
            None => self.end(run, Blow::Term, Then::Asked, "operator_stop"),
            Some((code, kill)) => {
                self.end(run, if kill { Blow::Kill } else { Blow::Term }, Then::Asked, code);
            }
        }
    }

    fn ready(&mut self, run: Run, reason: &'static str) {
        self.enter(
            Phase::Ready {
                run,
                since: self.now.awake,
                misses: 0,
            },
            reason,
        );
        self.probe_after(self.policy.live_interval);
    }

    fn probe_after(&mut self, after: Duration) {
        self.actions.push(Action::Probe {
            g: self.child.g,
            after,
        });
    }
}
