//! What a script learns from how `maestroctl` ends.

use std::process::ExitCode;

use crate::control::client::ClientError;

/// Exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; for `status`: all is ready.
    Fine = 0,
    /// Not done; for `status`: something is not as it should be.
    Degraded = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The daemon is not running.
    NotRunning = 3,
    /// The daemon belongs to another user.
    NoPermission = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&ClientError> for Exit {
    fn from(error: &ClientError) -> Self {
        match error {
            ClientError::NotRunning => Self::NotRunning,
            ClientError::NoPermission => Self::NoPermission,
            ClientError::Silent | ClientError::Refused(_) | ClientError::Broken(_) => Self::Degraded,
        }
    }
}
