//! A consistent copy in one file, made while the database is in use.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection,
    backup::{Backup, StepResult},
};

use crate::crash;

use super::{SqliteError, open};

/// Pages copied between two calls of the progress callback: 4 MiB.
const PAGES: i32 = 1024;

/// What a backup came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// Where it lies.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Copies the database at `from` into the file `to`, which appears (or is replaced) complete, checked and synced, or
/// not at all. `progress` hears (bytes done, bytes in all).
pub(super) fn copy(
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<BackupReport, SqliteError> {
    let mut part = to.as_os_str().to_owned();
    part.push(format!(".part{}", std::process::id()));
    let part = PathBuf::from(part);
    remove_parts(to);
    let result = fill(from, &part, progress)
        .and_then(|()| publish(&part, to).map_err(|error| SqliteError::file(to, error)));
    if result.is_err() {
        let _ = fs::remove_file(&part); // it may never have been made
    }
    let bytes = result?;
    Ok(BackupReport {
        file: to.to_owned(),
        bytes,
    })
}

/// Takes away what a daemon that was killed in the middle of this left beside `to`.
fn remove_parts(to: &Path) {
    let (Some(dir), Some(name)) = (to.parent(), to.file_name().and_then(|name| name.to_str())) else {
        return;
    };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let other = entry.file_name();
        let number = other
            .to_str()
            .and_then(|other| other.strip_prefix(name)?.strip_prefix(".part"));
        if number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())) {
            let _ = fs::remove_file(entry.path()); // nobody needs it, and nobody is harmed by it
        }
    }
}

fn fill(from: &Path, part: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), SqliteError> {
    let source = open::reader(from)?;
    // One read transaction around all steps: writers go on, and the copy stays at this instant instead of starting
    // again at each of their commits.
    let snapshot = source.unchecked_transaction()?;
    let page: u32 = snapshot.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let page = u64::from(page);
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let mut target = open_part(part)?;
    let backup = Backup::new(&snapshot, &mut target)?;
    loop {
        let step = backup.step(PAGES)?;
        let state = backup.progress();
        let (total, left) = (state.pagecount as u64, state.remaining as u64);
        progress((total - left) * page, total * page);
        crash::point("backup.copying");
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            _ => std::thread::sleep(std::time::Duration::from_millis(10)), // busy: somebody recovers the WAL
        }
    }
    drop(backup);
    finish(&target, part)
}

fn open_part(part: &Path) -> Result<Connection, SqliteError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(part)
        .map_err(|error| SqliteError::file(part, error))?;
    Connection::open(part).map_err(|error| SqliteError::file(part, error))
}

/// Makes it one plain file without a WAL of its own, and reads it once through.
fn finish(target: &Connection, part: &Path) -> Result<(), SqliteError> {
    target.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get::<_, String>(0))?;
    let verdict: String = target.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(SqliteError::file(part, format!("the copy is damaged: {verdict}")));
    }
    Ok(())
}

fn publish(part: &Path, to: &Path) -> std::io::Result<u64> {
    let file = fs::File::open(part)?;
    file.sync_all()?;
    crash::point("backup.synced");
    let bytes = file.metadata()?.len();
    fs::rename(part, to)?;
    crash::point("backup.renamed");
    let parent = to.parent().filter(|dir| !dir.as_os_str().is_empty());
    fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(bytes)
}
