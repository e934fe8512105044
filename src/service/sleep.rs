//! Noticing that the machine slept, or that we were stopped for a while: two clocks that disagree, or a late tick.
//!
//! What follows from a resume (leases, probes, the tunnel) is decided by those who listen.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::info;

use crate::shutdown::TaskGroup;

/// How far the clocks may drift apart between two ticks.
const GAP: Duration = Duration::from_secs(3);
/// How late a tick may be: a stopped process, a frozen virtual machine.
const LATE: Duration = Duration::from_secs(15);
/// How often we look.
pub const TICK: Duration = Duration::from_secs(1);

/// Both clocks, read together. Only differences between samples mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Stands still while the machine sleeps.
    pub awake: Duration,
    /// Goes on while the machine sleeps.
    pub total: Duration,
}

/// Where samples come from.
pub trait Clocks: Send + 'static {
    /// Reads both clocks.
    fn sample(&self) -> Sample;
}

/// Time went by without us: everything we believe about others is uncertain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Counted from 1 since we started.
    pub number: u64,
    /// How long the machine slept.
    pub slept: Duration,
    /// How long the machine ran and we did not.
    pub stalled: Duration,
    /// When we noticed.
    pub at: Instant,
}

/// The rule: feed it a sample every tick.
#[derive(Clone, Copy, Debug)]
pub struct Detector {
    tick: Duration,
    last: Sample,
}

impl Detector {
    /// Starts from a first sample.
    pub fn new(tick: Duration, first: Sample) -> Self {
        Self { tick, last: first }
    }

    /// `Some((slept, stalled))` if more time went by than can be explained by a busy machine.
    pub fn observe(&mut self, now: Sample) -> Option<(Duration, Duration)> {
        let awake = now.awake.saturating_sub(self.last.awake);
        let total = now.total.saturating_sub(self.last.total);
        self.last = now;
        // A `total` that lags behind is a wall clock set back: the portable pair only, and no sleep.
        let slept = total.saturating_sub(awake);
        let stalled = awake.saturating_sub(self.tick);
        (slept > GAP || stalled > LATE).then_some((slept, stalled))
    }
}

/// Watches for resumes until the group stops. `None` until the first one; a listener that was busy sees the last.
pub fn watch(group: &TaskGroup, clocks: impl Clocks, tick: Duration) -> watch::Receiver<Option<Resume>> {
    let (tell, told) = watch::channel(None);
    let mut detector = Detector::new(tick, clocks.sample()); // now, not when the task first runs
    group.spawn("sleep", move |stop| async move {
        let mut ticks = interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Some((slept, stalled)) = detector.observe(clocks.sample()) {
                number += 1;
                info!(
                    ?slept,
                    ?stalled,
                    "resumed: what we knew of others is uncertain now"
                );
                tell.send_replace(Some(Resume {
                    number,
                    slept,
                    stalled,
                    at: Instant::now(),
                }));
            }
        }
    });
    told
}

/// The pair every system has: a wall clock and a monotonic one. A wall clock set forward looks like a sleep,
/// which errs on the safe side.
#[derive(Clone, Copy, Debug)]
pub struct PortableClocks {
    started: std::time::Instant,
}

