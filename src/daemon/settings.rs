//! What the configuration means for the parts: one function per part, no decisions beyond that.

use std::{path::Path, time::Duration};

use crate::access::Gate;
use crate::app::Facts;
use crate::bus::Bounds;
use crate::config::{Config, Generator, LogFormat, StopProfile as Profile};
use crate::domain::PROVIDER_VARIABLES;
use crate::hub::{Limits, listen::ConnectionLimits};
use crate::manifest::{Choice, Surroundings};
use crate::presence::Options;
use crate::service::{
    logging::Format,
    manager::{Owner, StopProfile},
};
use crate::skills::Skills;

/// Bounds for clients.
pub fn limits(config: &Config) -> Limits {
    Limits {
        body_bytes: config.listen.body_limit.len(),
        queue: Bounds {
            frames: config.clients.queue_events as usize,
            bytes: config.clients.queue_bytes.len(),
        },
        message_bytes: config.clients.max_message.len(),
        sockets: config.clients.max_sockets as usize,
        write_time: config.clients.write_timeout,
        ..Limits::default()
    }
}

/// Bounds for connections.
pub fn connection_limits(config: &Config) -> ConnectionLimits {
    ConnectionLimits {
        connections: config.listen.max_connections as usize,
        head_time: config.listen.header_timeout,
        write_time: config.clients.write_timeout,
        ..ConnectionLimits::default()
    }
}

/// Who may talk to the local listener: by our names and addresses, from our own pages and the listed ones.
pub fn gate(config: &Config) -> Gate {
    let url = config.server_url.as_ref();
    let hosts = config.listen.host.iter().map(ToString::to_string);
    let named = config
        .listen
        .allowed_hosts
        .iter()
        .chain(url.map(|url| url.host()));
    let listed = config
        .listen
        .cors_origins
        .iter()
        .chain(url.map(|url| url.origin()));
    Gate::local(
        hosts.chain(named.map(|name| name.as_str().to_owned())),
        listed.map(|origin| origin.as_str().to_owned()),
    )
}

/// What the hub tells of itself, now that its port is known.
pub fn facts(config: &Config, port: u16) -> Facts {
    Facts {
        hostname: nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_else(|_| "localhost".into()),
        platform: if cfg!(target_os = "macos") {
            "darwin"
        } else {
            "linux"
        },
        server_url: config.server_url(port),
        data_dir: config.data_dir.clone(),
        session_dir: config.session_dir.clone(),
        provider_env: PROVIDER_VARIABLES
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .filter(|(_, value)| !value.is_empty())
            .collect(),
    }
}

/// Who writes manifests.
pub fn manifests(config: &Config) -> Choice {
    match config.manifest.generator {
        Generator::Builtin => Choice::Builtin,
        Generator::Cli => Choice::Cli {
            program: config.manifest.cli_path.as_path().to_owned(),
            time_limit: config.manifest.timeout,
        },
    }
}

/// What an external writer of manifests is told.
pub fn surroundings(config: &Config, url: &str) -> Surroundings {
    Surroundings {
        server_url: url.to_owned(),
        session_dir: config.session_dir.clone(),
        scratch: config.state_dir.join("manifests"),
    }
}

/// Where skills are found.
pub fn skills(config: &Config) -> Skills {
    let home = std::env::home_dir();
    Skills::new(config.skills_dir.clone(), home.as_deref())
}

/// How agents are looked after, if they are.
pub fn presence(config: &Config, facts: &Facts) -> Option<Options> {
    let wanted = config.presence.enabled;
    wanted.then(|| Options::new(&facts.hostname, config.presence.ttl))
}

/// How log lines look.
pub fn log_format(config: &Config) -> Format {
    match config.log.format {
        LogFormat::Auto => Format::Auto,
        LogFormat::Pretty => Format::Text,
        LogFormat::Json => Format::Json,
        LogFormat::Journald => Format::Journald,
    }
}

/// How much time a stop may take. `launchd`: how long launchd waits, if it said so.
pub fn stop_profile(config: &Config, owner: &Owner, launchd: Option<Duration>) -> StopProfile {
    match config.stop.profile {
        Profile::Auto => owner.stop_profile(launchd),
        Profile::Fast => StopProfile::Fast,
        Profile::Normal => StopProfile::Normal,
    }
}

/// True if the Node server left its files here.
pub fn has_node_data(data_dir: &Path) -> bool {
    let holds_json = |folder: &str| {
        std::fs::read_dir(data_dir.join(folder)).is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|e| e.path().extension().is_some_and(|x| x == "json")))
        })
    };
    holds_json("projects") || holds_json("sessions")
}
