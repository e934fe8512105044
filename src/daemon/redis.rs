//! Which redis there is to be: ours, somebody else's, or none.

use std::path::PathBuf;

use crate::config::{Config, RedisMode};

/// The decision, made once at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// None: everything is embedded.
    Off {
        /// Why, for people.
        why: &'static str,
    },
    /// Ours: we keep it running.
    Managed,
    /// Somebody else's.
    External,
}

impl Choice {
    /// `server`: the program that would be started.
    pub fn make(config: &Config, server: Option<PathBuf>) -> Self {
        match config.redis.mode {
            RedisMode::Off => Self::Off {
                why: "redis.mode is off",
            },
            RedisMode::External => Self::External,
            RedisMode::Managed => Self::Managed,
            RedisMode::Auto if config.redis.url.is_some() => Self::External,
            RedisMode::Auto if server.is_some() => Self::Managed,
            RedisMode::Auto => Self::Off {
                why: "there is no redis-server here; install one and start again to have it used",
            },
        }
    }

    /// For people.
    pub fn told(&self) -> String {
        match self {
            Self::Off { why } => format!("none: everything is embedded ({why})"),
            Self::Managed => "our own, kept running".into(),
            Self::External => "external".into(),
        }
    }
}

/// The program a managed redis would be started from.
pub fn server(config: &Config) -> Option<PathBuf> {
    let names = match &config.redis.binary {
        Some(program) => vec![program.as_path().to_owned()],
        None => vec!["redis-server".into(), "valkey-server".into()],
    };
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    names
        .iter()
        .flat_map(|name| std::env::split_paths(&dirs).map(move |dir| dir.join(name)))
        .find(|path| path.is_file())
}
