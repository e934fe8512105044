//! Lessons of the field (SUPERVISION 2), and the guard against spinning, as stories.

use std::time::Duration;

use super::stories::{Story, launches, ms, secs, signals};
use crate::supervisor::event::{Blow, Event, Exit, Fault, Outcome, State};

#[test]
fn lesson_1_backoff_forgets_after_a_minute_of_being_ready() {
    let mut s = Story::ready();
    for _ in 0..6 {
        s.pass(secs(1)).exited();
        s.wait_for_retry();
        s.launched(8);
        s.probed(Outcome::Ok);
    }
    assert_eq!(s.child.n, 6);
    s.pass(secs(61)).probed(Outcome::Ok);
    assert_eq!(s.child.n, 0);
    assert_eq!(launches(&s.exited()), 1, "the first step again");
    assert_eq!((s.child.n, s.child.restarts_total), (1, 7));
}

#[test]
fn lesson_1_time_asleep_is_not_time_ready() {
    let mut s = Story::ready();
    s.suspend(secs(36_000)).pass(secs(1)).exited();
    assert_eq!((s.state(), s.delay()), (State::Backoff, ms(250)));
}

/// Spawns within `time` of a child that dies at once, with honest jitter; the story goes on from there.
fn crash_for(s: &mut Story, time: Duration) -> usize {
    let end = s.now.boot + time;
    let mut spawns = 0;
    while s.child.next_retry().is_some_and(|at| at <= end) {
        spawns += launches(&s.wait_for_retry());
        if s.state() == State::Starting {
            s.now.jitter = 0.8 + 0.4 * ((spawns * 7 % 11) as f64 / 10.0);
            s.launched(8);
            s.exited();
        }
    }
    spawns
}

#[test]
fn lesson_2_a_child_like_bin_false_neither_dies_silently_nor_spins() {
    let mut s = Story::new();
    s.tell(Event::Start);
    s.launched(7);
    s.exited();
    let first = 1 + crash_for(&mut s, secs(600));
    assert!(first <= 15, "{first} spawns in ten minutes");
    assert_eq!(s.state(), State::CrashLoop);
    assert!(
        crash_for(&mut s, secs(1_200)) >= 3,
        "still trying at thirty minutes"
    );
    let day = first + crash_for(&mut s, secs(86_400 - 1_800));
    assert!(day <= 320, "{day} spawns in a day");
}

#[test]
fn lesson_3_a_child_that_dies_shortly_after_ready_ends_in_a_crash_loop() {
    let mut s = Story::new();
    s.tell(Event::Start);
    for _ in 0..10 {
        s.launched(7);
        s.pass(ms(200)).probed(Outcome::Ok);
        s.pass(ms(1_800)).exited();
        if s.state() == State::Backoff {
            s.wait_for_retry();
        }
    }
    assert_eq!((s.state(), s.delay()), (State::CrashLoop, secs(60)));
}

#[test]
fn lesson_4_intent_beats_whatever_is_in_flight() {
    let mut s = Story::ready();
    s.tell(Event::Stop { kill_after: None });
    s.tell(Event::Start);
    assert_eq!(s.state(), State::Stopping, "the old one must be gone first");
    let old = s.run();
    assert_eq!(launches(&s.exited()), 1);
    s.launched(8);
    let late = s.tell(Event::Exited {
        run: old,
        exit: Exit::Code(0),
        fault: Fault::transient("exited"),
    });
    assert_eq!(
        (late, s.state()),
        (vec![], State::Starting),
        "an exit of the old process is not news"
    );
}

#[test]
fn no_cause_makes_more_than_twenty_spawns_in_five_minutes() {
    let mut s = Story::ready();
    let mut spawns = 1;
    for _ in 0..100 {
        s.pass(secs(1));
        spawns += launches(&s.tell(Event::Restart)) + launches(&s.exited());
        if s.state() == State::Starting {
            s.launched(8);
        }
    }
    assert_eq!(
        (spawns, s.state(), s.last().reason.as_ref()),
        (20, State::Backoff, "spawn_guard")
    );
    assert_eq!(launches(&s.wait_for_retry()), 1, "but it comes back by itself");
}

/// The patience that a named tunnel gets (SUPERVISION 4.3).
fn tunnel(ready: bool) -> Story {
    let mut s = if ready { Story::ready() } else { Story::new() };
    s.policy.degraded_limit = secs(90);
    s.policy.min_restart_interval = secs(300);
    s.policy.live_interval = secs(5);
    s
}

fn lose(s: &mut Story) {
    (0..3).for_each(|_| drop(s.pass(secs(5)).probed(Outcome::miss("edge_lost"))));
    assert_eq!(s.state(), State::Degraded);
}

#[test]
fn lesson_19_a_tunnel_lost_for_89_seconds_is_left_alone_and_for_91_is_replaced_once() {
    let mut s = tunnel(true);
    lose(&mut s);
    assert_eq!(signals(&s.pass(secs(89)).alarm()), []);
    s.probed(Outcome::Ok);
    assert_eq!((s.state(), s.child.restarts_total), (State::Ready, 0));
    lose(&mut s);
    assert_eq!(signals(&s.pass(secs(91)).alarm()), [Blow::Term]);
    s.exited();
    s.wait_for_retry();
    assert_eq!(s.child.restarts_total, 1);
}

#[test]
fn a_tunnel_that_stays_lost_is_replaced_once_in_five_minutes() {
    let mut s = tunnel(true);
    lose(&mut s);
    s.pass(secs(91)).alarm();
    s.exited();
    s.wait_for_retry();
    s.launched(8);
    s.pass(secs(1)).probed(Outcome::Ok);
    lose(&mut s);
    assert_eq!(signals(&s.pass(secs(91)).alarm()), [], "not again so soon");
    assert_eq!(signals(&s.pass(secs(200)).alarm()), [Blow::Term]);
}

#[test]
fn a_hung_child_is_found_at_once_and_has_ten_seconds_whatever_came_before() {
    let mut s = tunnel(true);
    lose(&mut s);
    s.pass(secs(91)).alarm();
    s.exited();
    s.wait_for_retry();
    s.launched(8);
    s.pass(secs(1)).probed(Outcome::Ok);
    let hung = || Outcome::Hung { code: "hung".into() };
    s.pass(secs(5)).probed(hung());
    assert_eq!((s.state(), s.last().reason.as_ref()), (State::Degraded, "hung"));
    s.pass(secs(5)).probed(hung());
    assert_eq!(signals(&s.pass(secs(4)).alarm()), []);
    assert_eq!(signals(&s.pass(secs(1)).alarm()), [Blow::Term]);
}

#[test]
fn a_child_that_hangs_while_it_starts_is_not_given_the_whole_time_to_start() {
    let mut s = tunnel(false);
    s.policy.start_timeout = secs(60);
    s.tell(Event::Start);
    s.launched(7);
    s.pass(secs(1)).probed(Outcome::Hung {
        code: "flooding".into(),
    });
    assert_eq!(s.state(), State::Degraded);
    assert_eq!(signals(&s.pass(secs(10)).alarm()), [Blow::Term]);
}
