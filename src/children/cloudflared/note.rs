//! What must be known of a run by whoever comes after us: where it answers, and how soon another may begin.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tracing::debug;

use crate::children::files;

/// The run that lives, if one does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RunNote {
    /// The port of its metrics server.
    pub port: u16,
    /// The connector it said it is.
    pub connector: Option<String>,
    /// Where its output begins in the log.
    pub log_from: u64,
}

/// How soon the next may begin, in wall time: it outlives us.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pauses {
    /// When the last one began, ms since the epoch; 0: never.
    pub began_ms: u64,
    /// The pause of the last rate limit, in ms; 0: there was none since it last worked.
    pub limit_ms: u64,
    /// When that pause ends, ms since the epoch.
    pub until_ms: u64,
}

/// The pauses a quick tunnel keeps (SUPERVISION 4.2); values, so that tests need not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuickPauses {
    /// From one start to the next.
    pub between: Duration,
    /// After a first rate limit.
    pub limited_first: Duration,
    /// Doubling up to this.
    pub limited_most: Duration,
}

impl Default for QuickPauses {
    fn default() -> Self {
        Self {
            between: Duration::from_secs(5),
            limited_first: Duration::from_secs(60),
            limited_most: Duration::from_secs(900),
        }
    }
}

impl Pauses {
    /// How long the next start has to wait, and whether that is because of a rate limit. Clocks that were set back do not
    /// make it longer than it can be.
    pub fn left(&self, rule: &QuickPauses, now_ms: u64) -> Option<(Duration, bool)> {
        let until = |at: u64, most: Duration| Duration::from_millis(at.saturating_sub(now_ms)).min(most);
        let limited = until(self.until_ms, rule.limited_most);
        if !limited.is_zero() {
            return Some((limited, true));
        }
        let next = match self.began_ms {
            0 => 0,
            began => began.saturating_add(millis(rule.between)),
        };
        let rest = until(next, rule.between);
        (!rest.is_zero()).then_some((rest, false))
    }

    /// It was refused for being asked too often: how long to wait now.
    pub fn limited(&mut self, rule: &QuickPauses, now_ms: u64) -> Duration {
        let (first, most) = (millis(rule.limited_first), millis(rule.limited_most));
        self.limit_ms = self.limit_ms.saturating_mul(2).clamp(first, most.max(first));
        self.until_ms = now_ms.saturating_add(self.limit_ms);
        Duration::from_millis(self.limit_ms)
    }

    /// It works: the next rate limit is a first one again.
    pub fn works(&mut self) -> bool {
        let limited = self.limit_ms != 0;
        (self.limit_ms, self.until_ms) = (0, 0);
        limited
    }
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    millis(since)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Where the notes lie.
#[derive(Clone, Debug)]
pub(super) struct Notes {
    dir: PathBuf,
}

impl Notes {
    /// In this directory.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn run(&self) -> RunNote {
        read(&self.file("run.json"))
    }

    pub fn pauses(&self) -> Pauses {
        read(&self.file("pauses.json"))
    }

    /// # Errors
    /// The next daemon could not find the run.
    pub fn write_run(&self, run: &RunNote) -> std::io::Result<()> {
        write(&self.file("run.json"), run)
    }

    /// Pauses that cannot be written still hold while we live.
    pub fn write_pauses(&self, pauses: &Pauses) {
        if let Err(error) = write(&self.file("pauses.json"), pauses) {
            debug!(%error, "the pauses of the tunnel could not be written down");
        }
    }
}

/// What cannot be read is as good as never written.
fn read<T: DeserializeOwned + Default>(path: &Path) -> T {
    let text = fs::read(path).ok();
    text.and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

fn write<T: Serialize>(path: &Path, value: &T) -> std::io::Result<()> {
    let text = serde_json::to_string(value).map_err(std::io::Error::other)?;
    files::write_private(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn rate_limits_double_from_a_minute_to_a_quarter_of_an_hour_and_are_forgotten_when_it_works() {
        let rule = QuickPauses::default();
        let mut pauses = Pauses::default();
        let waits: Vec<u64> = (0..6).map(|_| pauses.limited(&rule, NOW).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 900, 900]);
        assert_eq!(pauses.left(&rule, NOW), Some((secs(900), true)));
        assert_eq!(pauses.left(&rule, NOW + 899_000), Some((secs(1), true)));
        assert_eq!(pauses.left(&rule, NOW + 900_000), None);
        assert!(pauses.works() && !pauses.works());
        assert_eq!(pauses.limited(&rule, NOW), secs(60));
    }

    #[test]
    fn starts_keep_their_distance_through_a_restart_of_ours() {
        let dir = tempfile::tempdir().expect("a directory");
        let notes = Notes::new(dir.path().to_owned());
        let rule = QuickPauses::default();
        assert_eq!(notes.pauses().left(&rule, NOW), None);
        let mut pauses = notes.pauses();
        pauses.began_ms = NOW;
        notes.write_pauses(&pauses);
        assert_eq!(notes.pauses().left(&rule, NOW + 2_000), Some((secs(3), false)));
        pauses.limited(&rule, NOW);
        notes.write_pauses(&pauses);
        assert_eq!(notes.pauses().left(&rule, NOW + 2_000), Some((secs(58), true)));
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let rule = QuickPauses::default();
        let mut pauses = Pauses::default();
        pauses.limited(&rule, NOW);
        assert_eq!(pauses.left(&rule, 0), Some((secs(900), true)));
        pauses.works();
        pauses.began_ms = NOW;
        assert_eq!(pauses.left(&rule, 0), Some((secs(5), false)));
    }

    #[test]
    fn a_damaged_note_is_no_note() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("run.json"), "{\"port\":").expect("written");
        assert_eq!(Notes::new(dir.path().to_owned()).run(), RunNote::default());
    }
}
