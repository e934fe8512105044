//! Devices on disk: one row each, with the hashes of their halves; and whether the hub is locked down.

use rusqlite::{Connection, OptionalExtension};
use tracing::warn;

use crate::domain::{Device, DeviceId, Millis};
use crate::sqlite::{Chapter, Database, SqliteError};

use super::credential::Prints;

/// The tables of this room.
pub const CHAPTER: Chapter = Chapter {
    name: "access",
    migrations: &["CREATE TABLE devices (\
           id TEXT PRIMARY KEY, \
           json TEXT NOT NULL, \
           last_seen INTEGER NOT NULL, \
           cookie BLOB NOT NULL, \
           token BLOB NOT NULL, \
           ended INTEGER, \
           expired INTEGER NOT NULL DEFAULT 0\
         ) WITHOUT ROWID;\
         CREATE TABLE lockdown (one INTEGER PRIMARY KEY CHECK (one = 1), since INTEGER NOT NULL);"],
};

/// A device that is none of ours any more, and how that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub at: Millis,
    /// By itself; else it was revoked.
    pub expired: bool,
}

/// One device, as it is kept.
#[derive(Clone)]
pub(super) struct Row {
    pub device: Device,
    pub prints: Prints,
    pub end: Option<End>,
}

/// The tables. Clones share them.
#[derive(Clone)]
pub(super) struct Book {
    db: Database,
}

impl Book {
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// All devices, and since when the hub is locked down. A row that cannot be read lets nobody in. Blocks.
    pub fn all(&self) -> Result<(Vec<Row>, Option<Millis>), SqliteError> {
        self.db.read_blocking(|db| {
            let mut statement =
                db.prepare("SELECT id, json, last_seen, cookie, token, ended, expired FROM devices")?;
            let rows = statement.query_map([], |row| {
                let id: String = row.get(0)?;
                let read = read(row);
                if let Err(error) = &read {
                    warn!(id, %error, "a paired device cannot be read and is not let in");
                }
                Ok(read.ok())
            })?;
            let rows = rows
                .filter_map(Result::transpose)
                .collect::<rusqlite::Result<_>>()?;
            let locked = db
                .query_row("SELECT since FROM lockdown", [], |row| row.get(0))
                .optional()?;
            Ok((rows, locked.map(Millis)))
        })
    }

    /// Takes in a new device.
    pub fn add(&self, row: &Row) -> impl Future<Output = Result<(), SqliteError>> + Send + 'static {
        let (device, prints) = (row.device.clone(), row.prints.clone());
        self.db.execute(move |db| {
            db.prepare_cached(
                "INSERT INTO devices (id, json, last_seen, cookie, token) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((
                device.id.as_str(),
                json(&device)?,
                device.last_seen.0,
                &prints.cookie[..],
                &prints.token[..],
            ))
        })
    }

    /// Writes what may change of a device, except when it was seen.
    pub fn put(&self, device: &Device) -> impl Future<Output = Result<(), SqliteError>> + Send + 'static {
        let device = device.clone();
        self.db.execute(move |db| {
            db.prepare_cached("UPDATE devices SET json = ?2 WHERE id = ?1")?
                .execute((device.id.as_str(), json(&device)?))
        })
    }

    /// Writes that it was seen. Queued when this returns.
    pub fn seen(
        &self,
        id: &DeviceId,
        at: Millis,
    ) -> impl Future<Output = Result<(), SqliteError>> + Send + 'static {
        let id = id.clone();
        self.db.execute(move |db| {
            db.prepare_cached("UPDATE devices SET last_seen = ?2 WHERE id = ?1 AND ended IS NULL")?
                .execute((id.as_str(), at.0))
        })
    }

    /// Ends devices.
    pub fn end(
        &self,
        ids: Vec<DeviceId>,
        end: End,
    ) -> impl Future<Output = Result<(), SqliteError>> + Send + 'static {
        self.db.execute(move |db| end_all(db, &ids, end))
    }

    /// Ends devices and locks the hub, both or neither.
    pub fn lock(
        &self,
        ids: Vec<DeviceId>,
        end: End,
    ) -> impl Future<Output = Result<(), SqliteError>> + Send + 'static {
        self.db.execute(move |db| {
            end_all(db, &ids, end)?;
            db.prepare_cached("INSERT OR REPLACE INTO lockdown VALUES (1, ?1)")?
                .execute([end.at.0])
        })
    }

    /// Opens the hub again.
    pub fn lift(&self) -> impl Future<Output = Result<(), SqliteError>> + Send + 'static {
        self.db.execute(|db| db.execute("DELETE FROM lockdown", []))
    }

    /// Forgets devices that ended.
    pub fn forget(
        &self,
        ids: Vec<DeviceId>,
    ) -> impl Future<Output = Result<(), SqliteError>> + Send + 'static {
        self.db.execute(move |db| {
            let mut statement =
                db.prepare_cached("DELETE FROM devices WHERE id = ?1 AND ended IS NOT NULL")?;
            ids.iter()
                .try_fold(0, |gone, id| Ok(gone + statement.execute([id.as_str()])?))
        })
    }
}

fn end_all(db: &Connection, ids: &[DeviceId], end: End) -> rusqlite::Result<usize> {
    let mut statement =
        db.prepare_cached("UPDATE devices SET ended = ?2, expired = ?3 WHERE id = ?1 AND ended IS NULL")?;
    ids.iter().try_fold(0, |ended, id| {
        Ok(ended + statement.execute((id.as_str(), end.at.0, end.expired))?)
    })
}

fn json(device: &Device) -> rusqlite::Result<String> {
    serde_json::to_string(device).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let text: String = row.get(1)?;
    let mut device: Device = serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
    })?;
    device.last_seen = Millis(row.get(2)?);
    let (ended, expired) = (row.get::<_, Option<i64>>(5)?, row.get(6)?);
    Ok(Row {
        device,
        prints: Prints {
            cookie: row.get(3)?,
            token: row.get(4)?,
        },
        end: ended.map(|at| End {
            at: Millis(at),
            expired,
        }),
    })
}
