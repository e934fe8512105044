//! The audit's files: lines appended and synced, rotated by size, none of them readable by others. Blocks.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// A file that would grow beyond it is put aside.
    pub file: u64,
    /// Files put aside that are kept.
    pub kept: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            file: 8 << 20,
            kept: 4,
        }
    }
}

/// A file being read while it is written to, as it was at one moment.
pub(super) struct Part {
    file: File,
    len: u64,
}

pub(super) struct Ledger {
    path: PathBuf,
    size: Size,
    open: Option<Open>,
}

struct Open {
    file: File,
    len: u64,
}

impl Ledger {
    pub fn new(path: PathBuf, size: Size) -> Self {
        Self {
            path,
            size,
            open: None,
        }
    }

    /// Appends whole lines; they are on disk when it answers. If it fails nothing of them is left, and the next call
    /// begins with opening the file anew.
    pub fn append(&mut self, lines: &str) -> io::Result<()> {
        let added = lines.len() as u64;
        let mut open = match self.open.take() {
            Some(open) if is_still_there(&open.file, &self.path) => open,
            _ => open(&self.path)?,
        };
        if open.len > 0 && open.len + added > self.size.file {
            drop(open);
            self.put_aside()?;
            open = self::open(&self.path)?;
        }
        let written = open
            .file
            .write_all(lines.as_bytes())
            .and_then(|()| open.file.sync_data());
        if let Err(error) = written {
            // Half a line is worse than none. If this fails too, the next open ends the torn line.
            let _tried = open.file.set_len(open.len);
            return Err(error);
        }
        open.len += added;
        self.open = Some(open);
        Ok(())
    }

    /// Opens the file if it is not open, to know whether it could be.
    pub fn try_open(&mut self) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(open(&self.path)?);
        }
        Ok(())
    }

    /// All files, the newest first, as they are now.
    pub fn parts(&self) -> Vec<Part> {
        let aside = (1..=self.size.kept).map(|n| aside(&self.path, n));
        std::iter::once(self.path.clone())
            .chain(aside)
            .filter_map(|path| {
                let file = File::open(path).ok()?;
                let len = file.metadata().ok()?.len();
                Some(Part { file, len })
            })
            .collect()
    }

    fn put_aside(&self) -> io::Result<()> {
        for n in (1..self.size.kept).rev() {
            match fs::rename(aside(&self.path, n), aside(&self.path, n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, aside(&self.path, 1))?;
        sync_folder(&self.path)
    }
}

/// The newest `most` lines, oldest first.
pub(super) fn tail(parts: Vec<Part>, most: usize) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    for mut part in parts {
        if lines.len() >= most {
            break;
        }
        let mut text = String::new();
        part.file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        (&mut part.file).take(part.len).read_to_end(&mut bytes)?;
        text.push_str(&String::from_utf8_lossy(&bytes));
        let whole = text.lines().rev().filter(|line| !line.is_empty());
        lines.extend(whole.take(most - lines.len()).map(str::to_owned));
    }
    lines.reverse();
    Ok(lines)
}

fn open(path: &Path) -> io::Result<Open> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    let mut len = meta.len();
    if len == 0 {
        sync_folder(path)?;
    } else {
        let mut last = [0];
        file.seek(SeekFrom::Start(len - 1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            // A line that was torn by a crash stays one line, of its own.
            file.write_all(b"\n")?;
            len += 1;
        }
    }
    Ok(Open { file, len })
}

/// False if somebody took the file away or put another in its place: what is appended to it then is lost.
fn is_still_there(file: &File, path: &Path) -> bool {
    let there = fs::symlink_metadata(path);
    let (Ok(ours), Ok(there)) = (file.metadata(), there) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn aside(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size { file: 100, kept: 2 };

    fn ledger(dir: &tempfile::TempDir) -> Ledger {
        Ledger::new(dir.path().join("audit.jsonl"), SMALL)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn it_is_rotated_by_size_and_the_oldest_file_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = ledger(&dir);
        for n in 0..20 {
            ledger
                .append(&format!("line {n:02} {}\n", "x".repeat(20)))
                .unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]);
        for name in &names {
            let path = dir.path().join(name);
            assert!(fs::metadata(&path).unwrap().len() <= 100);
            assert_eq!(mode(&path), 0o600);
        }
        let newest = tail(ledger.parts(), 5).unwrap();
        let numbers: Vec<_> = newest.iter().map(|line| &line[..7]).collect();
        assert_eq!(numbers, ["line 15", "line 16", "line 17", "line 18", "line 19"]);
        assert_eq!(tail(ledger.parts(), 1000).unwrap().len(), 8);
    }

    #[test]
    fn a_torn_line_is_ended_and_an_open_mode_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        fs::write(&path, "whole\nto").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        ledger(&dir).append("next\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\nto\nnext\n");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_file_that_was_taken_away_is_made_again_and_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let mut ledger = ledger(&dir);
        ledger.append("one\n").unwrap();
        fs::remove_file(&path).unwrap();
        ledger.append("two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert!(ledger.append("three\n").is_err());
        assert!(!dir.path().join("elsewhere").exists());
    }
}
