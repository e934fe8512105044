//! The lock a child inherits: the kernel holds it exactly as long as the child, or a fork of it, lives.
//!
//! The supervisor takes it before the spawn, the child keeps the descriptor, and the supervisor closes its
//! own. No pid is involved, so none can be mistaken. It is never unlocked, only closed: an unlock would free
//! it for every holder. The child writes its pid into the file before it becomes the program, so that a
//! supervisor that died between fork and record leaves no riddle.
//! Limits: the directory must be on a local filesystem, and a program that closes inherited descriptors frees
//! the lock early.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Takes the lock; `None` if somebody holds it.
pub fn take(path: &Path) -> io::Result<Option<File>> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(err)) => Err(err),
    }
}

/// Does nobody hold the lock?
pub fn is_free(path: &Path) -> io::Result<bool> {
    Ok(take(path)?.is_some())
}

/// The pid that the latest child wrote into its lock.
pub fn holder(path: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(path).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_until_its_last_descriptor_is_closed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("redis.lock");
        let ours = take(&path).expect("works").expect("free");
        let inherited = ours.try_clone().expect("duplicated");
        drop(ours);
        assert!(take(&path).expect("works").is_none() && !is_free(&path).expect("works"));
        drop(inherited);
        assert!(is_free(&path).expect("works"));
    }

    #[test]
    fn what_stands_in_the_lock_is_a_pid_or_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("redis.lock");
        assert_eq!(holder(&path), None);
        for (text, pid) in [
            ("", None),
            ("17\n", Some(17)),
            ("x", None),
            ("1\n", None),
            ("-4", None),
        ] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(holder(&path), pid, "{text:?}");
        }
    }
}
