//! What the init system learns from how we end (docs/OPERATIONS.md).

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    process::ExitCode,
};

use thiserror::Error;

use crate::access::{AccessError, KeyError};
use crate::children::RedisError;
use crate::config::ConfigError;
use crate::hub::listen::BindError;
use crate::ports::StoreError;
use crate::private_socket::SocketError;
use crate::redis_link::SettingsError;
use crate::service::lock::LockError;
use crate::service::logging::LoggingError;
use crate::sqlite::SqliteError;

/// Exit codes, those of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Asked to stop, and stopped.
    Stopped = 0,
    /// The command line is wrong.
    Usage = 64,
    /// A mistake of ours.
    Bug = 70,
    /// Cannot start, and another try will not help by itself.
    CannotStart = 73,
    /// Cannot start now, or asked to be started again.
    TryAgain = 75,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the daemon does not run.
#[derive(Debug, Error)]
pub enum StartError {
    /// What was configured cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another daemon has the data, or nobody can.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Sqlite(#[from] SqliteError),
    /// The store cannot be read.
    #[error("cannot read the store")]
    Store(#[from] StoreError),
    /// The paired devices cannot be read.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The addresses are not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The manager handed over what is of no use here.
    #[error("the socket `{name}` of the socket unit cannot be served")]
    Activated {
        name: String,
        #[source]
        source: BindError,
    },
    /// The manager handed over a socket that other machines reach.
    #[error("the socket `{name}` of the socket unit is open to other machines ({address})")]
    ActivatedBeyond { name: String, address: SocketAddr },
    /// Operators cannot be answered.
    #[error(transparent)]
    Control(#[from] SocketError),
    /// Our own redis cannot be set up.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Redis is not where it could be reached.
    #[error(transparent)]
    RedisAddress(#[from] SettingsError),
    /// Mail is to be kept in redis, and there is none.
    #[error(
        "mail.backend is redis, and there is no redis: redis.url is not set and no redis-server is installed"
    )]
    MailWithoutRedis,
    /// Agents could not prove who they are.
    #[error(transparent)]
    AgentKey(#[from] KeyError),
    /// There is no log.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// The system said no.
    #[error("cannot {0}")]
    System(&'static str, #[source] std::io::Error),
}

impl StartError {
    /// How to end for this reason.
    pub fn exit(&self) -> Exit {
        if self.is_for_want_of_room() {
            return Exit::TryAgain;
        }
        match self {
            Self::Config(_)
            | Self::RedisAddress(_)
            | Self::MailWithoutRedis
            | Self::Activated { .. }
            | Self::ActivatedBeyond { .. }
            | Self::Redis(RedisError::SocketPath { .. } | RedisError::PresenceKeys(_)) => Exit::Config,
            Self::Redis(RedisError::Password(..)) => Exit::CannotStart,
            Self::Bind(BindError::Taken(_)) => Exit::TryAgain,
            Self::Lock(_)
            | Self::AgentKey(_)
            | Self::Sqlite(_)
            | Self::Store(_)
            | Self::Access(_)
            | Self::Control(_)
            | Self::Bind(BindError::Failed(..) | BindError::Handed(_)) => Exit::CannotStart,
            Self::Logging(_) | Self::System(..) => Exit::Bug,
        }
    }

    /// A disk is full: that passes, and nobody has to come for it.
    fn is_for_want_of_room(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
            let full = matches!(io, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
                || error.downcast_ref() == Some(&SqliteError::Full)
                || matches!(error.downcast_ref(), Some(StoreError::DiskFull));
            if full {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// What to do about it, if that is not said already.
    pub fn remedy(&self) -> Option<String> {
        if self.is_for_want_of_room() {
            return Some("free some space on that disk, and start again".into());
        }
        match self {
            Self::Lock(LockError::Held { holder, .. }) => Some(match holder {
                Some(pid) => format!(
                    "ask it with `maestroctl status`, stop it with `kill {pid}`, or use another --data-dir"
                ),
                None => "use another --data-dir, or try again in a moment".into(),
            }),
            Self::Bind(BindError::Taken(address)) => Some(format!(
                "stop that program (`lsof -i :{port}` names it; the Node server uses this port too), or use another --port",
                port = address.port()
            )),
            Self::Config(_) => {
                Some("`maestrod check` tries a configuration without starting anything".into())
            }
            Self::MailWithoutRedis => {
                Some("install redis-server, set redis.url, or set mail.backend to auto".into())
            }
            Self::AgentKey(KeyError::Broken(path)) => Some(format!(
                "put it back from a backup, or remove {} to make a new one: agents that are running have to be started \
                 anew then",
                path.display()
            )),
            Self::Activated { .. } => Some(
                "let ListenStream= name TCP addresses only, as in maestro.socket: 127.0.0.1:3000 and [::1]:3000".into(),
            ),
            Self::ActivatedBeyond { .. } => Some(
                "whoever reaches it drives your agents: let ListenStream= name 127.0.0.1 and [::1] only, or set \
                 listen.allow_insecure_lan"
                    .into(),
            ),
            Self::Bind(BindError::Failed(..) | BindError::Handed(_))
            | Self::AgentKey(KeyError::Io(..))
            | Self::Lock(LockError::Io { .. })
            | Self::Sqlite(_)
            | Self::Store(_)
            | Self::Access(_)
            | Self::Control(_)
            | Self::Redis(_)
            | Self::RedisAddress(_)
            | Self::Logging(_)
            | Self::System(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_passes_and_other_failures_of_the_system_are_ours_to_mend() {
        let system = |kind: ErrorKind| StartError::System("write server-url", kind.into());
        assert_eq!(system(ErrorKind::StorageFull).exit(), Exit::TryAgain);
        assert_eq!(system(ErrorKind::QuotaExceeded).exit(), Exit::TryAgain);
        assert_eq!(system(ErrorKind::Other).exit(), Exit::Bug);
        assert_eq!(StartError::from(SqliteError::Full).exit(), Exit::TryAgain);
        assert_eq!(StartError::from(StoreError::DiskFull).exit(), Exit::TryAgain);
        assert_eq!(StartError::from(SqliteError::Stopping).exit(), Exit::CannotStart);
        let key = KeyError::Io("/data/agent.key".into(), ErrorKind::StorageFull.into());
        let full = StartError::from(key);
        assert_eq!(full.exit(), Exit::TryAgain);
        assert!(
            full.remedy()
                .is_some_and(|remedy| remedy.contains("free some space"))
        );
    }
}
