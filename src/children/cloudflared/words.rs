//! The output of the living run: its first and last words, and whether it floods. Nothing is collected.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A flood is judged over at least this long.
const WINDOW: Duration = Duration::from_secs(1);
/// Bytes per second that nobody could read (30 000 lines/s were seen; a busy tunnel writes a few lines).
const FLOOD: u64 = 1 << 20;

/// The file that the child writes.
#[derive(Clone, Debug)]
pub(super) struct Words {
    path: PathBuf,
}

impl Words {
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// How long the file is now.
    pub fn len(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// The newest `most` bytes of what was written since `from`; after a rotation, of what there is.
    pub fn last(&self, from: u64, most: u64) -> String {
        let length = self.len();
        let from = if length < from { 0 } else { from };
        self.read(from.max(length.saturating_sub(most)), most)
    }

    /// The first `most` bytes since `from`.
    pub fn first(&self, from: u64, most: u64) -> String {
        self.read(from, most)
    }

    fn read(&self, from: u64, most: u64) -> String {
        let text = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(from))?;
            let mut text = Vec::new();
            file.take(most).read_to_end(&mut text)?;
            Ok(text)
        };
        String::from_utf8_lossy(&text().unwrap_or_default()).into_owned()
    }
}

/// How fast the output grows.
#[derive(Debug)]
pub(super) struct Growth {
    at: Instant,
    written: u64,
    floods: bool,
}

impl Growth {
    /// From here on.
    pub fn new(written: u64, now: Instant) -> Self {
        Self {
            at: now,
            written,
            floods: false,
        }
    }

    /// Does it flood, having written so many bytes in all? One long line is no flood.
    pub fn floods(&mut self, written: u64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at);
        if passed >= WINDOW {
            let grown = written.saturating_sub(self.written);
            let allowed = passed.as_secs_f64() * FLOOD as f64;
            self.floods = grown as f64 > allowed.max(2.0 * FLOOD as f64);
            (self.at, self.written) = (now, written);
        }
        self.floods
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_rate_and_ends_when_the_rate_does() {
        let begin = Instant::now();
        let at = |secs: u64| begin + Duration::from_secs(secs);
        let mut growth = Growth::new(0, begin);
        assert!(!growth.floods(50 << 20, begin), "no rate yet");
        assert!(growth.floods(50 << 20, at(5)));
        assert!(!growth.floods(50 << 20, at(10)));
        assert!(!growth.floods((50 << 20) + (3 << 19), at(15)), "one long line");
    }

    #[test]
    fn the_newest_words_are_those_of_this_run_even_after_a_rotation() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tunnel.log");
        fs::write(&path, "of the last run\nof this one\n").expect("written");
        let words = Words::new(&path);
        assert_eq!(words.last(16, 4_096), "of this one\n");
        assert_eq!(words.last(0, 4), "one\n");
        fs::write(&path, "rotated\n").expect("written");
        assert_eq!(words.last(16, 4_096), "rotated\n");
        assert_eq!(words.first(0, 3), "rot");
    }
}
