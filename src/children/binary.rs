//! Finding a program, and what it means that it does not start. Asked again before every spawn, so an upgrade or a late
//! installation is noticed.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::supervisor::{Blocked, Fault};

/// Where programs may lie that the PATH of an init system does not name.
const MORE: &[&str] = &[
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "/home/linuxbrew/.linuxbrew/bin",
    "/usr/bin",
    "/usr/sbin",
    "/bin",
];

/// Which file something is, and of when: changes with an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: (u64, u64),
    changed: (i64, i64),
}

/// The stamp of a file, if it is there.
pub fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some(Stamp {
        inode: (file.dev(), file.ino()),
        changed: (file.ctime(), file.ctime_nsec()),
    })
}

/// May this be executed?
pub fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// The first executable of these names in `search` (in the form of PATH), then, if `wide`, in the usual places.
pub fn find(names: &[&str], search: Option<&OsStr>, wide: bool) -> Option<PathBuf> {
    let listed = search
        .into_iter()
        .flat_map(std::env::split_paths)
        .filter(|dir| dir.is_absolute());
    let more = MORE.iter().filter(|_| wide).map(PathBuf::from);
    let dirs: Vec<PathBuf> = listed.chain(more).collect();
    let candidates = names
        .iter()
        .flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    candidates.into_iter().find(|path| is_executable(path))
}

/// Why `program` could not be started.
pub fn spawn_fault(program: &str, err: &io::Error) -> Fault {
    let not_executable = || {
        let remedy = format!("{program} cannot be executed ({err}); reinstall it");
        Fault::Permanent(Blocked::new("binary_missing", remedy))
    };
    match err.kind() {
        // It was there a moment ago: an upgrade under way. It is looked for again.
        io::ErrorKind::NotFound => Fault::transient("binary_vanished"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => not_executable(),
        _ if err.raw_os_error() == Some(libc::ENOEXEC) => not_executable(),
        _ => Fault::transient(format!("spawn_failed: {err}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(dir: &Path, name: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, "#!/bin/sh\n").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        path
    }

    #[test]
    fn the_first_executable_of_the_preferred_name_is_taken() {
        let (one, two) = (
            tempfile::tempdir().expect("a directory"),
            tempfile::tempdir().expect("a directory"),
        );
        let search = std::env::join_paths([one.path(), two.path()]).expect("joined");
        let look = || find(&["redis-server", "valkey-server"], Some(&search), false);
        assert_eq!(look(), None);
        let valkey = program(one.path(), "valkey-server", 0o755);
        assert_eq!(look(), Some(valkey));
        program(one.path(), "redis-server", 0o644);
        let redis = program(two.path(), "redis-server", 0o755);
        assert_eq!(look(), Some(redis), "not executable does not count");
    }

    #[test]
    fn an_upgrade_changes_the_stamp() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = program(dir.path(), "redis-server", 0o755);
        let before = stamp(&path);
        program(dir.path(), "new", 0o755);
        fs::rename(dir.path().join("new"), &path).expect("replaced");
        assert!(before.is_some() && stamp(&path) != before);
    }
}
