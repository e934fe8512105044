//! Which redis there is to be: ours, somebody else's, or none; and ours as a child.

use std::{path::PathBuf, sync::Arc, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::{broadcast, watch};
use tracing::debug;

use crate::children::{Fsync, Redis, RedisError, RedisParams, Tcp, redis_server};
use crate::config::{self, Config, RedisMode};
use crate::hub::Readiness;
use crate::presence::RedisRegistry;
use crate::redis_link::{RedisLink, Settings};
use crate::service::{
    manager::{Manager, Owner},
    sleep::Resume,
};
use crate::shutdown::TaskGroup;
use crate::supervisor::{ChildSpec, Grouping, Handle, Health, Nudge, Transition, is_orphaned, supervise};

use super::exit::StartError;

/// The logical database of heartbeats: no other keys with a time to live are there (SUPERVISION 4.6, lesson 22).
const PRESENCE: u16 = 1;
/// What a path keeps as it is in an address.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_');
/// Its name: of its part in the readiness, in the log, for operators.
pub const NAME: &str = "redis";

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

/// Starts keeping our own redis running, in `group`. The hub, which lacks it so far, is ready only while it is up.
///
/// # Errors
/// What is configured cannot work.
pub async fn start(
    config: &Config,
    owner: &Owner,
    readiness: &Readiness,
    group: &TaskGroup,
    transitions: broadcast::Sender<Transition>,
) -> Result<Handle, RedisError> {
    let handle = start_for_a_while(config, owner, group, transitions).await?;
    follow(handle.health(), readiness.clone(), group);
    Ok(handle)
}

/// As [`start`], and nobody's readiness depends on it.
///
/// # Errors
/// What is configured cannot work.
pub async fn start_for_a_while(
    config: &Config,
    owner: &Owner,
    group: &TaskGroup,
    transitions: broadcast::Sender<Transition>,
) -> Result<Handle, RedisError> {
    let handle = supervise(spec(config, owner)?, group, transitions);
    // A child's task that has ended has been told to: then nobody wants it to start.
    let _ended = handle.start().await;
    Ok(handle)
}

fn spec(config: &Config, owner: &Owner) -> Result<ChildSpec, RedisError> {
    let mut spec = redis_server(Arc::new(Redis::new(params(config))?));
    if matches!(owner.manager, Manager::Launchd { .. }) {
        spec.grouping = Grouping::Ours; // launchd sweeps our group when we die
    }
    Ok(spec)
}

/// Ends a redis of ours that outlived a daemon which was killed, and is not to run any more: nobody else would.
pub async fn end_orphan(config: &Config, owner: &Owner, group: &TaskGroup, patience: Duration) {
    match spec(config, owner) {
        Ok(spec) if is_orphaned(&spec) => {
            let (transitions, _) = broadcast::channel(16);
            let orphan = supervise(spec, group, transitions);
            // Taken over, or found not to be ours: only then it is known what to stop.
            let _ended = orphan.start().await;
            orphan.wait(patience, |status| status.pid.is_some()).await;
            orphan.shutdown(patience).await;
        }
        Ok(_) => {}
        Err(error) => debug!(%error, "no redis of ours can be left over"),
    }
}

/// How to reach what was chosen.
///
/// # Errors
/// What is configured cannot work.
pub fn way(config: &Config, choice: &Choice) -> Result<Option<Settings>, StartError> {
    let settings = match choice {
        Choice::Off { .. } => return Ok(None),
        Choice::External => match &config.redis.url {
            Some(url) => Settings::url(url.expose())?,
            None => return Ok(None), // the configuration is checked for that
        },
        Choice::Managed => {
            let redis = Redis::new(params(config))?;
            match redis.login() {
                None => Settings::unix(redis.socket())?,
                Some(login) => {
                    let path = redis.socket().to_string_lossy();
                    let path = utf8_percent_encode(&path, PATH);
                    let (user, password) = (&login.user, login.password());
                    Settings::url(&format!("redis+unix://{path}?user={user}&pass={password}"))?
                }
            }
        }
    };
    Ok(Some(settings.prefix(config.redis.key_prefix.as_str())))
}

/// The heartbeats that hubs and agents share there.
pub fn presence(config: &Config, way: &Settings, group: &TaskGroup) -> RedisRegistry {
    let own = RedisLink::open(way.clone().database(PRESENCE), group);
    let legacy = RedisLink::open(way.clone(), group);
    RedisRegistry::new(own, legacy, config.redis.key_prefix.as_str(), group)
}

fn params(config: &Config) -> RedisParams {
    let redis = &config.redis;
    let (state, run) = (config.state_dir.clone(), config.runtime_dir.clone());
    let mut params = RedisParams::new(state.clone(), run, state.join("logs"));
    params.binary = redis.binary.as_ref().map(|program| {
        // A name that is not found is kept: it shows in the status, and it may be installed later.
        server(config).unwrap_or_else(|| program.as_path().to_owned())
    });
    params.fsync = match redis.fsync {
        config::Fsync::EverySecond => Fsync::EverySecond,
        config::Fsync::Always => Fsync::Always,
    };
    params.maxmemory = redis.maxmemory.bytes();
    params.tcp = redis.port.map(|port| Tcp { port });
    params.presence_keys = format!("{}presence:*", redis.key_prefix.as_str());
    params
}

/// Ready only while redis is.
fn follow(mut health: watch::Receiver<Health>, readiness: Readiness, group: &TaskGroup) {
    group.spawn("redis readiness", move |stop| async move {
        loop {
            match &*health.borrow_and_update() {
                Health::Up { .. } => readiness.has(NAME),
                Health::Down { state, reason } => {
                    readiness.lacks(NAME, format!("redis is {state:?} ({reason})").to_lowercase());
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = health.changed() => if changed.is_err() { return },
            }
        }
    });
}

/// Tries a child that waits for its next turn right after the machine woke up.
pub fn nudge_on_resume(child: Handle, mut resumes: watch::Receiver<Option<Resume>>, group: &TaskGroup) {
    group.spawn("resume", move |stop| async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = resumes.changed() => if changed.is_err() { return },
            }
            if child.nudge(Nudge::Wake).await.is_err() {
                debug!("nobody is left to be told of the resume");
                return;
            }
        }
    });
}
