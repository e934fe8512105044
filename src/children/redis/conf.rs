//! The configuration of a redis that is ours alone. Directives that Redis 6.2 to 8 and Valkey all know.

use std::path::Path;

use super::{Fsync, Login, RedisParams};

/// What the user `agent` may do: be present, and find out that it is. SELECT for the presence database.
const AGENT_COMMANDS: &str =
    "-@all +ping +select +set +setex +psetex +get +del +exists +expire +pexpire +ttl +pttl +client|setname";

/// The text of the configuration file.
pub(super) fn text(
    params: &RedisParams,
    socket: &Path,
    dir: &Path,
    admin: Option<&Login>,
    agent: Option<&Login>,
) -> String {
    let fsync = match params.fsync {
        Fsync::EverySecond => "everysec",
        Fsync::Always => "always",
    };
    let mut lines = vec![
        "# Written by maestrod before every start; changes are lost.".to_owned(),
        format!("port {}", params.tcp.map_or(0, |tcp| tcp.port)),
        "bind 127.0.0.1".to_owned(),
        format!("unixsocket {}", quoted(socket)),
        "unixsocketperm 700".to_owned(),
        "protected-mode yes".to_owned(),
        "daemonize no".to_owned(),
        "supervised no".to_owned(),
        "pidfile \"\"".to_owned(),
        "logfile \"\"".to_owned(),
        "loglevel notice".to_owned(),
        "always-show-logo no".to_owned(),
        format!("dir {}", quoted(dir)),
        // No snapshots: one that fails would refuse every write, and even the polite end (redis/redis#584).
        "save \"\"".to_owned(),
        "appendonly yes".to_owned(),
        format!("appendfsync {fsync}"),
        "aof-load-truncated yes".to_owned(),
        format!("maxmemory {}", params.maxmemory),
        "maxmemory-policy noeviction".to_owned(),
        // 0 data, 1 presence: expiry of short-lived keys is slow beside many long-lived ones.
        "databases 4".to_owned(),
        "notify-keyspace-events Ex".to_owned(),
    ];
    if let (Some(admin), Some(agent)) = (admin, agent) {
        let keys = &params.presence_keys;
        lines.push("user default off".to_owned());
        lines.push(format!("user {} on #{} ~* &* +@all", admin.user, admin.hash()));
        lines.push(format!(
            "user {} on #{} resetchannels ~{keys} {AGENT_COMMANDS}",
            agent.user,
            agent.hash()
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A path as redis reads it between double quotes.
fn quoted(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;

    let mut text = String::from("\"");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            0x20..=0x7e => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::children::redis::{Redis, RedisError, Tcp};

    fn params(dir: &Path) -> RedisParams {
        RedisParams::new(dir.join("state"), dir.join("run"), dir.join("log"))
    }

    #[test]
    fn without_a_port_nobody_else_can_reach_it() {
        let redis = Redis::new(params(Path::new("/srv/m"))).expect("valid");
        let conf = redis.conf();
        for line in [
            "port 0",
            "unixsocket \"/srv/m/run/redis.sock\"",
            "unixsocketperm 700",
            "protected-mode yes",
            "daemonize no",
            "supervised no",
            "save \"\"",
            "appendonly yes",
            "appendfsync everysec",
            "aof-load-truncated yes",
            "maxmemory 268435456",
            "maxmemory-policy noeviction",
            "databases 4",
            "notify-keyspace-events Ex",
            "dir \"/srv/m/state/redis\"",
            "logfile \"\"",
        ] {
            assert!(conf.lines().any(|have| have == line), "{line} in\n{conf}");
        }
        assert!(!conf.contains("user ") && redis.login().is_none());
    }

    #[test]
    fn with_a_port_everybody_logs_in_and_agents_may_touch_presence_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let redis = Redis::new(RedisParams {
            tcp: Some(Tcp { port: 7001 }),
            ..params(dir.path())
        })
        .expect("valid");
        let conf = redis.conf();
        assert!(conf.contains("port 7001\nbind 127.0.0.1\n") && conf.contains("user default off\n"));
        assert!(conf.contains(" resetchannels ~maestro:presence:* -@all +ping"));
        let secrets = [redis.login().expect("there").password().to_owned()];
        assert!(secrets.iter().all(|secret| !conf.contains(secret)), "hashes only");
    }

    #[test]
    fn paths_with_blanks_quotes_and_other_bytes_survive() {
        assert_eq!(quoted(&PathBuf::from("/a b/\"c\\é")), r#""/a b/\"c\\\xc3\xa9""#);
    }

    #[test]
    fn a_socket_path_the_kernel_would_refuse_is_refused_with_a_reason() {
        let err = Redis::new(params(&PathBuf::from(format!("/{}", "d".repeat(100))))).expect_err("too long");
        assert!(matches!(err, RedisError::SocketPath { length, .. } if length > 103));
        assert!(err.to_string().contains("shorter runtime directory"));
        let fits = 103 - "/run/redis.sock".len() - 1;
        assert!(Redis::new(params(&PathBuf::from(format!("/{}", "d".repeat(fits))))).is_ok());
        assert!(Redis::new(params(&PathBuf::from(format!("/{}", "d".repeat(fits + 1))))).is_err());
    }

    #[test]
    fn a_key_pattern_cannot_smuggle_in_rights() {
        let bad = RedisParams {
            presence_keys: "x +@all".to_owned(),
            ..params(Path::new("/m"))
        };
        assert!(matches!(Redis::new(bad), Err(RedisError::PresenceKeys(_))));
    }
}
