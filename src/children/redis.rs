//! redis-server (or valkey-server) as ours alone: own directory, generated configuration, a private socket.

use std::{
    ffi::OsString,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::binary::{self, Stamp};
use crate::supervisor::{
    Blocked, BoxFuture, ChildSpec, ExitReport, Facts, Fault, Invocation, Outcome, Policy, Program,
};

mod aof;
mod conf;
mod ends;
mod files;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod judge;
mod login;
mod resp;

pub use self::login::Login;

/// `sun_path` holds 104 bytes on macOS (108 on Linux), its final NUL included.
const SOCKET_PATH: usize = 103;

/// How much is written to disk before a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Once a second: a power cut may cost a second, the death of redis nothing.
    #[default]
    EverySecond,
    /// Always: ten to twenty times fewer writes.
    Always,
}

/// A loopback port, for agents that speak to redis themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// On 127.0.0.1. The user `agent` may touch presence keys only; its password is in `Redis::agent_password_file`.
    pub port: u16,
}

/// What may differ from one installation to the next.
#[derive(Clone, Debug)]
pub struct RedisParams {
    /// Ours: holds lock, record, configuration, and `redis/` with the data.
    pub state_dir: PathBuf,
    /// Ours: holds the socket.
    pub run_dir: PathBuf,
    /// Holds the output.
    pub log_dir: PathBuf,
    /// This program and no other; otherwise one is looked for before every start.
    pub binary: Option<PathBuf>,
    /// Where to look, in the form of PATH; ours and the usual places if not given.
    pub search_path: Option<OsString>,
    /// See [`Fsync`].
    pub fsync: Fsync,
    /// Bytes; writes are refused beyond.
    pub maxmemory: u64,
    /// No TCP at all unless asked for.
    pub tcp: Option<Tcp>,
    /// Keys the user `agent` may touch, as an ACL pattern without blanks.
    pub presence_keys: String,
}

impl RedisParams {
    /// The defaults, with everything in these directories.
    pub fn new(state_dir: PathBuf, run_dir: PathBuf, log_dir: PathBuf) -> RedisParams {
        RedisParams {
            state_dir,
            run_dir,
            log_dir,
            binary: None,
            search_path: None,
            fsync: Fsync::default(),
            maxmemory: 256 << 20,
            tcp: None,
            presence_keys: "maestro:presence:*".to_owned(),
        }
    }
}

