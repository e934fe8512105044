//! Rules between keys: what is valid by itself and cannot work together.

use std::net::IpAddr;

use super::{
    choice::{MailBackend, RedisMode, TunnelMode},
    keys::Config,
    reader::Reader,
    setting::{Show, one_line},
};

/// `sun_path` of macOS holds 104 bytes with the final zero; Linux has 108.
const LONGEST_SOCKET_PATH: usize = 103;
/// Room for a slash and the longest name of a socket we make.
const LONGEST_SOCKET_NAME: usize = 17;

/// Variables the Node server knew that mean nothing here, and why.
pub(super) const IGNORED_ENV: &[(&str, &str)] = &[
    ("NODE_ENV", "there is one way to run"),
    ("DATABASE_TYPE", "the store is embedded"),
    ("DATABASE_URL", "the store is embedded"),
    (
        "CORS_ENABLED",
        "origins are always checked; list yours in `listen.cors_origins`",
    ),
    ("CORS_CREDENTIALS", "origins are always checked"),
    ("LOG_FILE", "the log goes to the journal or to standard error"),
    ("DEBUG", "use `log.level`"),
];

pub(super) fn check(config: &Config, reader: &mut Reader<'_>) {
    listening(config, reader);
    directories(config, reader);
    redis(config, reader);
    presence(config, reader);
    tunnel(config, reader);
    ignored(reader);
}

fn refuse(reader: &mut Reader<'_>, key: &str, message: impl Into<String>, remedy: &str) {
    let origin = reader.origins.get(key).cloned();
    reader.problem(origin, Some(key), message.into(), Some(remedy.into()));
}

fn is_local(ip: &IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn listening(config: &Config, reader: &mut Reader<'_>) {
    let listen = &config.listen;
    if listen.host.is_empty() {
        refuse(
            reader,
            "listen.host",
            "no address to listen on",
            "write 127.0.0.1",
        );
    }
    if let Some(open) = listen.host.iter().find(|ip| !is_local(ip)) {
        if listen.allow_insecure_lan {
            reader.warnings.push(format!(
                "listening on {open} without authentication: whoever reaches port {} drives your agents",
                listen.port
            ));
        } else {
            let message = format!(
                "{open} can be reached from other machines, and the local door has no authentication"
            );
            let remedy = "use 127.0.0.1 and let phones in through [tunnel], or set listen.allow_insecure_lan = true \
                 if you trust every machine that can reach it";
            refuse(reader, "listen.host", message, remedy);
        }
    }
    if let Some(open) = config.metrics.listen.filter(|address| !is_local(&address.ip())) {
        let message =
            format!("{open} can be reached from other machines, and metrics have no authentication");
        refuse(reader, "metrics.listen", message, "use a loopback address");
    }
}

fn directories(config: &Config, reader: &mut Reader<'_>) {
    let length = config.runtime_dir.as_os_str().len() + LONGEST_SOCKET_NAME;
    if length > LONGEST_SOCKET_PATH {
        let message = format!(
            "{} is too long for the path of a socket",
            one_line(&config.runtime_dir.shown())
        );
        refuse(
            reader,
            "runtime_dir",
            message,
            "set runtime_dir to a shorter path of your own, not in /tmp",
        );
    }
}

fn redis(config: &Config, reader: &mut Reader<'_>) {
    let redis = &config.redis;
    let has_url = redis.url.is_some();
    if redis.mode == RedisMode::External && !has_url {
        refuse(
            reader,
            "redis.mode",
            "external, and redis.url is not set",
            "set redis.url or $REDIS_URL",
        );
    }
    if redis.mode == RedisMode::Managed && has_url {
        reader
            .warnings
            .push("redis.url is not used: redis.mode is managed".into());
    }
    if redis.mode == RedisMode::Off && config.mail.backend == MailBackend::Redis {
        refuse(reader, "mail.backend", "redis, and redis.mode is off", "use auto");
    }
    if redis.port.is_some_and(|port| port == config.listen.port) {
        refuse(
            reader,
            "redis.port",
            "the same as listen.port",
            "use another port",
        );
    }
}

fn presence(config: &Config, reader: &mut Reader<'_>) {
    let presence = &config.presence;
    if presence.ttl <= presence.heartbeat {
        let message = format!(
            "{} is not longer than presence.heartbeat ({})",
            presence.ttl.shown(),
            presence.heartbeat.shown()
        );
        refuse(reader, "presence.ttl", message, "three heartbeats are usual");
    }
}

fn tunnel(config: &Config, reader: &mut Reader<'_>) {
    let tunnel = &config.tunnel;
    let public = tunnel.url.is_some() || config.external_url.is_some();
    let missing = |set: bool, key: &'static str| (!set).then_some(key);
    let needed = match tunnel.mode {
        TunnelMode::Off | TunnelMode::Quick => vec![],
        TunnelMode::Named => vec![
            missing(tunnel.hostname.is_some(), "tunnel.hostname"),
            missing(tunnel.credentials_file.is_some(), "tunnel.credentials_file"),
            missing(tunnel.tunnel_id.is_some(), "tunnel.tunnel_id"),
        ],
        TunnelMode::Token => {
            vec![
                missing(tunnel.token_file.is_some(), "tunnel.token_file"),
                missing(public, "tunnel.url"),
            ]
        }
        TunnelMode::External => vec![missing(public, "external_url")],
    };
    // The way in from outside stays shut, and the rest runs: a hub that is down is no safer than one without a tunnel.
    for key in needed.into_iter().flatten() {
        let mode = tunnel.mode.as_str();
        reader.warnings.push(format!(
            "tunnel.mode is {mode}, and {key} is not set: the tunnel stays closed"
        ));
    }
    if tunnel.mode == TunnelMode::Off && public {
        reader
            .warnings
            .push("a public address is set, but tunnel.mode is off: nothing is reachable through it".into());
    }
}

fn ignored(reader: &mut Reader<'_>) {
    let quiet = ["NODE_ENV", "DEBUG"]; // common in shells for other programs
    for (name, why) in IGNORED_ENV.iter().filter(|(name, _)| !quiet.contains(name)) {
        let is_set = !matches!(reader.sources().env.get(name), Ok(None));
        let means_us = !matches!(reader.sources().env.get(name), Ok(Some("filesystem")));
        if is_set && means_us {
            reader.warnings.push(format!("${name} has no effect: {why}"));
        }
    }
}
