//! How patient we are with one child: every limit the state machine obeys, as values.
//!
//! Nothing here reads a clock or draws a random number; tests shorten the values, production takes the defaults.

use std::time::Duration;

/// The limits of one child. The defaults are those of a local server such as Redis.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// A start that is not ready after this is ended; a probe may ask for more (see `Outcome::Progress`).
    pub start_timeout: Duration,
    /// How often readiness is asked, by the time since the spawn; the last row holds for the rest.
    pub ready_probe: Vec<(Duration, Duration)>,
    /// How long a child that was adopted has to prove by its own protocol that it is well.
    pub adopt_timeout: Duration,
    /// Pause between two liveness probes of a ready child.
    pub live_interval: Duration,
    /// One probe answers within this or has failed.
    pub probe_timeout: Duration,
    /// So many failed probes in a row make a ready child degraded.
    pub misses: u32,
    /// A child degraded for so long is ended and replaced.
    pub degraded_limit: Duration,
    /// The same limit when the kernel says the process is stopped: it cannot recover by waiting.
    pub frozen_limit: Duration,
    /// The same limit for a child that is hung (see `Outcome::Hung`).
    pub hung_limit: Duration,
    /// The same limit shortly after a wake or a network change, where that is a likely cause.
    pub degraded_limit_after_nudge: Duration,
    /// How long after a wake or a network change the limit above holds.
    pub nudge_memory: Duration,
    /// Probes pause for this after the machine woke up.
    pub wake_pause: Duration,
    /// At least this long between two restarts for being degraded.
    pub min_restart_interval: Duration,
    /// Ready for this long without a break (not counting suspended time) is success; failures are forgotten.
    pub stable_after: Duration,
    /// From TERM to CONT: a stopped process hears TERM only when it is continued.
    pub cont_after: Duration,
    /// From TERM to KILL.
    pub kill_after: Duration,
    /// From KILL to the next KILL, for a process the kernel does not let go of.
    pub kill_again: Duration,
    /// Delays between failures.
    pub backoff: Backoff,
    /// At most so many spawns in `spawn_window`, whatever the cause.
    pub spawn_limit: usize,
    /// See `spawn_limit`.
    pub spawn_window: Duration,
    /// How often the cause of a blocked child is looked at.
    pub recheck_interval: Duration,
    /// How often the lock of an orphan we cannot verify is looked at.
    pub orphan_interval: Duration,
    /// A blocked child is tried again after this even if we cannot see that its cause went away.
    pub blocked_retry: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        const fn ms(ms: u64) -> Duration {
            Duration::from_millis(ms)
        }
        const fn secs(secs: u64) -> Duration {
            Duration::from_secs(secs)
        }
        Policy {
            start_timeout: secs(10),
            ready_probe: vec![(ms(250), ms(5)), (secs(2), ms(50)), (Duration::MAX, ms(500))],
            adopt_timeout: secs(5),
            live_interval: secs(2),
            probe_timeout: secs(1),
            misses: 3,
            degraded_limit: secs(30),
            frozen_limit: Duration::ZERO,
            hung_limit: secs(10),
            degraded_limit_after_nudge: secs(30),
            nudge_memory: secs(60),
            wake_pause: secs(5),
            min_restart_interval: Duration::ZERO,
            stable_after: secs(60),
            cont_after: ms(500),
            kill_after: secs(5),
            kill_again: secs(1),
            backoff: Backoff::default(),
            spawn_limit: 20,
            spawn_window: secs(300),
            recheck_interval: secs(5),
            orphan_interval: secs(1),
            blocked_retry: secs(300),
        }
    }
}

impl Policy {
    /// Pause before the next readiness probe of a child that was spawned `age` ago.
    pub fn ready_interval(&self, age: Duration) -> Duration {
        let row = self.ready_probe.iter().find(|(until, _)| age < *until);
        row.or(self.ready_probe.last())
            .map_or(self.live_interval, |(_, pause)| *pause)
    }
}

