//! Every key of the configuration, its default and its meaning. This table is what is parsed, what the reference
//! prints, and what a reload compares.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::{
    amount::ByteSize,
    choice::{
        Fsync, Generator, KeyPrefix, LogFilter, LogFormat, MailBackend, RedisMode, StopProfile, TunnelId,
        TunnelMode,
    },
    derive,
    net::{HostName, HttpUrl, WebOrigin},
    place::Program,
    push::{Contact, PushService},
    reader::Reader,
    secret::RedisUrl,
    setting::{Setting, Show},
    table::{EnvName, Key, Preset, Reload, settings},
};

/// A key that is unset unless somebody sets it.
const UNSET: Preset = Preset::Text("");

settings! {
    /// The checked configuration. A value of this type can be used as it is: nothing in it needs checking again.
    Config at "" {
        /// Where everything that must not be lost lies; also where the data of the Node server is found.
        data_dir: PathBuf = Preset::Derived(derive::DATA_DIR, derive::data_dir), env [EnvName::strict("DATA_DIR")] => Restart;
        /// Where manifests of sessions are written.
        session_dir: PathBuf = Preset::Text("~/.maestro/sessions"), env [EnvName::strict("SESSION_DIR")] => Restart;
        /// Where skills are read from.
        skills_dir: PathBuf = Preset::Text("~/.claude/skills"), env [EnvName::strict("SKILLS_DIR")] => Restart;
        /// Where the lock, the records of children and the files of the managed Redis lie.
        state_dir: PathBuf = Preset::Derived(derive::STATE_DIR, derive::state_dir),
            env [EnvName::strict("MAESTRO_STATE_DIR")] => Restart;
        /// Where sockets are made; at most 86 bytes long, because a socket's path may not have more than 103.
        runtime_dir: PathBuf = Preset::Derived(derive::RUNTIME_DIR, derive::runtime_dir),
            env [EnvName::strict("MAESTRO_RUNTIME_DIR")] => Restart;
        /// What local clients are told to use; unset means `http://localhost:<port>`.
        server_url: Option<HttpUrl> = UNSET, env [EnvName::strict("SERVER_URL")] => Restart;
        /// The public address of the hub, when something other than our tunnel provides it.
        external_url: Option<HttpUrl> = UNSET, env [EnvName::strict("EXTERNAL_URL")] => Restart;
    }
    tables {
        /// The local door.
        listen: Listen,
        /// What each connected client may use.
        clients: Clients,
        /// The log.
        log: Log,
        /// Manifests of spawned sessions.
        manifest: Manifest,
        /// Redis.
        redis: Redis,
        /// Knowing which agents are alive.
        presence: Presence,
        /// Claims and locks.
        locks: Locks,
        /// Mail between agents.
        mail: Mail,
        /// The way in from outside.
        tunnel: Tunnel,
        /// Notifications for phones.
        push: Push,
        /// Stopping.
        stop: Stop,
        /// Metrics.
        metrics: Metrics,
    }
}

settings! {
    /// The local door: REST, Socket.IO and raw WebSocket.
    Listen at "listen." {
        /// Addresses to listen on. Anything but loopback is refused unless `listen.allow_insecure_lan` is set.
        host: Vec<IpAddr> = Preset::Text("127.0.0.1, ::1"), env [EnvName::lenient("HOST")] => Restart;
        /// TCP port; 0 takes any free one.
        port: u16 = Preset::Text("3000"), env [EnvName::strict("PORT")], within ("0", "65535") => Restart;
        /// Listens beyond this machine although the local door has no authentication: whoever reaches it drives your agents.
        allow_insecure_lan: bool = Preset::Text("false") => Restart;
        /// Names besides localhost and the addresses listened on that a request's `Host` may have.
        allowed_hosts: Vec<HostName> = Preset::Text("host.docker.internal") => Live;
        /// Web origins besides our own and those of the desktop application that may talk to the hub.
        cors_origins: Vec<WebOrigin> = Preset::Text(""), env [EnvName::lenient("CORS_ORIGINS")] => Live;
        /// The largest request body.
        body_limit: ByteSize = Preset::Text("4MiB"), within ("64KiB", "256MiB") => Live;
        /// How many connections may be open at once.
        max_connections: u32 = Preset::Text("16384"), within ("16", "1000000") => Restart;
        /// How long a client may take to send a request's head; also how long an idle connection is kept.
        header_timeout: Duration = Preset::Text("30s"), within ("1s", "10m") => Restart;
    }
}

settings! {
    /// Bounds for each connected socket. A client that goes beyond them is disconnected with a reason.
    Clients at "clients." {
        /// How many events may wait for one client.
        queue_events: u32 = Preset::Text("1024"), within ("16", "1000000") => Live;
        /// How many bytes of events may wait for one client.
        queue_bytes: ByteSize = Preset::Text("8MiB"), within ("256KiB", "1GiB") => Live;
        /// How long one write to a client may take.
        write_timeout: Duration = Preset::Text("10s"), within ("1s", "5m") => Live;
        /// The largest message a client may send.
        max_message: ByteSize = Preset::Text("1MiB"), within ("1KiB", "64MiB") => Live;
        /// How many sockets may be open at once.
        max_sockets: u32 = Preset::Text("10000"), within ("1", "1000000") => Live;
    }
}

