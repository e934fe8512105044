//! The JSON files of the Node server, in and out (contract DATA.md section 4).
//!
//! Coming from there: [`import`] reads leniently, takes what is newer than what is here, and changes nothing in the
//! folder; doing it twice is doing it once. Going back: [`export`] writes the same layout; a file that is newer than
//! the record is left alone. Modals and `server-url` are nobody's business here.

mod export;
mod fields;
mod files;
mod import;
mod read;
mod records;
mod report;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::ports::{CommitError, MailError, StoreError};

pub use export::export;
pub use import::import;
use report::Notes;
pub use report::{ExportReport, ImportReport};

/// Told what is being done, how much of it is finished, and how much there is.
pub type OnProgress<'a> = &'a mut (dyn FnMut(&'static str, u64, u64) + Send);

/// Why an import or export could not go on. What was taken or written until then stays; doing it again goes on.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// The folder is not what was expected.
    #[error("{} holds none of `projects`, `tasks`, `sessions`: is it the data directory?", .0.display())]
    NotALayout(PathBuf),
    /// A folder or file cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// In the system's words.
        reason: String,
    },
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The mailbox said no.
    #[error(transparent)]
    Mail(#[from] MailError),
}

/// True if `dir` looks like a data directory of the Node server with something in it: worth offering an import.
pub fn is_worth_importing(dir: &Path) -> bool {
    let mut ignored = Notes::default();
    ["projects", "sessions"]
        .iter()
        .any(|folder| !files::json_files(&dir.join(folder), &mut ignored).is_empty())
}

impl LayoutError {
    fn file(path: &Path, reason: impl ToString) -> Self {
        Self::File {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

impl From<CommitError> for LayoutError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => Self::Store(error),
            // Our rules refuse nothing.
            CommitError::Refused(refusal) => Self::Store(StoreError::Engine(refusal.to_string().into())),
        }
    }
}
