//! TOML, environment and flags become one checked [`Config`], and each value knows where it came from.
//!
//! Precedence: flags, environment, file, built-in defaults. The table in `keys.rs` is what is parsed, compared at a
//! reload and printed as the reference. Deliberately not here: acting on a value, looking anything up in the network,
//! creating directories, finding programs.

mod amount;
mod args;
mod check;
mod choice;
mod derive;
mod error;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod keys;
mod nearest;
mod net;
mod place;
mod push;
mod reader;
pub mod reference;
mod reload;
mod render;
mod secret;
mod setting;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::PathBuf};

use self::reader::Reader;
pub use self::{
    amount::{ByteSize, duration},
    args::ConfigArgs,
    choice::{
        Fsync, Generator, KeyPrefix, LogFilter, LogFormat, MailBackend, RedisMode, StopProfile, TunnelId,
        TunnelMode,
    },
    error::{ConfigError, Origin, Problem},
    keys::{
        Clients, Config, Listen, Locks, Log, Mail, Manifest, Metrics, Presence, Push, Redis, Stop, Tunnel,
    },
    net::{HostName, HttpUrl, WebOrigin},
    place::Program,
    push::{Contact, PushService},
    reload::{Changed, ReloadPlan, diff_for_reload},
    secret::{RedisUrl, Secret},
    source::{Env, FileText, Flag, Lookup, Sources, lookup},
    table::{Key, Reload},
};

/// A configuration that can be used, and how it came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Where each value came from, by key.
    pub origins: BTreeMap<&'static str, Origin>,
    /// What the operator should know and what does not keep us from starting.
    pub warnings: Vec<String>,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
}

impl Config {
    /// Chooses every value and checks all of it. Pure: the same sources give the same result.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first of it.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let mut reader = Reader::new(sources, &Self::keys());
        let config = Self::read(&mut reader);
        if let Some(config) = &config {
            check::check(config, &mut reader);
        }
        match config {
            Some(config) if reader.problems.is_empty() => Ok(Loaded {
                config,
                origins: reader.origins,
                warnings: reader.warnings,
                file: sources.file.as_ref().map(|file| file.path.clone()),
            }),
            _ => Err(ConfigError::Invalid(reader.problems)),
        }
    }

    /// Gathers the sources of this process and loads them; what `maestrod` and `maestroctl` start with.
    pub fn from_process(args: &ConfigArgs) -> Result<Loaded, ConfigError> {
        Self::load(&Sources::gather(args, Env::from_process())?)
    }

    /// What local clients are told to use, once the port is known.
    pub fn server_url(&self, bound_port: u16) -> String {
        match &self.server_url {
            Some(url) => url.as_str().to_owned(),
            None => format!("http://localhost:{bound_port}"),
        }
    }

    /// The public address phones use, as far as the configuration knows it (a quick tunnel learns it at run time).
    pub fn public_url(&self) -> Option<&HttpUrl> {
        self.external_url.as_ref().or(self.tunnel.url.as_ref())
    }

    /// What every Redis key of mail begins with.
    pub fn mail_key_prefix(&self) -> String {
        format!("{}{}", self.redis.key_prefix.as_str(), self.mail.prefix.as_str())
    }
}
