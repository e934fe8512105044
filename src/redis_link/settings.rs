//! Where the server is, who we are to it, and how long we wait.

use std::{path::Path, time::Duration};

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    TlsCertificates,
};
use thiserror::Error;

/// How to reach a server.
#[derive(Clone)]
pub struct Settings {
    pub(super) client: Client,
    pub(super) keyspace_events: Option<&'static str>,
    pub(super) probe_key: String,
    /// How long we wait for what.
    pub timings: Timings,
}

/// How long we wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// For a connection, its greeting included.
    pub connect: Duration,
    /// For the answer to a command.
    pub command: Duration,
    /// Between two looks at a server that is well.
    pub probe_every: Duration,
    /// For the answer to a look; longer than a disk's hiccup, during which a server may answer nobody.
    pub probe: Duration,
    /// Before the second try to connect; each further try waits longer.
    pub retry_first: Duration,
    /// Longest wait between two tries.
    pub retry_last: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            command: Duration::from_secs(2),
            probe_every: Duration::from_secs(1),
            probe: Duration::from_secs(2),
            retry_first: Duration::from_millis(10),
            retry_last: Duration::from_secs(2),
        }
    }
}

/// Why an address cannot be used. Says nothing of the address: it may hold a password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    /// It is no address of a Redis.
    #[error(
        "this is no address of a Redis: expected redis://, rediss:// (TLS), valkey:// or redis+unix:// \
         with [user:password@]host[:port][/database]"
    )]
    Address,
    /// The certificates cannot be used.
    #[error("the certificates for TLS cannot be used")]
    Certificates,
}

impl Settings {
    /// A server at a unix socket, for which no password is needed.
    pub fn unix(socket: &Path) -> Result<Self, SettingsError> {
        let address = ConnectionAddr::Unix(socket.to_owned());
        Self::of(
            address
                .into_connection_info()
                .map_err(|_| SettingsError::Address)?,
            None,
        )
    }

    /// A server given by its address: host or socket, TLS or not, user, password and database are read from it.
    pub fn url(url: &str) -> Result<Self, SettingsError> {
        Self::of(
            url.into_connection_info().map_err(|_| SettingsError::Address)?,
            None,
        )
    }

    /// As [`url`](Self::url), trusting only certificates signed by this authority (PEM) instead of the system's.
    pub fn url_with_authority(url: &str, authority: Vec<u8>) -> Result<Self, SettingsError> {
        Self::of(
            url.into_connection_info().map_err(|_| SettingsError::Address)?,
            Some(authority),
        )
    }

    fn of(info: ConnectionInfo, authority: Option<Vec<u8>>) -> Result<Self, SettingsError> {
        // RESP3 tells us at once when the connection is gone.
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_redis_settings(redis.set_lib_name("maestro", env!("CARGO_PKG_VERSION")));
        let client = match authority {
            None => Client::open(info).map_err(|_| SettingsError::Address)?,
            Some(root) => Client::build_with_tls(
                info,
                TlsCertificates {
                    client_tls: None,
                    root_cert: Some(root),
                },
            )
            .map_err(|_| SettingsError::Certificates)?,
        };
        Ok(Self {
            client,
            keyspace_events: None,
            probe_key: "maestro:probe".into(),
            timings: Timings::default(),
        })
    }

    /// Where it is, in the form [`Self::url`] reads, without user and password.
    pub fn address(&self) -> String {
        let info = self.client.get_connection_info();
        let database = info.redis_settings().db();
        match info.addr() {
            ConnectionAddr::Unix(path) => format!("redis+unix://{}?db={database}", path.display()),
            ConnectionAddr::Tcp(host, port) => format!("redis://{}:{port}/{database}", bracketed(host)),
            ConnectionAddr::TcpTls { host, port, .. } => {
                format!("rediss://{}:{port}/{database}", bracketed(host))
            }
            _ => String::new(), // nothing that an address leads to
        }
    }

    /// True if we say who we are.
    pub fn has_login(&self) -> bool {
        let redis = self.client.get_connection_info().redis_settings();
        redis.username().is_some() || redis.password().is_some()
    }

    /// The same server, another logical database.
    pub fn database(mut self, number: u16) -> Self {
        let info = self.client.get_connection_info().clone();
        let redis: RedisConnectionInfo = info.redis_settings().clone().set_db(i64::from(number));
        // Only the number changed: an address that could be opened still can.
        if let Ok(client) = Client::open(info.set_redis_settings(redis)) {
            self.client = client;
        }
        self
    }

    /// What our keys begin with: our user may be forbidden to touch any other.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.probe_key = format!("{prefix}probe");
        self
    }

    /// For a server that is ours: its `notify-keyspace-events`, set again at every connect.
    pub fn keyspace_events(mut self, flags: &'static str) -> Self {
        self.keyspace_events = Some(flags);
        self
    }

    /// With other limits of time.
    pub fn timings(mut self, timings: Timings) -> Self {
        self.timings = timings;
        self
    }
}

fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_server_is_can_be_written_down_without_its_password() {
        for (url, address, login) in [
            ("redis://localhost", "redis://localhost:6379/0", false),
            ("redis://user:secret@[::1]:6380/2", "redis://[::1]:6380/2", true),
            (
                "rediss://:secret@redis.example:6379",
                "rediss://redis.example:6379/0",
                true,
            ),
            (
                "redis+unix:///run/r.sock?db=1&pass=secret",
                "redis+unix:///run/r.sock?db=1",
                true,
            ),
            ("unix:///run/r.sock", "redis+unix:///run/r.sock?db=0", false),
        ] {
            let settings = Settings::url(url).unwrap();
            assert_eq!(
                (settings.address(), settings.has_login()),
                (address.to_owned(), login)
            );
            assert_eq!(Settings::url(address).unwrap().address(), address);
        }
    }

    #[test]
    fn every_kind_of_address_is_read() {
        for url in [
            "redis://localhost",
            "redis://user:pass@[::1]:6380/2",
            "rediss://redis.example:6379",
            "valkey://127.0.0.1",
            "redis+unix:///run/redis.sock?db=1",
            "unix:///run/redis.sock",
        ] {
            assert!(Settings::url(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_being_repeated() {
        for url in [
            "http://user:secret@host",
            "redis://:secret@host:99999",
            "secret",
            "",
        ] {
            let error = Settings::url(url).map(drop).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn another_database_is_the_same_server() {
        let settings = Settings::url("redis://user:pass@localhost:6380/2")
            .unwrap()
            .database(5);
        let info = settings.client.get_connection_info();
        assert_eq!(info.redis_settings().db(), 5);
        assert_eq!(info.redis_settings().username(), Some("user"));
        assert_eq!(info.addr(), &ConnectionAddr::Tcp("localhost".into(), 6380));
    }
}
