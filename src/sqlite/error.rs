//! Why the database said no.

use std::{path::PathBuf, sync::Arc};

use rusqlite::ErrorCode;
use thiserror::Error;

/// A failure of the database. Cheap to clone: a failed commit answers many callers.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SqliteError {
    /// It is closing and takes no more work.
    #[error("the database is closing")]
    Stopping,
    /// More writes wait than the queue holds.
    #[error("too many writes are waiting")]
    Overloaded,
    /// No room on the disk.
    #[error("the disk is full")]
    Full,
    /// The file was written by a newer program.
    #[error(
        "{} was written by a newer version ({chapter} schema {found}, this program knows {known}): \
         start that version, or restore a backup made before the upgrade",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Whose tables.
        chapter: String,
        /// Version found.
        found: u32,
        /// Newest version known; 0 if the chapter is unknown altogether.
        known: u32,
    },
    /// The file belongs to another program.
    #[error("{} is an SQLite database of another program", .0.display())]
    Foreign(PathBuf),
    /// The code of one write panicked; the others did not notice.
    #[error("a write failed by a bug: {0}")]
    Panicked(Arc<str>),
    /// The file could not be opened, copied or migrated.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// In SQLite's or the system's words.
        reason: Arc<str>,
    },
    /// Anything else SQLite says.
    #[error("{0}")]
    Engine(Arc<str>),
}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Engine(error.to_string().into()),
        }
    }
}

impl SqliteError {
    pub(super) fn file(path: &std::path::Path, reason: impl ToString) -> Self {
        Self::File {
            path: path.to_owned(),
            reason: reason.to_string().into(),
        }
    }
}
