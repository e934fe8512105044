//! One daemon for one directory: a lock that the kernel frees when its holder dies, however it dies.
//!
//! The file is never removed: a lock on a removed file excludes nobody. Works on local file systems.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// The name of the file in the directory.
pub const FILE_NAME: &str = "maestrod.lock";
/// How often a waiting daemon tries again.
const RETRY: Duration = Duration::from_millis(500);

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by another maestrod{}", dir.display(), pid(*.holder))]
    Held {
        dir: PathBuf,
        /// The other one's pid, if it has written it already.
        holder: Option<u32>,
    },
    /// The file cannot be made, or the file system knows no locks.
    #[error("cannot lock {}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

fn pid(holder: Option<u32>) -> String {
    holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

/// The lock, held until dropped. No child inherits it.
#[derive(Debug)]
pub struct DirLock {
    file: File,
    path: PathBuf,
}

impl DirLock {
    /// Makes the directory if it is missing (only for us: 0700), and takes its lock or says who has it.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join(FILE_NAME);
        let failed = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        make_private(dir).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false) // it may be somebody else's
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    dir: dir.to_owned(),
                    holder: read_pid(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut lock = Self { file, path };
        lock.sign().map_err(|source| LockError::Io {
            path: lock.path.clone(),
            source,
        })?;
        Ok(lock)
    }

    /// Waits for the lock as long as `stop` is not cancelled; `None` if it was. `waiting` hears at once and whenever
    /// the holder changes: under an init system an exit would only be answered with the next start.
    pub async fn wait(
        dir: &Path,
        stop: &CancellationToken,
        mut waiting: impl FnMut(&LockError),
    ) -> Result<Option<Self>, LockError> {
        let mut told = None;
        loop {
            match Self::acquire(dir) {
                Ok(lock) => return Ok(Some(lock)),
                Err(held @ LockError::Held { holder, .. }) => {
                    if told != Some(holder) {
                        waiting(&held);
                        told = Some(holder);
                    }
                }
                Err(other) => return Err(other),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    /// The file the lock is on.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn sign(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all(format!("{}\n", process::id()).as_bytes())
    }
}

/// A pid that holds nothing must not be shown to the next one who looks. Unlocked by name and not by closing alone:
/// a child just forked by another thread has a copy of the descriptor until its exec.
impl Drop for DirLock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

#[cfg(test)]
mod tests {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn the_second_one_is_told_who_the_first_one_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("a/b");
        let first = DirLock::acquire(&state).expect("nobody else is here");
        let refused = DirLock::acquire(&state).expect_err("taken");
        assert!(matches!(refused, LockError::Held { holder: Some(pid), .. } if pid == process::id()));
        assert!(
            refused.to_string().contains(&format!("pid {}", process::id())),
            "{refused}"
        );
        drop(first);
        DirLock::acquire(&state).expect("free again");
    }

    #[test]
    fn a_file_left_behind_by_a_dead_daemon_is_no_obstacle() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join(FILE_NAME), "12345\n").expect("written");
        let lock = DirLock::acquire(dir.path()).expect("nobody holds it");
        let signed = fs::read_to_string(lock.path()).expect("readable");
        assert_eq!(signed, format!("{}\n", process::id()));
    }

    #[test]
    fn rubbish_in_the_file_names_nobody() {
        for text in ["", "1\n", "-7", "0", "not a pid", "99999999999999999999"] {
            let mut file = tempfile::tempfile().expect("a file");
            io::Write::write_all(&mut file, text.as_bytes()).expect("written");
            io::Seek::rewind(&mut file).expect("rewound");
            assert_eq!(read_pid(&mut file), None, "{text:?}");
        }
    }

    #[test]
    fn children_do_not_inherit_the_lock() {
        let dir = tempfile::tempdir().expect("a directory");
        let lock = DirLock::acquire(dir.path()).expect("free");
        let flags = fcntl(&lock.file, FcntlArg::F_GETFD).expect("readable");
        assert_eq!(FdFlag::from_bits_truncate(flags), FdFlag::FD_CLOEXEC);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, "").expect("written");
        let error = DirLock::acquire(&file.join("state")).expect_err("a file is no directory");
        assert!(matches!(error, LockError::Io { .. }));
        assert!(error.to_string().contains("state"), "{error}");
    }

    #[tokio::test]
    async fn under_a_manager_one_waits_says_so_once_and_gets_it_when_it_is_free() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = DirLock::acquire(dir.path()).expect("free");
        let mut first = Some(first);
        let mut told = 0;
        let stop = CancellationToken::new();
        let waited = DirLock::wait(dir.path(), &stop, |held| {
            assert!(matches!(held, LockError::Held { .. }));
            told += 1;
            first = None; // the holder ends while we wait
        });
        let lock = timeout(Duration::from_secs(20), waited)
            .await
            .expect("in time")
            .expect("no error");
        assert!(lock.is_some());
        assert_eq!(told, 1);
    }

    #[tokio::test]
    async fn whoever_waits_can_still_be_stopped() {
        let dir = tempfile::tempdir().expect("a directory");
        let _held = DirLock::acquire(dir.path()).expect("free");
        let stop = CancellationToken::new();
        let cancel = stop.clone();
        let waited = DirLock::wait(dir.path(), &stop, |_| cancel.cancel());
        let lock = timeout(Duration::from_secs(20), waited)
            .await
            .expect("in time")
            .expect("no error");
        assert!(lock.is_none());
    }
}
