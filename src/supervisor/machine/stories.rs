//! Every row of the state table as a story.

use std::time::Duration;

use super::step;
use crate::supervisor::{
    child::Child,
    event::{
        Action, Blocked, Blow, Change, Code, Event, Exit, Fault, Found, Moment, Nudge, Outcome, RunId, State,
        Want,
    },
    policy::Policy,
};

/// A child with a clock. `tell` is the only caller of `step`.
pub(super) struct Story {
    pub(super) policy: Policy,
    pub(super) child: Child,
    pub(super) now: Moment,
    pub(super) changes: Vec<Change>,
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Story {
    pub(super) fn new() -> Story {
        let now = Moment {
            boot: secs(1_000),
            awake: secs(500),
            jitter: 1.0,
        };
        Story {
            policy: Policy::default(),
            child: Child::default(),
            now,
            changes: Vec::new(),
        }
    }

    pub(super) fn pass(&mut self, time: Duration) -> &mut Self {
        self.now.boot += time;
        self.now.awake += time;
        self
    }

    pub(super) fn suspend(&mut self, time: Duration) -> &mut Self {
        self.now.boot += time;
        self
    }

    pub(super) fn tell(&mut self, event: Event) -> Vec<Action> {
        let (child, mut actions) = step(&self.policy, self.child.clone(), event, self.now);
        self.child = child;
        actions.retain(|action| match action {
            Action::Publish(change) => {
                self.changes.push(change.clone());
                false
            }
            _ => true,
        });
        actions
    }

    pub(super) fn run(&self) -> RunId {
        self.child.last_run
    }

    pub(super) fn launched(&mut self, pid: i32) -> Vec<Action> {
        let run = self.run();
        self.tell(Event::Launched { run, pid })
    }

    pub(super) fn probed(&mut self, outcome: Outcome) -> Vec<Action> {
        let g = self.child.g;
        self.tell(Event::Probed { g, outcome })
    }

    pub(super) fn inspected(&mut self, found: Found) -> Vec<Action> {
        let g = self.child.g;
        self.tell(Event::Inspected { g, found })
    }

    pub(super) fn exited_as(&mut self, fault: Fault) -> Vec<Action> {
        let run = self.run();
        self.tell(Event::Exited {
            run,
            exit: Exit::Code(1),
            fault,
        })
    }

    pub(super) fn exited(&mut self) -> Vec<Action> {
        self.exited_as(Fault::transient("exited"))
    }

    pub(super) fn alarm(&mut self) -> Vec<Action> {
        let g = self.child.g;
        self.tell(Event::Alarm { g })
    }

    pub(super) fn rechecked(&mut self, cleared: bool) -> Vec<Action> {
        let g = self.child.g;
        self.tell(Event::Rechecked { g, cleared })
    }

    /// Lets the time of the next attempt come.
    pub(super) fn wait_for_retry(&mut self) -> Vec<Action> {
        let until = self.child.next_retry().expect("an attempt is due");
        let time = until - self.now.boot;
        self.pass(time).alarm()
    }

    pub(super) fn ready() -> Story {
        let mut story = Story::new();
        story.tell(Event::Start);
        story.launched(7);
        story.pass(ms(30)).probed(Outcome::Ok);
        assert_eq!(story.state(), State::Ready);
        story
    }

    pub(super) fn state(&self) -> State {
        self.child.state()
    }

    pub(super) fn delay(&self) -> Duration {
        self.child.next_retry().expect("an attempt is due") - self.now.boot
    }

    pub(super) fn last(&self) -> &Change {
        self.changes.last().expect("something changed")
    }
}

pub(super) fn launches(actions: &[Action]) -> usize {
    actions
        .iter()
        .filter(|action| matches!(action, Action::Launch { .. }))
        .count()
}

pub(super) fn signals(actions: &[Action]) -> Vec<Blow> {
    let blow = |action: &Action| match action {
        Action::Signal { blow, .. } => Some(*blow),
        _ => None,
    };
    actions.iter().filter_map(blow).collect()
}

pub(super) fn probes(actions: &[Action]) -> Vec<Duration> {
    let after = |action: &Action| match action {
        Action::Probe { after, .. } => Some(*after),
        _ => None,
    };
    actions.iter().filter_map(after).collect()
}

// ---- the rows of SUPERVISION 4.1 ----

#[test]
fn a_started_child_is_spawned_probed_and_ready_when_it_answers() {
    let mut s = Story::new();
    assert_eq!(launches(&s.tell(Event::Start)), 1);
    assert_eq!(s.state(), State::Starting);
    assert_eq!(probes(&s.launched(7)), [ms(5)]);
    assert_eq!(
        probes(&s.pass(secs(3)).probed(Outcome::miss("refused"))),
        [ms(500)]
    );
    assert_eq!(probes(&s.probed(Outcome::Ok)), [secs(2)]);
    assert_eq!(s.state(), State::Ready);
    assert_eq!(
        (s.last().from, s.last().reason.as_ref()),
        (State::Starting, "probe_ok")
    );
}

#[test]
fn a_held_lock_leads_to_adoption_instead_of_a_second_process() {
    let mut s = Story::new();
    s.tell(Event::Start);
    let run = s.run();
    let actions = s.tell(Event::LockHeld { run });
    assert_eq!((launches(&actions), s.state()), (0, State::Adopting));
    assert!(matches!(
        actions[..],
        [Action::ClearAlarm, Action::Inspect { .. }]
    ));
    let actions = s.inspected(Found::Ours { pid: 41 });
    assert!(matches!(actions[0], Action::Adopt { pid: 41, .. }));
    assert_eq!(
        (s.state(), s.child.run().map(|r| (r.pid, r.adopted))),
        (State::Ready, Some((41, true)))
    );
}

#[test]
fn an_unfit_orphan_is_ended_in_order_and_then_replaced_without_a_failure() {
    let mut s = Story::new();
    s.tell(Event::Start);
    let run = s.run();
    s.tell(Event::LockHeld { run });
    let unfit = Found::Unfit {
        pid: 41,
        code: Code::Borrowed("config_changed"),
        kill: false,
    };
    assert_eq!(signals(&s.inspected(unfit)), [Blow::Term]);
    assert_eq!(signals(&s.pass(ms(500)).alarm()), [Blow::Cont]);
    assert_eq!(signals(&s.pass(ms(4_500)).alarm()), [Blow::Kill]);
    assert_eq!(launches(&s.exited()), 1);
    assert_eq!((s.child.n, s.last().reason.as_ref()), (0, "replaced"));
}

#[test]
fn an_unverifiable_orphan_blocks_is_never_signalled_and_is_looked_at_every_second() {
    let mut s = Story::new();
    s.tell(Event::Start);
    let run = s.run();
    s.tell(Event::LockHeld { run });
    let actions = s.inspected(Found::Unverified);
    assert_eq!(
        s.child.blocked().map(|b| b.code.as_ref()),
        Some("orphan_unverified")
    );
    assert!(
        actions
            .iter()
            .any(|a| matches!(a, Action::Recheck { after, .. } if *after == secs(1)))
    );
    let again = s.rechecked(false);
    assert!(matches!(again[..], [Action::Recheck { after, .. }] if after == secs(1)));
    assert_eq!(launches(&s.rechecked(true)), 1);
}

#[test]
fn a_start_that_takes_too_long_is_ended_and_counts_as_a_failure() {
    let mut s = Story::new();
    s.tell(Event::Start);
    s.launched(7);
    assert_eq!(signals(&s.pass(secs(10)).alarm()), [Blow::Term]);
    assert_eq!(launches(&s.exited()), 0);
    assert_eq!(
        (s.state(), s.child.n, s.last().reason.as_ref()),
        (State::Backoff, 1, "start_timeout")
    );
}

#[test]
fn a_start_that_says_it_is_loading_gets_the_time_it_asks_for() {
    let mut s = Story::new();
    s.tell(Event::Start);
    s.launched(7);
    s.pass(secs(9)).probed(Outcome::Progress { allow: secs(60) });
    assert_eq!(signals(&s.pass(secs(50)).alarm()), []);
    assert_eq!(signals(&s.pass(secs(1)).alarm()), [Blow::Term]);
}

#[test]
fn an_exit_while_ready_before_it_was_stable_backs_off() {
    let mut s = Story::ready();
    s.pass(secs(2)).exited();
    assert_eq!((s.state(), s.delay(), s.child.n), (State::Backoff, ms(250), 1));
    let change = s.last();
    assert_eq!(
        (change.exit, change.uptime),
        (Some(Exit::Code(1)), Some(ms(2_030)))
    );
    assert_eq!(change.next_retry, s.child.next_retry());
}

#[test]
fn an_exit_after_a_stable_run_is_answered_at_once() {
    let mut s = Story::ready();
    assert_eq!(launches(&s.pass(secs(60)).exited()), 1);
    assert_eq!(
        (s.state(), s.child.n, s.child.restarts_total),
        (State::Starting, 1, 1)
    );
}

#[test]
fn exit_zero_is_a_failure_too_while_the_child_is_wanted() {
    let mut s = Story::ready();
    let run = s.run();
    s.tell(Event::Exited {
        run,
        exit: Exit::Code(0),
        fault: Fault::transient("exited"),
    });
    assert_eq!((s.state(), s.child.n), (State::Backoff, 1));
}

#[test]
fn three_missed_probes_degrade_and_one_answer_repairs() {
    let mut s = Story::ready();
    s.pass(secs(3)).probed(Outcome::miss("timeout"));
    s.pass(secs(3)).probed(Outcome::miss("timeout"));
    assert_eq!(s.state(), State::Ready);
    s.pass(secs(3)).probed(Outcome::miss("timeout"));
    assert_eq!(s.state(), State::Degraded);
    s.pass(secs(3)).probed(Outcome::Ok);
    assert_eq!(s.state(), State::Ready);
}

#[test]
fn a_miss_now_and_then_does_not_add_up() {
    let mut s = Story::ready();
    for _ in 0..20 {
        s.pass(secs(2)).probed(Outcome::miss("timeout"));
        s.pass(secs(2)).probed(Outcome::miss("timeout"));
        s.pass(secs(2)).probed(Outcome::Ok);
    }
    assert_eq!(s.state(), State::Ready);
}

fn degraded(frozen: bool) -> Story {
    let mut s = Story::ready();
    for _ in 0..3 {
        s.pass(secs(3)).probed(Outcome::Miss {
            code: Code::Borrowed("timeout"),
            frozen,
        });
    }
    assert_eq!(s.state(), State::Degraded);
    s
}

#[test]
fn a_child_degraded_for_thirty_seconds_is_ended_and_replaced() {
    let mut s = degraded(false);
    assert_eq!(signals(&s.pass(ms(29_999)).alarm()), []);
    assert_eq!(signals(&s.pass(ms(1)).alarm()), [Blow::Term]);
    s.exited();
    assert_eq!((s.state(), s.last().reason.as_ref()), (State::Backoff, "timeout"));
}

#[test]
fn a_frozen_process_is_not_waited_for() {
    let mut s = degraded(true);
    assert_eq!(signals(&s.alarm()), [Blow::Term]);
    assert_eq!(signals(&s.pass(ms(500)).alarm()), [Blow::Cont]);
}

#[test]
fn a_child_that_answers_but_cannot_work_is_degraded_and_left_alone() {
    let mut s = Story::ready();
    s.probed(Outcome::Impaired {
        code: Code::Borrowed("disk_full"),
    });
    assert_eq!(
        (s.state(), s.last().reason.as_ref()),
        (State::Degraded, "disk_full")
    );
    for _ in 0..100 {
        s.pass(secs(2)).probed(Outcome::Impaired {
            code: Code::Borrowed("disk_full"),
        });
        assert_eq!(signals(&s.alarm()), []);
    }
    s.probed(Outcome::Ok);
    assert_eq!(s.state(), State::Ready);
}

#[test]
fn restarts_for_being_degraded_keep_their_distance() {
    let mut s = Story::ready();
    s.policy.min_restart_interval = secs(300);
    let degrade = |s: &mut Story| (0..3).for_each(|_| drop(s.pass(secs(3)).probed(Outcome::miss("timeout"))));
    degrade(&mut s);
    assert_eq!(signals(&s.pass(secs(30)).alarm()), [Blow::Term]);
    s.exited();
    s.wait_for_retry();
    s.launched(8);
    s.probed(Outcome::Ok);
    degrade(&mut s);
    assert_eq!(signals(&s.pass(secs(30)).alarm()), [], "the second one waits");
    assert_eq!(signals(&s.pass(secs(300)).alarm()), [Blow::Term]);
}

#[test]
fn a_permanent_failure_blocks_and_ends_as_soon_as_its_cause_does() {
    let mut s = Story::new();
    s.tell(Event::Start);
    let run = s.run();
    let why = Blocked::new("binary_missing", "install redis-server");
    let actions = s.tell(Event::LaunchFailed {
        run,
        fault: Fault::Permanent(why),
    });
    assert_eq!(
        (s.state(), s.last().reason.as_ref()),
        (State::Blocked, "binary_missing")
    );
    assert!(
        actions
            .iter()
            .any(|a| matches!(a, Action::Recheck { after, .. } if *after == secs(5)))
    );
    assert!(matches!(s.rechecked(false)[..], [Action::Recheck { .. }]));
    assert_eq!(launches(&s.rechecked(true)), 1);
}

#[test]
fn a_cause_that_cannot_be_seen_to_end_is_tried_again_every_five_minutes() {
    let mut s = Story::ready();
    s.exited_as(Fault::Permanent(Blocked::new("config_rejected", "line 4")));
    assert_eq!((s.state(), s.delay()), (State::Blocked, secs(300)));
    assert_eq!(launches(&s.wait_for_retry()), 1);
}

#[test]
fn a_foreign_server_in_its_place_has_our_child_killed_and_blocks() {
    let mut s = Story::ready();
    let foreign = Outcome::Foreign(Blocked::new("foreign_redis", "pid 99 took our socket"));
    assert_eq!(signals(&s.probed(foreign)), [Blow::Kill]);
    assert_eq!(s.state(), State::Stopping);
    s.exited();
    assert_eq!(
        (s.state(), s.last().reason.as_ref()),
        (State::Blocked, "foreign_redis")
    );
}

#[test]
fn damaged_data_are_repaired_once_and_block_if_that_did_not_help() {
    let damaged = || Fault::Repair {
        otherwise: Blocked::new("data_corrupt", "restore a backup"),
    };
    let mut s = Story::new();
    s.tell(Event::Start);
    s.launched(7);
    assert!(
        s.exited_as(damaged())
            .iter()
            .any(|a| matches!(a, Action::Launch { repair: true, .. }))
    );
    s.launched(8);
    assert_eq!(launches(&s.exited_as(damaged())), 0);
    assert_eq!(
        (s.state(), s.last().reason.as_ref()),
        (State::Blocked, "data_corrupt")
    );
}

#[test]
fn what_was_not_the_childs_fault_is_repeated_without_counting() {
    let mut s = Story::new();
    s.tell(Event::Start);
    s.launched(7);
    assert_eq!(
        launches(&s.exited_as(Fault::RetryNow {
            code: Code::Borrowed("metrics_port_taken")
        })),
        1
    );
    assert_eq!(s.child.n, 0);
}

#[test]
fn a_failure_may_ask_for_a_longer_delay() {
    let mut s = Story::ready();
    s.pass(secs(90));
    s.exited_as(Fault::Transient {
        code: Code::Borrowed("rate_limited"),
        floor: secs(60),
    });
    assert_eq!((s.state(), s.delay()), (State::Backoff, secs(60)));
}

#[test]
fn an_operator_restart_forgets_the_failures_and_starts_at_once() {
    let mut s = Story::ready();
    for _ in 0..5 {
        s.exited();
        s.wait_for_retry();
        s.launched(8);
    }
    s.exited();
    assert_eq!((s.state(), s.child.n), (State::Backoff, 6));
    assert_eq!(launches(&s.tell(Event::Restart)), 1);
    assert_eq!(s.child.n, 0);
}

#[test]
fn an_operator_restart_of_a_ready_child_ends_it_in_order_and_starts_it_again() {
    let mut s = Story::ready();
    assert_eq!(signals(&s.tell(Event::Restart)), [Blow::Term]);
    assert_eq!(launches(&s.pass(ms(100)).exited()), 1);
    assert_eq!((s.child.n, s.child.restarts_total), (0, 0));
}

#[test]
fn a_wake_gives_one_immediate_retry_and_forgets_nothing() {
    let mut s = Story::ready();
    for _ in 0..3 {
        s.exited();
        s.wait_for_retry();
        s.launched(8);
    }
    s.exited();
    let n = s.child.n;
    assert_eq!(launches(&s.tell(Event::Nudge(Nudge::Wake))), 1);
    assert_eq!(
        launches(&s.tell(Event::Nudge(Nudge::Network))),
        0,
        "it is starting already"
    );
    s.launched(9);
    s.exited();
    assert_eq!(s.child.n, n + 1);
}

#[test]
fn a_wake_pauses_probes_and_gives_a_start_its_time_anew() {
    let mut s = Story::ready();
    assert_eq!(probes(&s.tell(Event::Nudge(Nudge::Wake))), [secs(5)]);
    assert_eq!(probes(&s.tell(Event::Nudge(Nudge::Network))), [Duration::ZERO]);
    let mut s = Story::new();
    s.tell(Event::Start);
    s.launched(7);
    s.suspend(secs(3_600)).tell(Event::Nudge(Nudge::Wake));
    assert_eq!(signals(&s.alarm()), []);
    assert_eq!(s.state(), State::Starting);
}

#[test]
fn after_a_network_change_a_degraded_child_has_less_time() {
    let mut s = Story::ready();
    s.policy.degraded_limit = secs(90);
    s.policy.degraded_limit_after_nudge = secs(20);
    (0..3).for_each(|_| drop(s.pass(secs(5)).probed(Outcome::miss("not_connected"))));
    assert_eq!(s.state(), State::Degraded);
    s.pass(secs(10)).tell(Event::Nudge(Nudge::Network));
    assert_eq!(signals(&s.pass(secs(19)).alarm()), []);
    assert_eq!(signals(&s.pass(secs(1)).alarm()), [Blow::Term]);
}

#[test]
fn stopping_is_term_then_cont_then_kill_and_kill_again() {
    let mut s = Story::ready();
    assert_eq!(signals(&s.tell(Event::Stop { kill_after: None })), [Blow::Term]);
    assert_eq!(signals(&s.pass(ms(500)).alarm()), [Blow::Cont]);
    assert_eq!(signals(&s.pass(ms(4_499)).alarm()), []);
    assert_eq!(signals(&s.pass(ms(1)).alarm()), [Blow::Kill]);
    assert_eq!(signals(&s.pass(secs(1)).alarm()), [Blow::Kill]);
    s.exited();
    assert_eq!((s.state(), s.child.want), (State::Stopped, Want::Down));
}

#[test]
fn a_second_stop_without_patience_kills_at_once() {
    let mut s = Story::ready();
    s.tell(Event::Stop {
        kill_after: Some(secs(3)),
    });
    s.tell(Event::Stop {
        kill_after: Some(Duration::ZERO),
    });
    assert_eq!(signals(&s.alarm()), [Blow::Kill]);
}

#[test]
fn a_stop_during_backoff_crash_loop_or_blocked_is_immediate() {
    let mut s = Story::ready();
    s.exited();
    let g = s.child.g;
    s.tell(Event::Stop { kill_after: None });
    assert_eq!(s.state(), State::Stopped);
    assert_eq!(
        s.pass(secs(10)).tell(Event::Alarm { g }),
        [],
        "the timer died with its generation"
    );
}

#[test]
fn a_stop_while_the_spawn_is_under_way_ends_what_it_brought() {
    let mut s = Story::new();
    s.tell(Event::Start);
    assert_eq!(s.tell(Event::Stop { kill_after: None }), []);
    assert_eq!(signals(&s.launched(7)), [Blow::Term]);
    s.exited();
    assert_eq!(s.state(), State::Stopped);
}

#[test]
fn a_stop_while_adopting_ends_the_orphan_once_it_is_known_to_be_ours() {
    let mut s = Story::new();
    s.tell(Event::Start);
    let run = s.run();
    s.tell(Event::LockHeld { run });
    s.tell(Event::Stop { kill_after: None });
    assert_eq!(signals(&s.inspected(Found::Ours { pid: 41 })), [Blow::Term]);
    s.exited();
    assert_eq!(s.state(), State::Stopped);
}
