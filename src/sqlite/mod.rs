//! One SQLite file, opened so that what is acknowledged survives `kill -9` and power loss. Names no domain.
//!
//! Everything embedded lives in *one* file, `maestro.db`: records and mail share one writer thread, one group commit
//! (hence one `fsync`) and one backup. Each room that keeps tables there brings a [`Chapter`]: a name and numbered
//! migrations. Whoever wires opens the file once with all chapters and hands clones of [`Database`] to the rooms:
//!
//! ```text
//! const CHAPTER: Chapter = Chapter { name: "mail", migrations: &["CREATE TABLE mail (...)"] };
//! let db = Database::open(&path, &[store::CHAPTER, mail::CHAPTER])?;
//! db.write(move |tx| { tx.prepare_cached(INSERT)?.execute((id, json))?; Ok(()) }).await?; // durable when it answers
//! db.read(|tx| tx.prepare_cached(SELECT)?.query_row([id], |row| row.get(0))).await?;
//! ```
//!
//! It deliberately does not: run on a network file system, lock out a second process (the daemon's own lock does),
//! or hide SQL from the rooms.

mod backup;
mod database;
mod error;
mod meters;
mod migrate;
mod open;
mod readers;
#[cfg(test)]
mod tests;
mod writer;

pub use backup::BackupReport;
pub use database::Database;
pub use error::SqliteError;
pub use meters::Meters;
pub use migrate::Chapter;
pub use writer::{Job, Limits, Verdict};
