//! What a child writes: append-only files that we rotate, never a pipe that somebody must drain.
//!
//! The child keeps its descriptor, so the file is rotated by copying it aside and truncating it in place;
//! with O_APPEND the child's next write starts at the new beginning. Bytes written between copy and truncation
//! are lost: a bounded loss, chosen over an unbounded file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

mod collapse;
mod follow;
mod keeper;

pub use self::follow::{Follower, News};
pub(super) use self::keeper::keep;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes per file.
    pub file: u64,
    /// Files, the current one included (at least one).
    pub files: usize,
    /// Copy lines to our own log, rate-limited?
    pub copy_to_log: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            file: 10 << 20,
            files: 3,
            copy_to_log: true,
        }
    }
}

/// The last lines of an exit: so many at most, of so many characters.
const LAST_LINES: usize = 20;
const LINE: usize = 400;
const TAIL: u64 = 16 << 10;

/// The output files of one child.
#[derive(Clone, Debug)]
pub struct Output {
    path: Arc<PathBuf>,
    limits: Limits,
    rotations: Arc<AtomicU64>,
    /// Bytes that were in the file when it was emptied, in all.
    emptied: Arc<AtomicU64>,
}

/// A place in the output, through rotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    rotations: u64,
    offset: u64,
}

impl Output {
    /// The files `<name>.log`, `<name>.log.1`, ... in `dir`. Touches nothing yet.
    pub fn new(dir: &Path, name: &str, limits: Limits) -> Output {
        Output {
            path: Arc::new(dir.join(format!("{name}.log"))),
            limits,
            rotations: Arc::default(),
            emptied: Arc::default(),
        }
    }

    /// The file being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for a child.
    pub fn open(&self) -> io::Result<File> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&*self.path)
    }

    /// Bytes in the file being written.
    pub fn len(&self) -> u64 {
        fs::metadata(&*self.path).map_or(0, |file| file.len())
    }

    /// Bytes ever written, rotations included: grows as fast as the child writes.
    pub fn written(&self) -> u64 {
        self.emptied.load(Ordering::Relaxed) + self.len()
    }

    /// True if nothing was written since the last rotation.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The present end.
    pub fn mark(&self) -> Mark {
        Mark {
            rotations: self.rotations.load(Ordering::Relaxed),
            offset: self.len(),
        }
    }

    /// The last lines, of those written since the mark.
    pub fn last_lines(&self, since: Mark) -> Vec<String> {
        let length = self.len();
        let rotated = self.rotations.load(Ordering::Relaxed) != since.rotations;
        let from = if rotated { 0 } else { since.offset.min(length) };
        let mut text = Vec::new();
        if rotated && length < TAIL {
            let older = self.numbered(1);
            let end = fs::metadata(&older).map_or(0, |file| file.len());
            text = read_range(&older, end.saturating_sub(TAIL - length), TAIL).unwrap_or_default();
        }
        text.extend(read_range(&self.path, from.max(length.saturating_sub(TAIL)), TAIL).unwrap_or_default());
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let skip = lines.len().saturating_sub(LAST_LINES);
        lines.into_iter().skip(skip).map(shorten).collect()
    }

    /// Lines from here on; `back`: and so many bytes of what is there already.
    pub fn follow(&self, back: u64) -> Follower {
        Follower::new(self.path.clone(), self.len().saturating_sub(back))
    }

    /// Rotates if the file is full. Returns whether it did. Blocks.
    pub fn rotate_if_full(&self) -> io::Result<bool> {
        let length = self.len();
        if length < self.limits.file {
            return Ok(false);
        }
        for older in (2..self.limits.files).rev() {
            ignore_missing(fs::rename(self.numbered(older - 1), self.numbered(older)))?;
        }
        if self.limits.files > 1 {
            // A flood fills the file faster than it can be copied: then its end must do.
            let keep = if length > self.limits.file * 3 / 2 {
                self.limits.file / 16
            } else {
                self.limits.file
            };
            self.copy_aside(length.saturating_sub(keep), keep)?;
        }
        OpenOptions::new().write(true).open(&*self.path)?.set_len(0)?;
        self.emptied.fetch_add(length, Ordering::Relaxed);
        self.rotations.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    fn copy_aside(&self, from: u64, length: u64) -> io::Result<()> {
        let mut source = File::open(&*self.path)?;
        source.seek(SeekFrom::Start(from))?;
        let mut options = OpenOptions::new();
        let mut target = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.numbered(1))?;
        io::copy(&mut source.take(length), &mut target)?;
        Ok(())
    }

    fn numbered(&self, number: usize) -> PathBuf {
        self.path.with_extension(format!("log.{number}"))
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn read_range(path: &Path, from: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text)?;
    Ok(text)
}

