//! Opens connections, all with the same promises.

use std::{fs::OpenOptions, io, path::Path};

use rusqlite::{Connection, OpenFlags};

use super::SqliteError;

/// `mstr`: tells our files from other SQLite databases (and `file(1)` can too).
const APPLICATION_ID: i32 = 0x6d73_7472;

/// Prepared statements kept per connection: more than all rooms together have.
const STATEMENTS: usize = 128;

/// The connection that writes; makes the file, readable by its owner only.
pub(super) fn writer(path: &Path) -> Result<Connection, SqliteError> {
    touch(path).map_err(|error| SqliteError::file(path, error))?;
    let conn = connect(path).map_err(|error| SqliteError::file(path, error))?;
    own(&conn, path)?;
    Ok(conn)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, SqliteError> {
    let open = || {
        let conn = connect(path)?;
        conn.pragma_update(None, "query_only", true)?;
        // Negative: KiB. What is asked all the time is not read from here, so memory is better spent elsewhere.
        conn.pragma_update(None, "cache_size", -256)?;
        Ok::<_, rusqlite::Error>(conn)
    };
    open().map_err(|error| SqliteError::file(path, error))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // One thread at a time uses a connection, which SQLite's own mutex need not check.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // A WAL that once grew gives its space back at the next checkpoint.
    conn.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    if cfg!(target_os = "macos") {
        // There fsync leaves data in the drive's cache; F_FULLFSYNC does not.
        conn.pragma_update(None, "fullfsync", true)?;
        conn.pragma_update(None, "checkpoint_fullfsync", true)?;
    }
    Ok(conn)
}

/// Marks an empty file as ours; refuses somebody else's.
fn own(conn: &Connection, path: &Path) -> Result<(), SqliteError> {
    let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: u32 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (id, tables) {
        (APPLICATION_ID, _) => Ok(()),
        (0, 0) => Ok(conn.pragma_update(None, "application_id", APPLICATION_ID)?),
        _ => Err(SqliteError::Foreign(path.to_owned())),
    }
}

fn touch(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600); // the WAL and its index take on the same mode
    options.open(path).map(drop)
}
