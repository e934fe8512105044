//! Why something asked for did not happen: refused, or an edge failed.

use thiserror::Error;

use crate::domain::Refusal;
use crate::ports::{CommitError, LockError, MailError, ManifestError, PresenceError, StoreError};

/// The application's one error. `hub/error.rs` maps it to HTTP.
#[derive(Debug, Error)]
pub enum AppError {
    /// A rule said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The mailbox failed.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// A name was not given.
    #[error(transparent)]
    Locks(#[from] LockError),
    /// A sign of life was not taken.
    #[error(transparent)]
    Presence(#[from] PresenceError),
    /// No manifest could be made.
    #[error("Failed to generate manifest: {0}")]
    Manifest(#[from] ManifestError),
}

impl From<CommitError> for AppError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Refused(refusal) => Self::Refused(refusal),
            CommitError::Store(error) => Self::Store(error),
        }
    }
}
