//! The clocks that timers about processes stand on: one that counts suspended time, one that does not.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

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

/// Time the machine was awake since boot.
pub fn awake() -> Duration {
    read(SLEEPS)
}

/// Milliseconds since the Unix epoch: for people and files, never for timers.
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_run_forward_and_suspended_time_is_only_added() {
        let (total, up) = (boot(), awake());
        assert!(boot() >= total && awake() >= up && up > Duration::ZERO);
        assert!(boot() >= up, "time asleep only ever adds");
    }
}
