//! The log in a file of our own, kept within bounds: where the manager sends standard error to a plain file that nobody
//! ever rotates (launchd, brew).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The file's name in the state directory.
const FILE_NAME: &str = "maestrod.log";
/// A file is full at this size (bytes).
const FULL: u64 = 10 * 1024 * 1024;
/// So many full ones are kept beside the one that is written: `.1` is the newest.
const KEPT: u32 = 2;

/// The file that is written now.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    full: u64,
}

impl LogFile {
    /// Goes on with the file, for us alone.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Self::with_size(dir.join(FILE_NAME), FULL)
    }

    fn with_size(path: PathBuf, full: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            size,
            full,
        })
    }

    fn turn(&mut self) -> io::Result<()> {
        let numbered = |n: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        for n in (1..KEPT).rev() {
            let _ = fs::rename(numbered(n), numbered(n + 1)); // there may be none yet
        }
        fs::rename(&self.path, numbered(1))?;
        *self = Self::with_size(self.path.clone(), self.full)?;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A file that cannot be turned is written on: a long log is better than none.
        if self.size >= self.full && self.turn().is_err() {
            self.size = 0;
        }
        let written = self.file.write(line)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_written_the_newest_stays_and_the_whole_is_bounded() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE_NAME);
        let mut log = LogFile::with_size(path.clone(), 1000).expect("opened");
        for n in 0..1000 {
            writeln!(log, "line {n}").expect("written");
        }
        let files: Vec<_> = fs::read_dir(dir.path()).expect("read").flatten().collect();
        let total: u64 = files
            .iter()
            .map(|file| file.metadata().expect("read").len())
            .sum();
        assert_eq!(files.len(), 3);
        assert!(total < 3 * 1100, "{total}");
        let newest = fs::read_to_string(&path).expect("read");
        assert!(newest.ends_with("line 999\n"), "{newest}");
        let log = LogFile::with_size(path, 1000).expect("opened again");
        assert_eq!(log.size, newest.len() as u64, "it goes on where it was");
    }
}
