//! The append-only file: its size, and the one repair that may be tried.
//!
//! A truncated end is redis's own business (`aof-load-truncated`); garbage is not, and would be met again at
//! every start. The damaged files are copied aside first; redis-check-aof then cuts off what cannot be read.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime},
};

use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use super::{
    super::binary,
    ends::{self, data_corrupt},
    files,
};
use crate::supervisor::Fault;

/// Copies kept of damaged files.
const COPIES: usize = 3;
/// A repair that takes longer has failed.
const REPAIR_LIMIT: Duration = Duration::from_secs(120);

/// Redis 7 and later keep several files in a directory, 6.2 one file.
const DIR: &str = "appendonlydir";
const MANIFEST: &str = "appendonly.aof.manifest";
const SINGLE: &str = "appendonly.aof";

/// Names and sizes and times of the files: changes when somebody did something about them.
pub(super) type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// See [`Stamp`].
pub(super) fn stamp(dir: &Path) -> Stamp {
    let mut found: Stamp = [dir.to_owned(), dir.join(DIR)]
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flat_map(|entries| entries.flatten())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(SINGLE))
        .filter_map(|entry| {
            let file = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((entry.path(), file.len(), file.modified().ok()))
        })
        .collect();
    found.sort();
    found
}

/// Bytes that have to be loaded.
pub(super) fn bytes(dir: &Path) -> u64 {
    stamp(dir).iter().map(|(_, bytes, _)| bytes).sum()
}

/// Copies the damaged files aside and repairs them with the tool that belongs to `server`.
pub(super) async fn repair(dir: &Path, server: &Path) -> Result<(), Fault> {
    let corrupt = |detail: &str| Fault::Permanent(data_corrupt(dir, detail));
    copy_aside(dir, &stamp(dir)).map_err(|err| match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Permanent(ends::disk_full(dir)),
        _ => files::fault(dir, &err),
    })?;
    let tool = check_tool(server).ok_or_else(|| corrupt("redis-check-aof is not installed"))?;
    let manifest = dir.join(DIR).join(MANIFEST);
    let target = if manifest.exists() {
        manifest
    } else {
        dir.join(SINGLE)
    };
    match timeout(REPAIR_LIMIT, fix(&tool, &target)).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(corrupt("redis-check-aof gave up")),
        Ok(Err(err)) => Err(corrupt(&format!("redis-check-aof: {err}"))),
        Err(_) => Err(corrupt("redis-check-aof took too long")),
    }
}

fn check_tool(server: &Path) -> Option<PathBuf> {
    const NAMES: &[&str] = &["redis-check-aof", "valkey-check-aof"];
    let beside = server.parent().map(Path::as_os_str);
    binary::find(NAMES, beside, false)
        .or_else(|| binary::find(NAMES, std::env::var_os("PATH").as_deref(), true))
}

/// It asks whether it may; we say yes.
async fn fix(tool: &Path, target: &Path) -> io::Result<bool> {
    let mut command = Command::new(tool);
    command
        .arg("--fix")
        .arg(target)
        .env_clear()
        .current_dir("/")
        .kill_on_drop(true);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may have ended without asking.
        let _ = stdin.write_all(b"y\n").await;
    }
    Ok(child.wait().await?.success())
}

fn copy_aside(dir: &Path, damaged: &Stamp) -> io::Result<()> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let aside = dir.join(format!("damaged-{now:013}"));
    fs::create_dir(&aside)?;
    for (path, _, _) in damaged {
        if let Some(name) = path.file_name() {
            fs::copy(path, aside.join(name))?;
        }
    }
    forget_oldest(dir)
}

fn forget_oldest(dir: &Path) -> io::Result<()> {
    let is_copy = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("damaged-"))
    };
    let mut copies: Vec<PathBuf> = fs::read_dir(dir)?
        .flatten()
        .map(|entry| entry.path())
        .filter(is_copy)
        .collect();
    copies.sort();
    let old = copies.len().saturating_sub(COPIES);
    copies.iter().take(old).try_for_each(fs::remove_dir_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_damaged_files_are_kept_but_not_for_ever() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join(DIR)).expect("made");
        let file = dir.path().join(DIR).join("appendonly.aof.1.incr.aof");
        for i in 0..5u8 {
            fs::write(&file, vec![i; 10]).expect("written");
            copy_aside(dir.path(), &stamp(dir.path())).expect("copied");
            std::thread::sleep(Duration::from_millis(2));
        }
        let copies = |name: &str| name.starts_with("damaged-");
        let names: Vec<_> = fs::read_dir(dir.path())
            .expect("readable")
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert_eq!(
            names
                .iter()
                .filter(|name| copies(&name.to_string_lossy()))
                .count(),
            COPIES
        );
        assert_eq!(bytes(dir.path()), 10, "copies are not loaded");
    }

    #[test]
    fn the_stamp_changes_when_the_files_do() {
        let dir = tempfile::tempdir().expect("a directory");
        let before = stamp(dir.path());
        fs::write(dir.path().join(SINGLE), "x").expect("written");
        assert_ne!(before, stamp(dir.path()));
    }
}
