//! The newest lines of our own log, kept in memory for `maestroctl logs`, wherever the log itself goes.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::broadcast;
use tracing_subscriber::fmt::MakeWriter;

/// Lines kept; older ones are in the journal or wherever standard error leads.
const LINES: usize = 2_000;
/// Longest line kept, in bytes.
const LINE: usize = 4 * 1024;
/// Lines a follower may lag behind before it misses some.
const LAG: usize = 512;

/// The newest log lines. Clones share them.
#[derive(Clone, Debug)]
pub struct Recent {
    lines: Arc<Mutex<VecDeque<Arc<str>>>>,
    live: broadcast::Sender<Arc<str>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            lines: Arc::default(),
            live: broadcast::Sender::new(LAG),
        }
    }
}

impl Recent {
    /// The newest `most` lines, oldest first, and everything after them without a gap. A receiver that lags is told
    /// how many lines it missed.
    pub fn read(&self, most: usize) -> (Vec<Arc<str>>, broadcast::Receiver<Arc<str>>) {
        let lines = self.lines();
        let skip = lines.len().saturating_sub(most);
        (lines.iter().skip(skip).cloned().collect(), self.live.subscribe())
    }

    fn push(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LINE)]);
        let line: Arc<str> = text.trim_end().into();
        let mut lines = self.lines();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line.clone());
        // Under the lock, so that a new reader gets each line once. Nobody listening is fine.
        let _listeners = self.live.send(line);
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<Arc<str>>> {
        // A line is pushed whole or not at all: a panic elsewhere spoils nothing.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One event's worth of a writer: the formatter writes a line with one call.
impl io::Write for Recent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Recent {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_the_newest_lines_and_then_each_one_once() {
        let recent = Recent::default();
        for n in 0..LINES + 5 {
            recent.push(format!("line {n}\n").as_bytes());
        }
        let (lines, mut live) = recent.read(2);
        assert_eq!(
            lines.iter().map(AsRef::as_ref).collect::<Vec<_>>(),
            ["line 2003", "line 2004"]
        );
        recent.push(&[b'x'; 2 * LINE]);
        assert_eq!(live.try_recv().unwrap().len(), LINE);
        assert!(live.try_recv().is_err());
        assert_eq!(recent.read(usize::MAX).0.len(), LINES);
    }
}
