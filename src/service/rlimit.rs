//! The limit of open files: its soft value is a default for programs that use `select`, which we do not.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More than this helps nobody, and some programs loop over all of it.
const ENOUGH: u64 = 65_536;
/// What macOS allows at least, whatever the hard limit says (`OPEN_MAX`).
const MACOS_OPEN_MAX: u64 = 10_240;

/// The soft limit before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    pub before: u64,
    pub now: u64,
}

/// Which soft limits to try, best first; empty if the present one is good enough.
fn candidates(soft: u64, hard: u64) -> Vec<u64> {
    let best = hard.min(ENOUGH);
    let mut all = vec![best, best.min(MACOS_OPEN_MAX)];
    all.retain(|limit| *limit > soft);
    all.dedup();
    all
}

/// Raises the soft limit as far as the hard one allows, within reason. Never lowers it.
///
/// # Errors
/// If the limits cannot be read; a limit that cannot be raised is simply not raised.
pub fn raise_open_files() -> io::Result<OpenFiles> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let raised = candidates(soft, hard)
        .into_iter()
        .find(|limit| setrlimit(Resource::RLIMIT_NOFILE, *limit, hard).is_ok());
    Ok(OpenFiles {
        before: soft,
        now: raised.unwrap_or(soft),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_is_useful_and_never_lowered() {
        assert_eq!(candidates(256, u64::MAX), [65_536, 10_240]);
        assert_eq!(candidates(1_024, 4_096), [4_096]);
        assert_eq!(candidates(1_024, 524_288), [65_536, 10_240]);
        assert_eq!(candidates(20_000, 524_288), [65_536]);
        assert_eq!(candidates(65_536, 524_288), [0u64; 0]);
        assert_eq!(candidates(100_000, 100_000), [0u64; 0]);
    }

    #[test]
    fn raising_twice_changes_nothing_the_second_time() {
        let first = raise_open_files().expect("limits can be read");
        assert!(first.now >= first.before);
        let second = raise_open_files().expect("limits can be read");
        assert_eq!(
            second,
            OpenFiles {
                before: first.now,
                now: first.now
            }
        );
    }
}
