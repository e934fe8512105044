//! What the init system learns from how we end (docs/OPERATIONS.md).

use std::process::ExitCode;

use thiserror::Error;

use crate::access::AccessError;
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
    /// Operators cannot be answered.
    #[error(transparent)]
    Control(#[from] SocketError),
    /// Our own redis cannot be set up.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Redis is not where it could be reached.
    #[error(transparent)]
    RedisAddress(#[from] SettingsError),
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
        match self {
            Self::Config(_)
            | Self::RedisAddress(_)
            | Self::Redis(RedisError::SocketPath { .. } | RedisError::PresenceKeys(_)) => Exit::Config,
            Self::Redis(RedisError::Password(..)) => Exit::CannotStart,
            Self::Bind(BindError::Taken(_)) => Exit::TryAgain,
            Self::Lock(_)
            | Self::Sqlite(_)
            | Self::Store(_)
            | Self::Access(_)
            | Self::Control(_)
            | Self::Bind(BindError::Failed(..)) => Exit::CannotStart,
            Self::Logging(_) | Self::System(..) => Exit::Bug,
        }
    }

    /// What to do about it, if that is not said already.
    pub fn remedy(&self) -> Option<String> {
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
            Self::Bind(BindError::Failed(..))
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
