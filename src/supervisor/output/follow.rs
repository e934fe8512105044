//! Reading on where we stopped, for `logs -f` and for the copy in our own log.

use std::{io, path::PathBuf, sync::Arc};

use super::{read_range, shorten};

/// Read at most so much at once; what lies further back than `BACKLOG` is skipped.
const CHUNK: u64 = 64 << 10;
const BACKLOG: u64 = 256 << 10;

/// What a follower found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Whole lines, shortened.
    pub lines: Vec<String>,
    /// Bytes that were not read, because there were too many.
    pub skipped: u64,
    /// There is more to be read at once.
    pub more: bool,
}

/// A place in a child's output. Bounded: a reader that is slow misses bytes, and is told how many.
#[derive(Debug)]
pub struct Follower {
    path: Arc<PathBuf>,
    at: u64,
    part: Vec<u8>,
}

impl Follower {
    pub(super) fn new(path: Arc<PathBuf>, at: u64) -> Follower {
        Follower {
            path,
            at,
            part: Vec::new(),
        }
    }

    /// What was written since the last call, up to a bound. Never waits: ask again after a while (200 ms).
    pub fn news(&mut self) -> io::Result<News> {
        let length = std::fs::metadata(&*self.path).map_or(0, |file| file.len());
        if length < self.at {
            // Rotated: what was cut off can be read in the older files.
            (self.at, self.part) = (0, Vec::new());
        }
        let mut news = News::default();
        if length - self.at > BACKLOG {
            news.skipped = length - self.at - CHUNK;
            (self.at, self.part) = (length - CHUNK, Vec::new());
        }
        if length == self.at {
            return Ok(news);
        }
        let text = read_range(&self.path, self.at, CHUNK)?;
        self.at += text.len() as u64;
        self.take_lines(&text, &mut news.lines);
        news.more = length > self.at;
        Ok(news)
    }

    fn take_lines(&mut self, text: &[u8], lines: &mut Vec<String>) {
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            self.part.extend_from_slice(piece);
            // A line without end is cut rather than collected.
            if piece.ends_with(b"\n") || self.part.len() as u64 >= CHUNK {
                lines.push(shorten(String::from_utf8_lossy(&self.part).trim_end()));
                self.part.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use crate::supervisor::output::{Limits, Output};

    #[test]
    fn whole_lines_are_followed_through_a_rotation() {
        let dir = tempfile::tempdir().expect("a directory");
        let output = Output::new(
            dir.path(),
            "child",
            Limits {
                file: 100,
                ..Limits::default()
            },
        );
        let mut child = output.open().expect("opened");
        let mut follower = output.follow(0);
        write!(child, "one\ntw").expect("written");
        assert_eq!(follower.news().expect("read").lines, ["one"]);
        writeln!(child, "o{}", "!".repeat(120)).expect("written");
        assert_eq!(follower.news().expect("read").lines.len(), 1);
        output.rotate_if_full().expect("rotated");
        writeln!(child, "three").expect("written");
        assert_eq!(follower.news().expect("read").lines, ["three"]);
        assert_eq!(follower.news().expect("read").lines, Vec::<String>::new());
    }

    #[test]
    fn a_reader_that_is_far_behind_is_told_what_it_missed() {
        let dir = tempfile::tempdir().expect("a directory");
        let output = Output::new(dir.path(), "child", Limits::default());
        let mut child = output.open().expect("opened");
        let mut follower = output.follow(0);
        child
            .write_all("0123456\n".repeat(100_000).as_bytes())
            .expect("written");
        let news = follower.news().expect("read");
        assert_eq!((news.skipped, news.lines.len()), (800_000 - (64 << 10), 8_192));
    }

    #[test]
    fn a_line_without_end_does_not_grow_without_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let output = Output::new(dir.path(), "child", Limits::default());
        let mut child = output.open().expect("opened");
        let mut follower = output.follow(0);
        child.write_all(&[b'z'; 200_000]).expect("written");
        let mut lines = Vec::new();
        while lines.len() < 3 {
            lines.extend(follower.news().expect("read").lines);
        }
        assert!(lines.iter().all(|line| line.chars().count() == 401));
    }
}
