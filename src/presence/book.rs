//! Agents written down, so that the next life of the hub knows whom to look for. In the hub's one file.

use futures_util::future::BoxFuture;

use crate::domain::SessionId;
use crate::ports::PresenceError;
use crate::sqlite::{Chapter, Database, SqliteError};

use super::record::Record;

/// The table of presence.
pub const CHAPTER: Chapter = Chapter {
    name: "presence",
    migrations: &["CREATE TABLE agents (session TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;"],
};

/// The table. Clones share it.
#[derive(Clone)]
pub(super) struct Book {
    db: Database,
}

impl Book {
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// All records; one that cannot be read any more is left out. Blocks.
    pub fn all(&self) -> Result<Vec<Record>, PresenceError> {
        let rows = self.db.read_blocking(|db| {
            let mut statement = db.prepare("SELECT json FROM agents ORDER BY session")?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        });
        let rows = rows.map_err(failed)?;
        let read = |text: &String| serde_json::from_str(text).ok();
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Stores or replaces a record; durable when it answers, queued when this returns.
    pub fn put(&self, record: &Record) -> BoxFuture<'static, Result<(), PresenceError>> {
        let (session, json) = (record.session.to_string(), serde_json::to_string(record));
        let written = self.db.execute(move |db| {
            let json = json.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            db.prepare_cached("INSERT OR REPLACE INTO agents VALUES (?1, ?2)")?
                .execute((&session, &json))
        });
        Box::pin(async move { written.await.map_err(failed) })
    }

    /// Removes records; durable when it answers, queued when this returns.
    pub fn remove(&self, sessions: Vec<SessionId>) -> BoxFuture<'static, Result<(), PresenceError>> {
        let written = self.db.execute(move |db| {
            let mut statement = db.prepare_cached("DELETE FROM agents WHERE session = ?1")?;
            let removed = |gone, session: &SessionId| Ok(gone + statement.execute([session.as_str()])?);
            sessions.iter().try_fold(0, removed)
        });
        Box::pin(async move { written.await.map_err(failed) })
    }
}

fn failed(error: SqliteError) -> PresenceError {
    match error {
        SqliteError::Stopping => PresenceError::Stopping,
        SqliteError::Overloaded => PresenceError::Full,
        other => PresenceError::Store(other.to_string().into()),
    }
}