/// Why there cannot be such a redis.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The kernel takes no longer paths.
    #[error(
        "the socket path {path} has {length} bytes, {SOCKET_PATH} are possible; choose a shorter runtime directory"
    )]
    SocketPath {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// An ACL pattern with blanks would end early.
    #[error("the presence key pattern {0:?} must not be empty or hold blanks or quotes")]
    PresenceKeys(String),
    /// The passwords of the TCP port are files of ours.
    #[error("the redis passwords in {0} cannot be read or made")]
    Password(PathBuf, #[source] io::Error),
}

/// The program: see [`Program`].
#[derive(Debug)]
pub struct Redis {
    params: RedisParams,
    socket: PathBuf,
    admin: Option<Login>,
    agent: Option<Login>,
    noted: Mutex<Noted>,
}

/// What was seen at the last preparation: if a block is not about what can be looked at, a change of these
/// is the sign that something was done about it.
#[derive(Debug, Default)]
struct Noted {
    binary: Option<(PathBuf, Stamp)>,
    data: Option<aof::Stamp>,
}

impl Redis {
    /// Checks the parameters. With a TCP port this reads or makes the two password files.
    pub fn new(params: RedisParams) -> Result<Redis, RedisError> {
        let socket = params.run_dir.join("redis.sock");
        let length = socket.as_os_str().as_bytes().len();
        if length > SOCKET_PATH {
            return Err(RedisError::SocketPath { path: socket, length });
        }
        let pattern = &params.presence_keys;
        if pattern.is_empty()
            || pattern.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'".contains(c))
        {
            return Err(RedisError::PresenceKeys(pattern.clone()));
        }
        let dir = params.state_dir.join("redis");
        let login =
            |user| login::read_or_make(&dir, user).map_err(|err| RedisError::Password(dir.clone(), err));
        let (admin, agent) = match params.tcp {
            Some(_) => (Some(login("maestro")?), Some(login("agent")?)),
            None => (None, None),
        };
        Ok(Redis {
            params,
            socket,
            admin,
            agent,
            noted: Mutex::default(),
        })
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How to log in on the socket; `None`: no login is needed. (With a TCP port nobody may do without.)
    pub fn login(&self) -> Option<&Login> {
        self.admin.as_ref()
    }

    /// The file with the password of the user `agent`, if there is a TCP port.
    pub fn agent_password_file(&self) -> Option<PathBuf> {
        self.agent
            .as_ref()
            .map(|login| login::path(&self.data_dir(), &login.user))
    }

    /// The server that would be started now, if there is one.
    pub fn binary(&self) -> Option<PathBuf> {
        if let Some(path) = &self.params.binary {
            return binary::is_executable(path).then(|| path.clone());
        }
        let ours = std::env::var_os("PATH");
        let (search, wide) = match &self.params.search_path {
            Some(search) => (Some(search), false),
            None => (ours.as_ref(), true),
        };
        binary::find(
            &["redis-server", "valkey-server"],
            search.map(OsString::as_os_str),
            wide,
        )
    }

    fn data_dir(&self) -> PathBuf {
        self.params.state_dir.join("redis")
    }

    fn conf_path(&self) -> PathBuf {
        self.params.state_dir.join("redis.conf")
    }

    fn conf(&self) -> String {
        conf::text(
            &self.params,
            &self.socket,
            &self.data_dir(),
            self.admin.as_ref(),
            self.agent.as_ref(),
        )
    }

    fn found_binary(&self) -> Result<PathBuf, Fault> {
        let remedy = || {
            match &self.params.binary {
            Some(path) => format!("{} is not an executable file; install it or correct the path", path.display()),
            None => "neither redis-server nor valkey-server was found on PATH or where Homebrew puts it; install one \
                     (apt install redis-server, brew install redis) and it is started by itself"
                .to_owned(),
        }
        };
        self.binary()
            .ok_or_else(|| Fault::Permanent(Blocked::new("binary_missing", remedy())))
    }

    async fn make_ready(&self, repair: bool) -> Result<Invocation, Fault> {
        let program = self.found_binary()?;
        files::private_dir(&self.data_dir())?;
        files::private_dir(&self.params.run_dir)?;
        if let Some(pid) = resp::listener(&self.socket).await {
            return Err(Fault::Permanent(ends::foreign(&self.socket, pid)));
        }
        if let Some(tcp) = self.params.tcp.filter(|tcp| !files::port_free(tcp.port)) {
            return Err(Fault::Permanent(ends::port_taken(tcp.port)));
        }
        if repair {
            let repaired = aof::repair(&self.data_dir(), &program).await;
            let stamp = aof::stamp(&self.data_dir());
            self.note(|noted| noted.data = Some(stamp));
            repaired?;
        }
        let conf = self.conf_path();
        files::write_private(&conf, &self.conf())?;
        let stamp = binary::stamp(&program).map(|stamp| (program.clone(), stamp));
        self.note(|noted| noted.binary = stamp);
        Ok(Invocation {
            program,
            args: vec![conf.into_os_string()],
            env: Vec::new(),
        })
    }

    fn note<T>(&self, with: impl FnOnce(&mut Noted) -> T) -> T {
        with(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn is_cleared(&self, why: &Blocked) -> bool {
        match why.code.as_ref() {
            "binary_missing" => self.binary().is_some(),
            "foreign_redis" => resp::listener(&self.socket).await.is_none(),
            "port_taken" => self.params.tcp.is_none_or(|tcp| files::port_free(tcp.port)),
            "disk_full" => files::has_room(&self.params.state_dir),
            "dir_unwritable" => {
                files::is_writable(&self.data_dir()) && files::is_writable(&self.params.run_dir)
            }
            "data_corrupt" => {
                let now = aof::stamp(&self.data_dir());
                self.note(|noted| noted.data.as_ref().is_some_and(|then| *then != now))
            }
            // Only another program can read the same configuration otherwise.
            _ => self.note(|noted| {
                noted
                    .binary
                    .as_ref()
                    .is_some_and(|(path, then)| binary::stamp(path) != Some(*then))
            }),
        }
    }
}

impl Program for Redis {
    fn fingerprint(&self) -> String {
        let hash = Sha256::digest(self.conf().as_bytes());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn prepare(&self, repair: bool) -> BoxFuture<'_, Result<Invocation, Fault>> {
        Box::pin(self.make_ready(repair))
    }

    fn probe(&self, pid: i32) -> BoxFuture<'_, (Outcome, Facts)> {
        Box::pin(async move {
            let answer = resp::ask(&self.socket, self.admin.as_ref()).await;
            judge::judge(answer, pid, &self.socket, || aof::bytes(&self.data_dir()))
        })
    }

    fn classify(&self, report: &ExitReport) -> Fault {
        ends::classify(report, &self.params)
    }

    fn classify_spawn(&self, err: &io::Error) -> Fault {
        binary::spawn_fault("the redis server", err)
    }

    fn cleared<'a>(&'a self, why: &'a Blocked) -> BoxFuture<'a, bool> {
        Box::pin(self.is_cleared(why))
    }
}

/// The patience that redis gets.
///
/// A liveness probe every 1.5 s with 1 s to answer: an intruder on the socket is found within 2 s, a process
/// that is stopped or hung within 7.5 s. One that the kernel says is stopped is then ended at once, since it
/// cannot recover by waiting; one that is merely silent (a long script, a stalled disk) has 30 s.
pub fn policy() -> Policy {
    Policy {
        live_interval: Duration::from_millis(1_500),
        ..Policy::default()
    }
}

/// The spec of redis as a child.
pub fn redis_server(redis: Arc<Redis>) -> ChildSpec {
    let params = redis.params.clone();
    let spec = ChildSpec::new("redis", redis, params.state_dir, params.log_dir);
    ChildSpec {
        policy: policy(),
        oom_score_adj: Some(0),
        ..spec
    }
}
