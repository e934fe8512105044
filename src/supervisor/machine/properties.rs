//! Random interleavings of everything that can happen, against a small model of the world.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::step;
use crate::supervisor::{
    child::Child,
    event::{
        Action, At, Blocked, Blow, Code, Event, Exit, Fault, Found, Generation, Moment, Nudge, Outcome,
        RunId, State, Want,
    },
    policy::Policy,
};

/// What the world does next. Everything late, doubled or out of date is part of it.
#[derive(Clone, Debug)]
enum Turn {
    Start,
    Stop(Option<u16>),
    Restart,
    Nudge(bool),
    /// The launch under way ends: spawned, lock held, failed, blocked.
    LaunchEnds(u8),
    InspectEnds(u8),
    ProbeEnds(u8),
    RecheckEnds(bool),
    /// The process dies by itself, or of the signal it got.
    Dies(u8),
    /// The alarm rings, at its time.
    Alarm,
    /// An alarm, probe or exit of an earlier generation arrives late.
    Stale(u8),
    Time(u32),
    Suspend(u32),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        2 => Just(Turn::Start),
        2 => prop::option::of(0u16..6_000).prop_map(Turn::Stop),
        2 => Just(Turn::Restart),
        1 => any::<bool>().prop_map(Turn::Nudge),
        5 => any::<u8>().prop_map(Turn::LaunchEnds),
        2 => any::<u8>().prop_map(Turn::InspectEnds),
        5 => any::<u8>().prop_map(Turn::ProbeEnds),
        2 => any::<bool>().prop_map(Turn::RecheckEnds),
        4 => any::<u8>().prop_map(Turn::Dies),
        4 => Just(Turn::Alarm),
        2 => any::<u8>().prop_map(Turn::Stale),
        3 => (0u32..100_000).prop_map(Turn::Time),
        1 => (0u32..10_000_000).prop_map(Turn::Suspend),
    ]
}

/// Everything outside the machine, reduced to what its invariants speak of.
struct World {
    policy: Policy,
    child: Child,
    now: Moment,
    alarm: Option<(Generation, At)>,
    launching: Option<RunId>,
    inspecting: Option<Generation>,
    probing: Option<Generation>,
    rechecking: Option<Generation>,
    live: BTreeSet<RunId>,
    /// An earlier life left a process; it holds the lock.
    orphan: bool,
    launches: Vec<At>,
    intent: Want,
}

impl World {
    fn new(orphan: bool) -> World {
        World {
            policy: Policy::default(),
            child: Child::default(),
            now: Moment {
                boot: Duration::from_secs(9),
                awake: Duration::from_secs(9),
                jitter: 1.0,
            },
            alarm: None,
            launching: None,
            inspecting: None,
            probing: None,
            rechecking: None,
            live: BTreeSet::new(),
            orphan,
            launches: Vec::new(),
            intent: Want::Down,
        }
    }

