//! Stories of the registry: time is an argument, so hours take no time.

use std::time::Duration;

use proptest::prelude::*;

use crate::domain::{Millis, SessionId, Verdict};
use crate::process::{Identity, Life};

use super::{
    judge::Process,
    record::Record,
    registry::{Full, Now, Registry},
};

const TTL: u64 = 30;

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn at(s: u64) -> Now {
    at_ms(s * 1000)
}

fn at_ms(ms: u64) -> Now {
    Now {
        boot: Duration::from_millis(ms),
        wall: Millis(ms.cast_signed()),
    }
}

fn session(id: &str) -> SessionId {
    SessionId::parse(id).expect("an id")
}

fn identity(pid: i32) -> Identity {
    Identity {
        pid,
        token: 7,
        boot: "b".into(),
    }
}

fn elsewhere(id: &str) -> (Record, Process) {
    let record = Record {
        session: session(id),
        pid: Some(4711),
        host: "far".into(),
        started_at: None,
        ttl: TTL * 1000,
        watch: false,
        identity: None,
    };
    (record, Process::Elsewhere)
}

fn local(id: &str, pid: i32) -> (Record, Process) {
    let (record, _) = elsewhere(id);
    let record = Record {
        pid: Some(pid),
        host: "here".into(),
        identity: Some(identity(pid)),
        ..record
    };
    (record, Process::Running)
}

/// A hub that has been up for an hour.
struct Hub {
    registry: Registry,
    life: Life,
}

impl Hub {
    fn new() -> Self {
        let mut hub = Self {
            registry: Registry::new(100_000, Duration::ZERO),
            life: Life::Alive,
        };
        hub.run(0, 3600);
        hub
    }

    fn beat(&mut self, (record, process): (Record, Process), now: Now) -> bool {
        let noted = self.registry.beat(record, process, true, now).expect("room");
        noted.watch.is_some()
    }

    fn sweep(&mut self, now: Now) {
        let life = self.life;
        self.registry.sweep(now, |_| life, |_| true);
    }

    /// Sweeps every second, as the reconciler does.
    fn run(&mut self, from: u64, to: u64) {
        (from..=to).for_each(|second| self.sweep(at(second)));
    }

    fn verdict(&self, id: &str) -> Verdict {
        self.registry.verdict(&session(id)).expect("known")
    }

    /// Who is to follow a verdict, as the reconciler takes it.
    fn follow(&mut self) -> Vec<(String, Verdict)> {
        let taken = self.registry.take_unsettled(1000, |_| false);
        let named = taken.into_iter().map(|(id, verdict)| (id.to_string(), verdict));
        named.collect()
    }
}

#[test]
fn an_agent_elsewhere_that_falls_silent_is_lost_within_a_ttl_and_a_sweep() {
    let mut hub = Hub::new();
    hub.beat(elsewhere("s"), at(3600));
    assert_eq!(hub.follow(), [], "it was never lost");
    hub.run(3601, 3600 + TTL - 1);
    assert_eq!((hub.verdict("s"), hub.follow()), (Verdict::Alive, vec![]));
    hub.run(3600 + TTL, 3600 + TTL + 1);
    assert_eq!(hub.follow(), [("s".to_owned(), Verdict::Lost)]);
    hub.run(3632, 3700);
    assert_eq!(hub.follow(), [], "it is told once");
    hub.beat(elsewhere("s"), at(3700));
    assert_eq!(hub.follow(), [("s".to_owned(), Verdict::Alive)], "it is back");
}

#[test]
fn a_local_agent_that_falls_silent_is_shown_as_silent_and_never_given_up() {
    let mut hub = Hub::new();
    assert!(hub.beat(local("s", 40), at(3600)), "its process is to be watched");
    hub.run(3601, 9000);
    assert_eq!((hub.verdict("s"), hub.follow()), (Verdict::Silent, vec![]));
    hub.beat(local("s", 40), at(9001));
    assert_eq!((hub.verdict("s"), hub.follow()), (Verdict::Alive, vec![]));
}