/// The delays of SUPERVISION 4.2. `n` counts failures in a row, from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// The first delay after a run that was not stable (after a stable run it is zero).
    pub first: Duration,
    /// The delays for n = 2, 3, ...; n beyond the end is a crash loop.
    pub steps: Vec<Duration>,
    /// The delays of a crash loop; the last one holds for ever.
    pub crash_loop: Vec<Duration>,
    /// No delay is shorter than this, stable run or not.
    pub floor: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        let ms = |list: &[u64]| list.iter().map(|ms| Duration::from_millis(*ms)).collect();
        Backoff {
            first: Duration::from_millis(250),
            steps: ms(&[500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]),
            crash_loop: ms(&[60_000, 120_000, 240_000, 300_000]),
            floor: Duration::ZERO,
        }
    }
}

/// How long to wait, and whether this still is a backoff.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// A pause between two of the first failures.
    Backoff(Duration),
    /// So many failures in a row that we retry only rarely, and say so.
    CrashLoop(Duration),
}

impl Backoff {
    /// The delay after the `n`-th failure in a row. `jitter` is a factor (0.8 to 1.2) that the caller drew.
    pub fn delay(&self, n: u32, was_stable: bool, jitter: f64) -> Delay {
        let n = n.max(1) as usize;
        let spread = |delay: Duration| delay.mul_f64(jitter.clamp(0.8, 1.2)).max(self.floor);
        if n == 1 {
            let delay = if was_stable { Duration::ZERO } else { self.first };
            return Delay::Backoff(spread(delay));
        }
        if let Some(delay) = self.steps.get(n - 2) {
            return Delay::Backoff(spread(*delay));
        }
        let late = n - 2 - self.steps.len();
        let delay = self.crash_loop.get(late).or(self.crash_loop.last());
        Delay::CrashLoop(spread(delay.copied().unwrap_or(self.first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(n: std::ops::RangeInclusive<u32>) -> Vec<Delay> {
        n.map(|n| Backoff::default().delay(n, false, 1.0)).collect()
    }

    #[test]
    fn delays_follow_the_table_and_end_in_a_crash_loop_of_five_minutes() {
        let ms = |ms| Delay::Backoff(Duration::from_millis(ms));
        let slow = |s| Delay::CrashLoop(Duration::from_secs(s));
        assert_eq!(
            delays(1..=9),
            [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000].map(ms)
        );
        assert_eq!(delays(10..=14), [60, 120, 240, 300, 300].map(slow));
        assert_eq!(Backoff::default().delay(u32::MAX, false, 1.0), slow(300));
    }

    #[test]
    fn a_stable_run_is_followed_by_an_immediate_restart_unless_a_floor_forbids_it() {
        assert_eq!(
            Backoff::default().delay(1, true, 1.2),
            Delay::Backoff(Duration::ZERO)
        );
        let floored = Backoff {
            floor: Duration::from_secs(5),
            ..Backoff::default()
        };
        assert_eq!(
            floored.delay(1, true, 1.0),
            Delay::Backoff(Duration::from_secs(5))
        );
    }

    #[test]
    fn jitter_is_a_fifth_at_most_in_either_direction() {
        let at = |jitter| Backoff::default().delay(3, false, jitter);
        assert_eq!(at(0.0), Delay::Backoff(Duration::from_millis(800)));
        assert_eq!(at(9.0), Delay::Backoff(Duration::from_millis(1_200)));
    }

    #[test]
    fn readiness_is_asked_often_at_first_and_then_less() {
        let policy = Policy::default();
        let pause = |ms| policy.ready_interval(Duration::from_millis(ms)).as_millis();
        assert_eq!(
            [
                pause(0),
                pause(249),
                pause(250),
                pause(1_999),
                pause(2_000),
                pause(900_000)
            ],
            [5, 5, 50, 50, 500, 500]
        );
    }
}