settings! {
    /// The log.
    Log at "log." {
        /// How much is logged.
        level: LogFilter = Preset::Text("info"), env [EnvName::strict("LOG_LEVEL")] => Live;
        /// How it looks; auto means journald under systemd, else text.
        format: LogFormat = Preset::Text("auto"), env [EnvName::lenient("LOG_FORMAT")] => Restart;
    }
}

settings! {
    /// Manifests of spawned sessions.
    Manifest at "manifest." {
        /// Who writes them.
        generator: Generator = Preset::Text("builtin"),
            env [EnvName::translated("MANIFEST_GENERATOR", derive::manifest_generator)] => Live;
        /// The program for `cli`.
        cli_path: Program = Preset::Text("maestro"), env [EnvName::strict("MAESTRO_CLI_PATH")] => Live;
        /// How long that program may take.
        timeout: Duration = Preset::Text("15s"), within ("100ms", "10m") => Live;
    }
}

settings! {
    /// Redis: ours, somebody else's, or none.
    Redis at "redis." {
        /// Where it comes from; auto means external if there is a url, managed if there is a server program, else off.
        mode: RedisMode = Preset::Text("auto"),
            env [EnvName::translated("REDIS_ENABLED", derive::redis_enabled)] => Restart;
        /// The address of an external one, with its password if it has one.
        url: Option<RedisUrl> = UNSET, env [EnvName::strict("REDIS_URL")] => Restart;
        /// The server program of a managed one; unset means redis-server, else valkey-server, from PATH.
        binary: Option<Program> = UNSET => Restart;
        /// Opens a managed one to local agents on this loopback port; unset means a private socket only.
        port: Option<u16> = UNSET, within ("1", "65535") => Restart;
        /// What all our keys and channels begin with.
        key_prefix: KeyPrefix = Preset::Text("maestro:"), env [EnvName::strict("REDIS_KEY_PREFIX")] => Restart;
        /// When a managed one forces its log to the disk.
        fsync: Fsync = Preset::Text("everysec") => Restart;
        /// How much memory a managed one may use; beyond it writes are refused, nothing is thrown away.
        maxmemory: ByteSize = Preset::Text("256MiB"), within ("16MiB", "1024GiB") => Restart;
    }
}

settings! {
    /// Knowing which agents are alive.
    Presence at "presence." {
        /// Whether heartbeats are kept and judged at all.
        enabled: bool = Preset::Text("true") => Restart;
        /// How often a living agent says so.
        heartbeat: Duration = Preset::Text("10s"), within ("100ms", "1h") => Restart;
        /// How long a heartbeat is believed; longer than `presence.heartbeat`.
        ttl: Duration = Preset::Text("30s"), within ("200ms", "24h") => Restart;
    }
}

settings! {
    /// Claims and locks.
    Locks at "locks." {
        /// Whether claims are kept in Redis, if there is one; otherwise in the memory of this hub.
        enabled: bool = Preset::Text("true") => Restart;
    }
}

settings! {
    /// Mail between agents.
    Mail at "mail." {
        /// What keys of mail have after `redis.key_prefix`.
        prefix: KeyPrefix = Preset::Text("mail:") => Restart;
        /// Where mail lies; auto means in Redis if there is one.
        backend: MailBackend = Preset::Text("auto") => Restart;
    }
}

settings! {
    /// The way in from outside.
    Tunnel at "tunnel." {
        /// How phones reach the hub.
        mode: TunnelMode = Preset::Text("off") => Restart;
        /// The cloudflared program.
        binary: Program = Preset::Text("cloudflared") => Restart;
        /// The public host name of a named tunnel.
        hostname: Option<HostName> = UNSET => Restart;
        /// The file with the token, for `token`.
        token_file: Option<PathBuf> = UNSET => Restart;
        /// The credentials file, for `named`.
        credentials_file: Option<PathBuf> = UNSET => Restart;
        /// The id of the tunnel, for `named`.
        tunnel_id: Option<TunnelId> = UNSET => Restart;
        /// The public address, for `token` and `external`, and for `named` if it is not `https://<hostname>`.
        url: Option<HttpUrl> = UNSET, env [EnvName::strict("CLOUDFLARE_TUNNEL_URL")] => Restart;
    }
}

settings! {
    /// Notifications for phones.
    Push at "push." {
        /// The services that may be sent to, besides which nothing is: a host, `*.` and a host (both by https on port 443
        /// and at public addresses only), or exactly one origin, wherever it is.
        allow: Vec<PushService> = Preset::Text(
            "fcm.googleapis.com, *.push.apple.com, updates.push.services.mozilla.com, *.notify.windows.com") => Restart;
        /// Where the operators of these services can reach you; unset means the public address.
        contact: Option<Contact> = UNSET => Restart;
    }
}

settings! {
    /// Stopping.
    Stop at "stop." {
        /// How much time a stop may take: fast is 4 s, normal is 20 s, auto is fast under launchd.
        profile: StopProfile = Preset::Text("auto") => Live;
    }
}

settings! {
    /// Metrics.
    Metrics at "metrics." {
        /// A loopback address that answers `/metrics` in Prometheus text; unset means on the control socket only.
        listen: Option<SocketAddr> = UNSET => Restart;
    }
}
