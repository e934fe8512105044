//! What a script learns from how `maestroctl` ends: one table, which help, manual and docs/MAESTROCTL.md are made of.

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

impl Exit {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Fine,
        Self::Degraded,
        Self::Usage,
        Self::NotRunning,
        Self::NoPermission,
    ];

    /// What it means, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Fine => "done; `status`, `doctor`, `service status`: all is well",
            Self::Degraded => "not done, and standard error says why; or not all is well",
            Self::Usage => "the command line is wrong",
            Self::NotRunning => "maestrod is not running",
            Self::NoPermission => "it belongs to another user, or needs root",
        }
    }

    /// The table as help and manual show it.
    pub fn table() -> String {
        let rows = Self::ALL.map(|exit| format!("  {}  {}\n", exit as u8, exit.meaning()));
        format!(
            "Exit codes:\n{}`agent run` ends as its agent does: with its code, or 128 and the signal's number.",
            rows.concat()
        )
    }
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
