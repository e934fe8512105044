//! The options every program of ours has in common, so that daemon and remote control find the same things.

use std::path::PathBuf;

use super::source::Flag;

/// Options that name or change the configuration. Flatten into a clap command.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Read this file instead of looking for maestro.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Listen on these addresses (comma-separated)
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Listen on this port
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Keep the data in this directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Log this much: off, error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Log in this form: auto, pretty, json, journald
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Take Redis from: auto, managed, external, off
    #[arg(long, value_name = "MODE")]
    pub redis: Option<String>,
    /// Set any key of the file, as in `--set presence.ttl=20s`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// What was given, in an order in which later ones win.
    pub fn flags(&self) -> Vec<Flag> {
        let named = [
            ("--host", "listen.host", &self.host),
            ("--port", "listen.port", &self.port),
            ("--data-dir", "data_dir", &self.data_dir),
            ("--log-level", "log.level", &self.log_level),
            ("--log-format", "log.format", &self.log_format),
            ("--redis", "redis.mode", &self.redis),
        ];
        let set = self.set.iter().map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Flag {
                name: "--set".into(),
                key: key.trim().into(),
                value: value.into(),
            }
        });
        let named = named.into_iter().filter_map(|(name, key, value)| {
            let value = value.clone()?;
            Some(Flag {
                name: name.into(),
                key: key.into(),
                value,
            })
        });
        set.chain(named).collect()
    }
}
