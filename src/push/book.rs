//! Subscriptions on disk, and the key they are bound to: in the store, so that a backup has both or neither.

use std::collections::HashMap;

use rusqlite::OptionalExtension;
use tracing::warn;

use crate::domain::{DeviceId, Id};
use crate::sqlite::{Chapter, Database, SqliteError};

use super::{
    record::Record,
    vapid::{Vapid, VapidError},
};

/// The tables of this room.
pub const CHAPTER: Chapter = Chapter {
    name: "push",
    migrations: &[
        "CREATE TABLE push_subscriptions (device TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;\
         CREATE TABLE push_key (one INTEGER PRIMARY KEY CHECK (one = 1), pkcs8 BLOB NOT NULL);",
    ],
};

/// The tables. Clones share them.
#[derive(Clone)]
pub struct Book {
    db: Database,
}

impl Book {
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// Our key; the first time a new one, on disk before anybody is given it.
    pub async fn key(&self) -> Result<Vapid, VapidError> {
        let kept = self.db.read(|db| {
            db.query_row("SELECT pkcs8 FROM push_key", [], |row| row.get::<_, Vec<u8>>(0))
                .optional()
        });
        if let Some(kept) = kept.await? {
            return Vapid::read(&kept);
        }
        let fresh = Vapid::make()?;
        let keep = fresh.clone();
        self.db
            .execute(move |db| db.execute("INSERT INTO push_key VALUES (1, ?1)", [&keep[..]]))
            .await?;
        Vapid::read(&fresh)
    }

    /// All subscriptions. One that cannot be read is as good as none: the page subscribes anew.
    pub async fn all(&self) -> Result<HashMap<DeviceId, Record>, SqliteError> {
        let read = self.db.read(|db| {
            let mut statement = db.prepare("SELECT device, json FROM push_subscriptions")?;
            let rows =
                statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        let read = read.await?.into_iter().filter_map(|(device, json)| {
            let record = serde_json::from_str(&json);
            match (Id::parse(&device), record) {
                (Ok(id), Ok(record)) => Some((id, record)),
                _ => {
                    warn!(device, "a push subscription cannot be read");
                    None
                }
            }
        });
        Ok(read.collect())
    }

    /// Writes one. Queued when this returns, in the order of the calls.
    pub fn put(
        &self,
        device: &DeviceId,
        record: &Record,
    ) -> impl Future<Output = Result<(), SqliteError>> + Send + 'static {
        let (device, json) = (device.clone(), serde_json::to_string(record));
        self.db.execute(move |db| {
            let json = json.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            db.prepare_cached("INSERT OR REPLACE INTO push_subscriptions VALUES (?1, ?2)")?
                .execute((device.as_str(), json))
        })
    }

    /// Removes one. Queued when this returns, in the order of the calls.
    pub fn remove(
        &self,
        device: &DeviceId,
    ) -> impl Future<Output = Result<(), SqliteError>> + Send + 'static {
        let device = device.clone();
        self.db.execute(move |db| {
            db.prepare_cached("DELETE FROM push_subscriptions WHERE device = ?1")?
                .execute([device.as_str()])
        })
    }
}