#[test]
fn the_end_of_its_process_is_a_verdict_at_once_but_only_from_its_own_watch() {
    let mut hub = Hub::new();
    let (record, process) = local("s", 40);
    let first = hub.registry.beat(record, process, true, at(3600)).expect("room");
    let first = first.watch.expect("watched").1;
    let (record, process) = local("s", 41);
    let second = hub.registry.beat(record, process, true, at(3601)).expect("room");
    let (watched, second) = second.watch.expect("watched anew");
    assert_eq!(watched.pid, 41);
    assert!(
        !hub.registry.ended(&session("s"), first, at(3602)),
        "the former process is not news"
    );
    assert_eq!(hub.verdict("s"), Verdict::Alive);
    assert!(hub.registry.ended(&session("s"), second, at(3602)));
    assert_eq!(hub.follow(), [("s".to_owned(), Verdict::Crashed)]);
}

#[test]
fn a_sign_that_was_on_its_way_when_the_process_ended_revives_nobody_but_a_new_process_does() {
    let mut hub = Hub::new();
    let (record, process) = local("s", 40);
    let watch = hub
        .registry
        .beat(record.clone(), process, true, at(3600))
        .expect("room");
    hub.registry
        .ended(&session("s"), watch.watch.expect("watched").1, at(3601));
    assert_eq!(hub.follow(), [("s".to_owned(), Verdict::Crashed)]);
    let late = Record {
        identity: None,
        ..record
    };
    hub.beat((late, Process::Unverifiable), at(3602));
    assert_eq!((hub.verdict("s"), hub.follow()), (Verdict::Crashed, vec![]));
    assert!(hub.beat(local("s", 41), at(3603)));
    assert_eq!(hub.follow(), [("s".to_owned(), Verdict::Alive)]);
}

#[test]
fn a_sign_without_a_pid_leaves_what_is_known_of_the_process_alone() {
    let mut hub = Hub::new();
    hub.beat(local("s", 40), at(3600));
    let (record, _) = local("s", 40);
    let bare = Record {
        pid: None,
        identity: None,
        ..record
    };
    assert!(!hub.beat((bare, Process::Unverifiable), at(3610)));
    let known = hub.registry.sighting(&session("s")).expect("known");
    assert_eq!(
        (known.pid, known.watched, known.last_seen),
        (Some(40), true, Some(Millis(3_610_000)))
    );
}

#[test]
fn ten_minutes_of_sleep_make_nobody_look_dead() {
    let mut hub = Hub::new();
    for id in ["back", "gone"] {
        hub.beat(elsewhere(id), at(3600));
    }
    hub.beat(local("here", 40), at(3600));
    // The clock counts the sleep; the first sweep after it may come before anybody tells of the resume.
    let wake = 3600 + 600;
    hub.sweep(at(wake));
    assert_eq!(hub.follow(), []);
    hub.run(wake + 1, wake + 8);
    hub.beat(elsewhere("back"), at(wake + 8));
    hub.run(wake + 9, wake + TTL - 1);
    assert_eq!(hub.follow(), []);
    assert_eq!(hub.verdict("here"), Verdict::Alive, "kept, not yet silent");
    hub.run(wake + TTL, wake + TTL + 1);
    assert_eq!(hub.follow(), [("gone".to_owned(), Verdict::Lost)]);
    assert_eq!(
        (hub.verdict("back"), hub.verdict("here")),
        (Verdict::Alive, Verdict::Silent)
    );
}

#[test]
fn after_a_restart_everybody_has_one_ttl_to_say_something_but_the_dead_are_found_at_once() {
    let mut registry = Registry::new(10, secs(50));
    let (record, process) = elsewhere("far");
    assert_eq!(registry.recall(record, process, at(50)), None);
    let (record, process) = local("here", 40);
    assert_eq!(
        registry
            .recall(record, process, at(50))
            .map(|(identity, _)| identity.pid),
        Some(40)
    );
    let (record, _) = local("dead", 41);
    registry.recall(record, Process::Gone, at(50));
    let mut hub = Hub {
        registry,
        life: Life::Alive,
    };
    assert_eq!(hub.follow(), [("dead".to_owned(), Verdict::Crashed)]);
    assert_eq!(
        (hub.verdict("here"), hub.verdict("far")),
        (Verdict::Alive, Verdict::Unknown)
    );
    hub.run(51, 50 + TTL - 1);
    assert_eq!(hub.follow(), []);
    hub.run(50 + TTL, 50 + TTL + 1);
    assert_eq!(hub.follow(), [("far".to_owned(), Verdict::Lost)]);
    assert_eq!(hub.verdict("here"), Verdict::Silent);
}