impl Default for PortableClocks {
    fn default() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

impl Clocks for PortableClocks {
    fn sample(&self) -> Sample {
        Sample {
            awake: self.started.elapsed(),
            total: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }
}

/// The best pair this system has.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub type SystemClocks = kernel::KernelClocks;
/// The best pair this system has.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub type SystemClocks = PortableClocks;

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod kernel {
    use std::time::Duration;

    use nix::time::{ClockId, clock_gettime};

    use super::{Clocks, Sample};

    /// The kernel's own two clocks.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct KernelClocks;

    #[cfg(target_os = "linux")]
    fn ids() -> (ClockId, ClockId) {
        (ClockId::CLOCK_MONOTONIC, ClockId::CLOCK_BOOTTIME)
    }

    /// On macOS it is the *uptime* clock that stands still in sleep; the raw monotonic one goes on.
    #[cfg(target_os = "macos")]
    fn ids() -> (ClockId, ClockId) {
        let id = ClockId::from_raw;
        (id(libc::CLOCK_UPTIME_RAW), id(libc::CLOCK_MONOTONIC_RAW))
    }

    impl Clocks for KernelClocks {
        fn sample(&self) -> Sample {
            // Both clocks exist on every supported kernel; a failure reads as "no time went by".
            let read = |id| clock_gettime(id).map_or(Duration::ZERO, Duration::from);
            let (awake, total) = ids();
            Sample {
                awake: read(awake),
                total: read(total),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    fn at(awake_ms: u64, total_ms: u64) -> Sample {
        Sample {
            awake: Duration::from_millis(awake_ms),
            total: Duration::from_millis(total_ms),
        }
    }

    /// What the detector says after each of the samples that follow `(0, 0)`, in milliseconds.
    fn story(samples: &[(u64, u64)]) -> Vec<Option<(u128, u128)>> {
        let mut detector = Detector::new(TICK, at(0, 0));
        let observe = |(awake, total): &(u64, u64)| detector.observe(at(*awake, *total));
        let verdicts = samples.iter().map(observe);
        verdicts
            .map(|found| found.map(|(slept, stalled)| (slept.as_millis(), stalled.as_millis())))
            .collect()
    }

    #[test]
    fn a_machine_that_is_merely_busy_has_not_slept() {
        assert_eq!(
            story(&[(1_000, 1_000), (4_500, 4_500), (20_000, 20_000)]),
            [None; 3]
        );
        assert_eq!(
            story(&[(1_000, 4_000)]),
            [None],
            "a drift of exactly three seconds is still a drift"
        );
    }

    #[test]
    fn ten_minutes_of_sleep_are_one_resume_and_then_it_is_over() {
        assert_eq!(
            story(&[(1_000, 601_000), (2_000, 602_000)]),
            [Some((600_000, 0)), None]
        );
    }

    #[test]
    fn a_stopped_process_is_a_resume_although_the_machine_never_slept() {
        assert_eq!(
            story(&[(16_000, 16_000)]),
            [None],
            "fifteen seconds late is just not enough"
        );
        assert_eq!(story(&[(16_001, 16_001)]), [Some((0, 15_001))]);
    }

    #[test]
    fn a_wall_clock_set_back_is_no_sleep() {
        let mut detector = Detector::new(TICK, at(0, 100_000));
        assert_eq!(detector.observe(at(1_000, 1_000)), None);
        assert_eq!(detector.observe(at(2_000, 2_000)), None);
    }

    fn advances(clocks: impl Clocks) {
        let first = clocks.sample();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while clocks.sample().awake == first.awake || clocks.sample().total == first.total {
            assert!(std::time::Instant::now() < deadline, "both clocks go on");
            std::thread::yield_now();
        }
        let mut detector = Detector::new(TICK, first);
        assert_eq!(detector.observe(clocks.sample()).map(|(slept, _)| slept), None);
    }

    #[test]
    fn the_clocks_of_this_system_agree_while_it_is_awake() {
        advances(SystemClocks::default());
    }

    #[test]
    fn the_portable_clocks_agree_while_the_system_is_awake() {
        advances(PortableClocks::default());
    }

    struct Scripted(Arc<Mutex<Sample>>);

    impl Clocks for Scripted {
        fn sample(&self) -> Sample {
            *self.0.lock().expect("not poisoned")
        }
    }

    #[tokio::test]
    async fn listeners_are_told_of_every_sleep_by_its_number() {
        let clock = Arc::new(Mutex::new(at(0, 0)));
        let group = TaskGroup::default();
        let mut resumes = watch(&group, Scripted(clock.clone()), Duration::from_millis(1));
        for number in 1..=2 {
            clock.lock().expect("not poisoned").total += Duration::from_secs(3600);
            let told = timeout(Duration::from_secs(20), resumes.changed()).await;
            told.expect("told in time").expect("still watching");
            let resume = resumes.borrow_and_update().expect("a resume");
            assert_eq!((resume.number, resume.slept), (number, Duration::from_secs(3600)));
        }
        assert!(group.close(Duration::from_secs(20)).await);
    }
}
