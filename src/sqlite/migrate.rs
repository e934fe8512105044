//! Numbered migrations, each in its own transaction; a copy of the file is made before the first.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::{SqliteError, backup};

/// The tables of one room. Migration `n` (counted from 1) turns version `n - 1` into version `n`; a released one is
/// never edited.
#[derive(Clone, Copy, Debug)]
pub struct Chapter {
    /// Unique; never changes.
    pub name: &'static str,
    /// SQL, oldest first.
    pub migrations: &'static [&'static str],
}

/// Brings every chapter to its newest version. `PRAGMA user_version` is the sum of the chapters' versions.
pub(super) fn migrate(conn: &mut Connection, path: &Path, chapters: &[Chapter]) -> Result<(), SqliteError> {
    let found = versions(conn)?;
    for (name, version) in &found {
        let known = chapters
            .iter()
            .find(|c| c.name == name)
            .map_or(0, |c| c.migrations.len());
        if *version as usize > known {
            return Err(SqliteError::Newer {
                path: path.to_owned(),
                chapter: name.clone(),
                found: *version,
                known: known as u32,
            });
        }
    }
    let version_of = |chapter: &Chapter| {
        found
            .iter()
            .find(|(name, _)| name == chapter.name)
            .map_or(0, |(_, version)| *version as usize)
    };
    let upgrade = chapters
        .iter()
        .any(|c| (1..c.migrations.len()).contains(&version_of(c)));
    if upgrade {
        let copy = copy_name(path, conn)?;
        backup::copy(path, &copy, &mut |_, _| {})?;
        tracing::info!(copy = %copy.display(), "the database will be upgraded; a copy was made");
    }
    for chapter in chapters {
        for (index, sql) in chapter.migrations.iter().enumerate().skip(version_of(chapter)) {
            step(conn, chapter.name, index + 1, sql)
                .map_err(|error| SqliteError::file(path, format!("{} schema: {error}", chapter.name)))?;
        }
    }
    Ok(())
}

fn step(conn: &mut Connection, chapter: &str, version: usize, sql: &str) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_version (chapter TEXT PRIMARY KEY, version INTEGER NOT NULL)",
    )?;
    tx.execute_batch(sql)?;
    tx.execute(
        "INSERT INTO schema_version VALUES (?1, ?2) ON CONFLICT (chapter) DO UPDATE SET version = excluded.version",
        (chapter, version as u32),
    )?;
    let sum: u32 = tx.query_row("SELECT sum(version) FROM schema_version", [], |row| row.get(0))?;
    tx.pragma_update(None, "user_version", sum)?;
    tx.commit()
}

fn versions(conn: &Connection) -> Result<Vec<(String, u32)>, SqliteError> {
    let table = conn
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'",
            [],
            |_| Ok(()),
        )
        .optional()?;
    if table.is_none() {
        return Ok(Vec::new());
    }
    let mut statement = conn.prepare("SELECT chapter, version FROM schema_version")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// `maestro.db` at version 3 is copied to `maestro.db.v3`.
fn copy_name(path: &Path, conn: &Connection) -> Result<PathBuf, SqliteError> {
    let version: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".v{version}"));
    Ok(name.into())
}