#[test]
fn while_the_shared_registry_is_away_verdicts_stay_and_one_ttl_after_it_is_back_they_move() {
    let mut hub = Hub::new();
    hub.beat(elsewhere("far"), at(3600));
    hub.beat(local("here", 40), at(3600));
    hub.registry.readable(None);
    hub.run(3601, 5000);
    assert_eq!((hub.verdict("far"), hub.follow()), (Verdict::Alive, vec![]));
    assert_eq!(
        hub.verdict("here"),
        Verdict::Silent,
        "it used to tell us directly"
    );
    hub.registry.readable_from(secs(5000));
    hub.run(5001, 5000 + TTL - 1);
    assert_eq!(hub.follow(), []);
    hub.run(5000 + TTL, 5000 + TTL + 1);
    assert_eq!(hub.follow(), [("far".to_owned(), Verdict::Lost)]);
}

#[test]
fn a_wiped_registry_shortens_nobodys_lease() {
    let mut hub = Hub::new();
    let (record, process) = elsewhere("s");
    hub.registry.beat(record, process, false, at(3600)).expect("room");
    hub.registry.seen(&session("s"), secs(15), at(3600));
    // Gone from the registry at 3601. The agent beats every 10 s, and does so at 3610.
    hub.run(3601, 3610);
    assert_eq!((hub.verdict("s"), hub.follow()), (Verdict::Alive, vec![]));
    hub.registry.seen(&session("s"), secs(15), at(3610));
    hub.run(3611, 3624);
    assert_eq!(hub.verdict("s"), Verdict::Alive);
    hub.run(3625, 3626);
    assert_eq!(hub.follow(), [("s".to_owned(), Verdict::Lost)]);
}

#[test]
fn for_a_process_it_was_asked_to_watch_the_hub_gives_signs_while_it_runs_and_none_while_it_is_stopped() {
    let mut hub = Hub::new();
    let (record, process) = local("s", 40);
    let watched = Record {
        watch: true,
        ..record
    };
    hub.beat((watched, process), at(3600));
    hub.run(3601, 4000);
    assert_eq!(hub.verdict("s"), Verdict::Alive);
    hub.life = Life::Frozen;
    hub.run(4001, 4000 + TTL + 1);
    assert_eq!((hub.verdict("s"), hub.follow()), (Verdict::Silent, vec![]));
    hub.life = Life::Alive;
    hub.run(4032, 4032 + TTL / 3 + 1);
    assert_eq!(hub.verdict("s"), Verdict::Alive);
}

#[test]
fn a_hub_that_is_stopped_while_it_starts_gives_up_nobody_it_then_remembers() {
    let mut hub = Hub {
        registry: Registry::new(100, Duration::ZERO),
        life: Life::Alive,
    };
    let (record, process) = elsewhere("s");
    hub.registry.recall(record, process, at(TTL + 5)); // it was stopped before it came to that
    assert_eq!((hub.verdict("s"), hub.follow()), (Verdict::Unknown, vec![]));
    hub.run(TTL + 5, 2 * TTL + 4);
    assert_eq!(hub.follow(), []);
    hub.run(2 * TTL + 5, 2 * TTL + 7);
    assert_eq!(
        hub.follow(),
        [("s".to_owned(), Verdict::Lost)],
        "now it could be heard for a TTL"
    );
}

#[test]
fn the_registry_has_a_bound_and_forgets_who_left_and_whose_session_is_gone() {
    let mut registry = Registry::new(2, Duration::ZERO);
    let mut beat = |id| {
        let (record, process) = elsewhere(id);
        registry
            .beat(record, process, true, at(1))
            .map(|noted| noted.news)
    };
    assert_eq!((beat("a"), beat("b"), beat("c")), (Ok(true), Ok(true), Err(Full)));
    assert_eq!(beat("a"), Ok(false), "who is known may go on, and is stored once");
    assert!(registry.forget(&session("a")) && !registry.forget(&session("a")));
    let forgotten = (1..100).flat_map(|second| registry.sweep(at(second), |_| Life::Alive, |_| false));
    assert_eq!(forgotten.collect::<Vec<_>>(), [session("b")]);
    assert!(registry.sightings().is_empty() && registry.next_due().is_none());
}