/// A line of bounded length, without what could move a terminal's cursor.
fn shorten(line: &str) -> String {
    let mut short: String = line
        .chars()
        .filter(|c| !c.is_control() || *c == '\t')
        .take(LINE)
        .collect();
    if line.chars().nth(LINE).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn output(limits: Limits) -> (tempfile::TempDir, Output) {
        let dir = tempfile::tempdir().expect("a directory");
        let output = Output::new(dir.path(), "child", limits);
        (dir, output)
    }

    const SMALL: Limits = Limits {
        file: 1_000,
        files: 3,
        copy_to_log: false,
    };

    fn total(dir: &Path) -> u64 {
        fs::read_dir(dir)
            .expect("readable")
            .flatten()
            .map(|f| f.metadata().map_or(0, |m| m.len()))
            .sum()
    }

    #[test]
    fn a_writer_goes_on_through_rotations_and_the_total_stays_bounded() {
        let (dir, output) = output(SMALL);
        let mut child = output.open().expect("opened");
        for i in 0..1_000 {
            writeln!(child, "line {i:04}").expect("written");
            output.rotate_if_full().expect("rotated");
        }
        assert!(total(dir.path()) <= 3_010, "{}", total(dir.path()));
        assert_eq!(
            output.last_lines(Mark::default()).last().map(String::as_str),
            Some("line 0999")
        );
        let older = fs::read(output.numbered(1)).expect("there");
        assert!(
            older.starts_with(b"line ") && !older.contains(&0),
            "no holes, whole lines"
        );
    }

    #[test]
    fn a_flood_between_two_looks_is_cut_to_its_end() {
        let (dir, output) = output(SMALL);
        let mut child = output.open().expect("opened");
        child.write_all(&[b'x'; 500_000]).expect("written");
        assert!(output.rotate_if_full().expect("rotated"));
        assert!(total(dir.path()) <= 1_000);
    }

    #[test]
    fn the_last_lines_are_those_of_this_run_and_are_bounded() {
        let (_dir, output) = output(Limits::default());
        let mut child = output.open().expect("opened");
        writeln!(child, "of the run before").expect("written");
        let start = output.mark();
        writeln!(child, "\nfatal: \u{1b}[31mno\n{}", "y".repeat(5_000)).expect("written");
        let lines = output.last_lines(start);
        assert_eq!(lines[0], "fatal: [31mno");
        assert_eq!((lines.len(), lines[1].chars().count()), (2, LINE + 1));
        for i in 0..100 {
            writeln!(child, "{i}").expect("written");
        }
        assert_eq!(output.last_lines(start).len(), LAST_LINES);
    }

    #[test]
    fn a_rotation_just_before_the_end_does_not_hide_the_last_words() {
        let (_dir, output) = output(SMALL);
        let mut child = output.open().expect("opened");
        writeln!(child, "{}", "x".repeat(1_200)).expect("written");
        let start = output.mark();
        output.rotate_if_full().expect("rotated");
        writeln!(child, "after").expect("written");
        assert_eq!(output.last_lines(start).last().map(String::as_str), Some("after"));
        let (_dir, output) = self::output(SMALL);
        let mut child = output.open().expect("opened");
        let start = output.mark();
        writeln!(child, "{}\nfatal", "x".repeat(1_200)).expect("written");
        output.rotate_if_full().expect("rotated");
        assert_eq!(output.last_lines(start).last().map(String::as_str), Some("fatal"));
    }
}
