//! What may be wrong with a server, told apart because each has another remedy.

use std::sync::Arc;

use redis::{ErrorKind, RedisError};
use thiserror::Error;

/// Why the link is down, or the server up but impaired.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody has looked yet.
    #[error("not connected yet")]
    Unknown,
    /// Nothing listens there, or not as expected (TLS, a name that does not resolve).
    #[error("cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// Connected, but no answer in time: stopped, or hung.
    #[error("does not answer")]
    Silent,
    /// It reads its data from disk and will answer soon.
    #[error("is loading its data")]
    Loading,
    /// A script runs and does not end.
    #[error("is busy with a script")]
    Busy,
    /// It wants a password, or another one.
    #[error("refuses our user or password")]
    Unauthenticated,
    /// Our user may not do this.
    #[error("forbids what we need: {0}")]
    Forbidden(Arc<str>),
    /// A replica: takes no writes.
    #[error("is a read-only replica")]
    ReadOnly,
    /// At its memory limit: takes no writes that need memory.
    #[error("is out of memory")]
    OutOfMemory,
    /// It cannot write its own data to disk and takes no writes: a full disk, most often.
    #[error("cannot save its data: {0}")]
    Unsaved(Arc<str>),
    /// No server we can work with.
    #[error("is not suitable: {0}")]
    Unsuitable(Arc<str>),
}

impl Trouble {
    /// True if reading still works: the link stays up, impaired.
    pub fn leaves_reading(&self) -> bool {
        match self {
            Self::Forbidden(_) | Self::ReadOnly | Self::OutOfMemory | Self::Unsaved(_) => true,
            Self::Unknown
            | Self::Unreachable(_)
            | Self::Silent
            | Self::Loading
            | Self::Busy
            | Self::Unauthenticated
            | Self::Unsuitable(_) => false,
        }
    }

    /// A word for machines.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Unreachable(_) => "unreachable",
            Self::Silent => "silent",
            Self::Loading => "loading",
            Self::Busy => "busy",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::ReadOnly => "read_only",
            Self::OutOfMemory => "out_of_memory",
            Self::Unsaved(_) => "unsaved",
            Self::Unsuitable(_) => "unsuitable",
        }
    }

    /// What an operator can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unknown => "wait a moment",
            Self::Unreachable(_) => "start it, or mend redis.url and restart maestrod",
            Self::Silent => "its process is stopped or hung: continue it (kill -CONT) or restart it",
            Self::Loading => "nothing: it answers as soon as it has read its data",
            Self::Busy => {
                "end the script there: redis-cli SCRIPT KILL, or SHUTDOWN NOSAVE if that is refused"
            }
            Self::Unauthenticated => "mend user and password in redis.url and restart maestrod",
            Self::Forbidden(_) => "give our user these commands and our keys there: redis-cli ACL SETUSER",
            Self::ReadOnly => "point redis.url at the primary and restart maestrod",
            Self::OutOfMemory => "raise maxmemory there, or remove what nobody needs",
            Self::Unsaved(_) => "free room on its disk; redis-cli INFO persistence tells more",
            Self::Unsuitable(_) => "use Redis 6 or newer, or Valkey",
        }
    }

    /// What a server's error code stands for, if it is about the server and not about the command.
    fn from_code(code: &str, detail: &str) -> Option<Self> {
        Some(match code {
            "LOADING" => Self::Loading,
            "MASTERDOWN" => Self::Loading, // a replica without its master, told not to serve stale data
            "BUSY" => Self::Busy,
            "NOAUTH" | "WRONGPASS" => Self::Unauthenticated,
            "NOPERM" => Self::Forbidden(detail.into()),
            "READONLY" => Self::ReadOnly,
            "OOM" => Self::OutOfMemory,
            "MISCONF" => Self::Unsaved(detail.into()),
            _ => return None,
        })
    }
}

/// Why a command has no answer.
#[derive(Clone, Debug, Error)]
pub enum LinkError {
    /// It was not sent.
    #[error("redis {0}")]
    Down(Trouble),
    /// It was sent, and the answer did not come: it may have been carried out, and may still be.
    #[error("redis {0}")]
    Lost(Trouble),
    /// The server did not carry it out.
    #[error("redis {0}")]
    Refused(Trouble),
    /// The server objects to the command itself: a mistake of ours.
    #[error("redis refused a command: {0}")]
    Command(Arc<str>),
}

impl LinkError {
    /// What an error of the client library means.
    pub(super) fn from_redis(error: &RedisError) -> Self {
        if error.is_timeout() {
            return Self::Lost(Trouble::Silent);
        }
        match error.kind() {
            ErrorKind::Io => Self::Lost(Trouble::Unreachable(error.to_string().into())),
            ErrorKind::AuthenticationFailed => Self::Refused(Trouble::Unauthenticated),
            ErrorKind::RESP3NotSupported => {
                Self::Refused(Trouble::Unsuitable("version 6 or newer is needed".into()))
            }
            _ => Self::from_answer(
                error.code().unwrap_or_default(),
                error.detail().unwrap_or_default(),
            )
            .unwrap_or_else(|| Self::Command(error.to_string().into())),
        }
    }

    fn from_answer(code: &str, detail: &str) -> Option<Self> {
        if let Some(trouble) = Trouble::from_code(code, detail) {
            return Some(Self::Refused(trouble));
        }
        // Before version 7, an error inside a script came wrapped: "ERR Error running script (...): -OOM ...".
        let inner = detail.split_once("@user_script")?.1.split_once(": -")?.1;
        let (code, detail) = inner.split_once(' ')?;
        Trouble::from_code(code, detail).map(Self::Refused)
    }

    /// What is wrong with the server, if that is it.
    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Down(trouble) | Self::Lost(trouble) | Self::Refused(trouble) => Some(trouble),
            Self::Command(_) => None,
        }
    }
}

/// True if the keeper should look at once.
pub(super) fn lost(error: &LinkError) -> bool {
    match error {
        LinkError::Lost(_) | LinkError::Refused(_) => true,
        LinkError::Down(_) | LinkError::Command(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_itself_is_told_apart() {
        for (code, word, reads) in [
            ("LOADING", "loading", false),
            ("BUSY", "busy", false),
            ("NOAUTH", "unauthenticated", false),
            ("WRONGPASS", "unauthenticated", false),
            ("NOPERM", "forbidden", true),
            ("READONLY", "read_only", true),
            ("OOM", "out_of_memory", true),
            ("MISCONF", "unsaved", true),
            ("MASTERDOWN", "loading", false),
        ] {
            let trouble = Trouble::from_code(code, "why").unwrap();
            assert_eq!(
                (trouble.word(), trouble.leaves_reading()),
                (word, reads),
                "{code}"
            );
        }
        for code in ["ERR", "WRONGTYPE", "EXECABORT", ""] {
            assert_eq!(Trouble::from_code(code, "why"), None, "{code}");
        }
    }

    #[test]
    fn an_error_wrapped_by_an_old_servers_script_is_unwrapped() {
        let detail = "Error running script (call to f_ab12): @user_script:3: @user_script: 3: -OOM command not allowed";
        let error = LinkError::from_answer("ERR", detail).unwrap();
        assert_eq!(error.trouble(), Some(&Trouble::OutOfMemory));
        assert!(LinkError::from_answer("ERR", "unknown command").is_none());
    }
}