#[test]
fn a_dead_agent_is_shown_for_an_hour() {
    let mut hub = Hub::new();
    hub.beat(elsewhere("s"), at(3600));
    hub.run(3601, 3640);
    assert_eq!(hub.follow(), [("s".to_owned(), Verdict::Lost)]);
    hub.run(3641, 3600 + 3600);
    assert_eq!(hub.verdict("s"), Verdict::Lost);
    hub.run(7201, 7300);
    assert_eq!(hub.registry.sightings(), []);
}

#[test]
fn ten_thousand_agents_are_looked_at_without_effort() {
    let mut hub = Hub::new();
    for n in 0..10_000_u64 {
        hub.beat(elsewhere(&format!("s{n}")), at_ms(3_600_000 + n / 10));
    }
    let began = std::time::Instant::now();
    hub.run(3601, 3600 + TTL - 1);
    let idle = began.elapsed() / (TTL as u32 - 1);
    let began = std::time::Instant::now();
    hub.run(3600 + TTL, 3600 + TTL + 1);
    println!(
        "10,000 agents: {idle:?} a sweep with nobody due, {:?} to find all of them lost",
        began.elapsed()
    );
    let mut lost = hub.registry.take_unsettled(20_000, |_| false);
    lost.retain(|(_, verdict)| *verdict == Verdict::Lost);
    assert_eq!(lost.len(), 10_000);
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Beat,
    Seconds(u64),
    Sleep(u64),
    Away,
    Back,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => Just(Happens::Beat),
        5 => (1..TTL * 2).prop_map(Happens::Seconds),
        1 => (3..100_000_u64).prop_map(Happens::Sleep),
        1 => Just(Happens::Away),
        1 => Just(Happens::Back),
    ]
}

proptest! {
    /// Whatever happens: lost means one whole TTL of silence that we were awake and able to hear, and such a silence
    /// is noticed.
    #[test]
    fn lost_is_exactly_a_ttl_of_silence_that_could_be_heard(story in prop::collection::vec(happens(), 1..40)) {
        let mut hub = Hub::new();
        let (mut now, mut listening_since, mut readable) = (3600, 0, true);
        let mut last_sign = now;
        hub.beat(elsewhere("s"), at(now));
        for event in story {
            match event {
                Happens::Beat => {
                    hub.beat(elsewhere("s"), at(now));
                    last_sign = now;
                }
                Happens::Seconds(seconds) => {
                    for _ in 0..seconds {
                        now += 1;
                        hub.sweep(at(now));
                        if hub.registry.sighting(&session("s")).is_none() {
                            return Ok(()); // dead for an hour
                        }
                        let silent = now - last_sign >= TTL;
                        let heard = readable && now - listening_since >= TTL;
                        let lost = hub.verdict("s") == Verdict::Lost;
                        if lost {
                            prop_assert!(silent);
                        }
                        if silent && heard && now - last_sign > TTL && now - listening_since > TTL {
                            prop_assert!(lost, "at {now}, last sign {last_sign}, listening since {listening_since}");
                        }
                        if !silent {
                            prop_assert_eq!(hub.verdict("s"), Verdict::Alive);
                        }
                    }
                }
                Happens::Sleep(seconds) => {
                    let was = hub.verdict("s");
                    now += seconds;
                    hub.sweep(at(now));
                    if hub.registry.sighting(&session("s")).is_none() {
                        return Ok(());
                    }
                    prop_assert_eq!(hub.verdict("s"), was, "sleep changes no verdict");
                    listening_since = now;
                }
                Happens::Away => {
                    hub.registry.readable(None);
                    readable = false;
                }
                Happens::Back => {
                    hub.registry.readable_from(at(now).boot);
                    if !readable {
                        listening_since = now;
                    }
                    readable = true;
                }
            }
        }
    }
}
