//! The two clocks of supervision, and its chance. The rules get them as values; only the driver reads them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use super::event::Moment;

#[cfg(any(target_os = "linux", target_os = "android"))]
const COUNTS_SUSPEND: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(any(target_os = "linux", target_os = "android"))]
const SLEEPS: ClockId = ClockId::CLOCK_MONOTONIC;

// On macOS the names mislead: MONOTONIC_RAW goes on during sleep, UPTIME_RAW does not (clock_gettime(3)).
#[cfg(target_os = "macos")]
const COUNTS_SUSPEND: ClockId = ClockId::from_raw(libc::CLOCK_MONOTONIC_RAW);
#[cfg(target_os = "macos")]
const SLEEPS: ClockId = ClockId::from_raw(libc::CLOCK_UPTIME_RAW);

fn read(clock: ClockId) -> Duration {
    // Both clocks exist on every system we run on; zero would only make timers late, never wrong.
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}

/// Time since boot, suspended time included.
pub fn boot() -> Duration {
    read(COUNTS_SUSPEND)
}

/// Now, on both clocks, with a freshly drawn jitter.
pub fn now() -> Moment {
    Moment {
        boot: boot(),
        awake: read(SLEEPS),
        jitter: jitter(),
    }
}

/// Milliseconds since the Unix epoch: for people and files, never for timers.
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Uniform between 0.8 and 1.2. Without a random source everybody retries in step: harmless here.
fn jitter() -> f64 {
    let draw = getrandom::u32().unwrap_or(u32::MAX / 2);
    0.8 + 0.4 * f64::from(draw) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_run_forward_and_jitter_stays_in_its_range() {
        let first = now();
        let second = now();
        assert!(second.boot >= first.boot && second.awake >= first.awake && first.boot > Duration::ZERO);
        assert!((0..200).all(|_| (0.8..=1.2).contains(&jitter())));
    }
}