    fn tell(&mut self, event: Event) {
        match event {
            Event::Start | Event::Restart => self.intent = Want::Up,
            Event::Stop { .. } => self.intent = Want::Down,
            _ => {}
        }
        let (child, actions) = step(&self.policy, self.child.clone(), event, self.now);
        self.child = child;
        for action in actions {
            self.perform(action);
        }
        self.check();
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Launch { run, .. } => {
                assert!(self.live.is_empty(), "a launch beside a living process");
                assert_eq!(self.launching, None, "two launches at once");
                self.launching = Some(run);
                self.launches.push(self.now.boot);
            }
            Action::Adopt { run, .. } => {
                assert!(self.orphan && self.live.is_empty(), "adopted from nowhere");
                self.orphan = false;
                self.live.insert(run);
            }
            Action::Signal { run, .. } => assert!(self.live.contains(&run), "a signal to nobody"),
            Action::Inspect { g } => self.inspecting = Some(g),
            Action::Probe { g, .. } => self.probing = Some(g),
            Action::Recheck { g, .. } => self.rechecking = Some(g),
            Action::SetAlarm { g, at } => self.alarm = Some((g, at)),
            Action::ClearAlarm => self.alarm = None,
            Action::Publish(change) => assert_ne!(change.from, change.to),
        }
    }

    fn check(&self) {
        let g = Some(self.child.g);
        let current = |job: Option<Generation>| job == g;
        assert!(self.live.len() <= 1, "two living children");
        assert_eq!(
            self.child.want, self.intent,
            "the last intent is the one that counts"
        );
        let alarm = self.alarm.is_some_and(|(of, _)| Some(of) == g);
        let pending = alarm
            || self.launching.is_some()
            || current(self.inspecting)
            || (current(self.probing) && !self.live.is_empty())
            || current(self.rechecking);
        if self.intent == Want::Up {
            assert!(pending, "wanted up, but nothing will happen: {:?}", self.child);
        }
        if self.child.state() == State::Stopped {
            assert!(
                self.live.is_empty() && self.launching.is_none(),
                "stopped, but something lives"
            );
        }
        let recent = self
            .launches
            .iter()
            .filter(|at| **at + self.policy.spawn_window > self.now.boot)
            .count();
        assert!(
            recent <= self.policy.spawn_limit,
            "{recent} spawns within the window"
        );
    }

    fn launch_ends(&mut self, how: u8) {
        let Some(run) = self.launching.take() else { return };
        if self.orphan {
            return self.tell(Event::LockHeld { run });
        }
        match how % 8 {
            0 => self.tell(Event::LaunchFailed {
                run,
                fault: Fault::transient("spawn_failed"),
            }),
            1 => self.tell(Event::LaunchFailed {
                run,
                fault: Fault::Permanent(Blocked::new("binary_missing", "")),
            }),
            _ => {
                self.live.insert(run);
                self.tell(Event::Launched { run, pid: 2 });
            }
        }
    }

    fn inspect_ends(&mut self, how: u8) {
        let Some(g) = self.inspecting.take() else { return };
        let code = || Code::Borrowed("config_changed");
        let found = match how % 4 {
            _ if !self.orphan => Found::Free,
            0 => Found::Ours { pid: 3 },
            1 => Found::Unfit {
                pid: 3,
                code: code(),
                kill: how > 127,
            },
            2 => Found::Unverified,
            _ => {
                self.orphan = false;
                Found::Free
            }
        };
        // The answer counts only in the generation that asked: else nobody adopts.
        self.tell(Event::Inspected { g, found });
    }

    fn probe_ends(&mut self, how: u8) {
        let Some(g) = self.probing.take() else { return };
        let code = || Code::Borrowed("timeout");
        let outcome = match how % 9 {
            0..=3 => Outcome::Ok,
            4 => Outcome::Progress {
                allow: Duration::from_secs(30),
            },
            5 | 6 => Outcome::Miss {
                code: code(),
                frozen: how > 127,
            },
            7 if how > 127 => Outcome::Hung { code: code() },
            7 => Outcome::Impaired { code: code() },
            _ => Outcome::Foreign(Blocked::new("foreign_redis", "")),
        };
        self.tell(Event::Probed { g, outcome });
    }

    fn dies(&mut self, how: u8) {
        let Some(run) = self.live.pop_first() else { return };
        let fault = match how % 6 {
            0 => Fault::Permanent(Blocked::new("port_taken", "")),
            1 => Fault::Repair {
                otherwise: Blocked::new("data_corrupt", ""),
            },
            2 => Fault::RetryNow {
                code: Code::Borrowed("metrics_port_taken"),
            },
            _ => Fault::transient("exited"),
        };
        self.tell(Event::Exited {
            run,
            exit: Exit::Signal(9),
            fault,
        });
    }

    fn alarm(&mut self) {
        let Some((g, at)) = self.alarm.take() else { return };
        let wait = at.saturating_sub(self.now.boot);
        self.now.boot += wait;
        self.now.awake += wait;
        self.tell(Event::Alarm { g });
    }

    fn stale(&mut self, how: u8) {
        let g = Generation(self.child.g.0.saturating_sub(1 + u64::from(how % 3)));
        let run = RunId(self.child.last_run.0.saturating_sub(1));
        if g == self.child.g || self.live.contains(&run) {
            return;
        }
        let before = self.child.clone();
        match how % 5 {
            0 => self.tell(Event::Alarm { g }),
            1 => self.tell(Event::Probed {
                g,
                outcome: Outcome::Ok,
            }),
            2 => self.tell(Event::Rechecked { g, cleared: true }),
            3 => self.tell(Event::Inspected {
                g,
                found: Found::Ours { pid: 9 },
            }),
            _ => self.tell(Event::Exited {
                run,
                exit: Exit::Code(0),
                fault: Fault::transient("exited"),
            }),
        }
        assert_eq!(before, self.child, "old news changed something");
    }

    fn turn(&mut self, turn: Turn) {
        let ms = |ms: u32| Duration::from_millis(u64::from(ms));
        match turn {
            Turn::Start => self.tell(Event::Start),
            Turn::Restart => self.tell(Event::Restart),
            Turn::Stop(limit) => self.tell(Event::Stop {
                kill_after: limit.map(|l| ms(u32::from(l))),
            }),
            Turn::Nudge(wake) => self.tell(Event::Nudge(if wake { Nudge::Wake } else { Nudge::Network })),
            Turn::LaunchEnds(how) => self.launch_ends(how),
            Turn::InspectEnds(how) => self.inspect_ends(how),
            Turn::ProbeEnds(how) => self.probe_ends(how),
            Turn::RecheckEnds(cleared) => {
                if let Some(g) = self.rechecking.take() {
                    self.tell(Event::Rechecked { g, cleared });
                }
            }
            Turn::Dies(how) => self.dies(how),
            Turn::Alarm => self.alarm(),
            Turn::Stale(how) => self.stale(how),
            Turn::Time(time) => {
                self.now.boot += ms(time);
                self.now.awake += ms(time);
            }
            Turn::Suspend(time) => self.now.boot += ms(time),
        }
    }

    /// From here on the world is kind: launches succeed, probes pass, the told die. What becomes of it?
    fn settle(&mut self) -> State {
        const KIND: u8 = 128;
        for _ in 0..200 {
            let goal = match self.intent {
                Want::Up => State::Ready,
                Want::Down => State::Stopped,
            };
            if self.child.state() == goal {
                return goal;
            }
            if self.launching.is_some() {
                self.launch_ends(KIND + 2);
            } else if self.inspecting == Some(self.child.g) {
                self.inspect_ends(0);
            } else if self.child.state() == State::Stopping {
                self.dies(3);
            } else if self.rechecking == Some(self.child.g) {
                self.turn(Turn::RecheckEnds(true));
            } else if self.probing == Some(self.child.g) {
                self.probe_ends(0);
            } else {
                self.alarm();
            }
        }
        self.child.state()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_two_alive_and_the_last_intent_wins(
        orphan in any::<bool>(),
        turns in prop::collection::vec(turn(), 1..60),
    ) {
        let mut world = World::new(orphan);
        for turn in turns {
            world.turn(turn);
        }
        let goal = if world.intent == Want::Up { State::Ready } else { State::Stopped };
        prop_assert_eq!(world.settle(), goal);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stop_is_never_taken_back_by_time_or_the_world(
        turns in prop::collection::vec(turn(), 1..30),
        after in prop::collection::vec(turn(), 1..30),
    ) {
        let mut world = World::new(false);
        turns.into_iter().for_each(|turn| world.turn(turn));
        world.tell(Event::Stop { kill_after: None });
        let launches = world.launches.len();
        let unasked = |turn: &Turn| !matches!(turn, Turn::Start | Turn::Restart);
        after.into_iter().filter(unasked).for_each(|turn| world.turn(turn));
        prop_assert_eq!(world.launches.len(), launches, "a launch nobody asked for");
        prop_assert_eq!(world.settle(), State::Stopped);
    }

    #[test]
    fn a_process_told_to_end_gets_ever_stronger_signals(patience in 0u64..9_000, rings in 3usize..9) {
        let policy = Policy::default();
        let mut now = Moment { boot: Duration::from_secs(9), awake: Duration::ZERO, jitter: 1.0 };
        let mut child = Child::default();
        let mut blows = Vec::new();
        let stop = Event::Stop { kill_after: Some(Duration::from_millis(patience)) };
        for event in [Event::Start, Event::Launched { run: RunId(1), pid: 5 }, stop] {
            let (next, actions) = step(&policy, child, event, now);
            child = next;
            blows.extend(actions);
        }
        for _ in 0..rings {
            now.boot += policy.kill_after;
            let g = child.g;
            let (next, actions) = step(&policy, child, Event::Alarm { g }, now);
            child = next;
            blows.extend(actions);
        }
        let blows: Vec<Blow> = blows.into_iter().filter_map(|a| match a {
            Action::Signal { blow, .. } => Some(blow),
            _ => None,
        }).collect();
        prop_assert!(blows.is_sorted(), "{:?}", blows);
        prop_assert_eq!(blows.last(), Some(&Blow::Kill));
    }
}
