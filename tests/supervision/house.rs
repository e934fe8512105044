//! A private house for one test: directories, a supervised child in it, and nobody left behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use maestro::{
    children::{Redis, RedisParams, redis_server},
    shutdown::TaskGroup,
    supervisor::{Backoff, ChildSpec, ChildStatus, Handle, Policy, State, Transition, supervise},
};
use tokio::sync::broadcast;

/// Long enough for any step on a busy machine; a step that takes it has failed.
pub const LONG: Duration = Duration::from_secs(30);

/// A patience that makes tests short: everything is the same, only sooner, and never too often.
pub fn quick(policy: Policy) -> Policy {
    let ms = Duration::from_millis;
    let backoff = Backoff {
        first: ms(20),
        steps: vec![ms(20); 8],
        crash_loop: vec![ms(50)],
        floor: ms(0),
    };
    Policy {
        stable_after: ms(0),
        recheck_interval: ms(50),
        orphan_interval: ms(50),
        spawn_limit: 1_000,
        backoff,
        ..policy
    }
}

/// Directories below a short temporary path (a socket path must be short), and the children in them.
pub struct House {
    dir: tempfile::TempDir,
    pub group: TaskGroup,
}

impl House {
    pub fn new() -> House {
        let dir = tempfile::Builder::new()
            .prefix("m")
            .tempdir_in("/tmp")
            .expect("a directory");
        House {
            dir,
            group: TaskGroup::default(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub fn params(&self) -> RedisParams {
        RedisParams::new(self.state(), self.path().join("run"), self.path().join("log"))
    }

    pub fn socket(&self) -> PathBuf {
        self.path().join("run/redis.sock")
    }

    pub fn redis_spec_of(&self, params: RedisParams) -> ChildSpec {
        let spec = redis_server(Arc::new(Redis::new(params).expect("valid")));
        ChildSpec {
            policy: quick(spec.policy.clone()),
            ..spec
        }
    }

    pub async fn redis_of(&self, params: RedisParams) -> Supervised {
        let redis = self.supervise(self.redis_spec_of(params));
        redis.handle.start().await.expect("supervised");
        redis
    }

    pub fn supervise(&self, spec: ChildSpec) -> Supervised {
        let (transitions, seen) = broadcast::channel(1_024);
        Supervised {
            handle: supervise(spec, &self.group, transitions),
            seen,
        }
    }

    pub async fn redis(&self) -> Supervised {
        self.redis_of(self.params()).await
    }

    /// Processes of this house: those that hold its lock, or name its directory.
    pub fn processes(&self) -> Vec<i32> {
        processes_naming(self.path())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.group.stop();
        for pid in self.processes() {
            signal(pid, "KILL");
        }
    }
}

/// Living processes whose command line or redis title names `dir`, or that hold a lock in it.
pub fn processes_naming(dir: &Path) -> Vec<i32> {
    let me = i32::try_from(std::process::id()).expect("a pid");
    let pids = fs::read_dir("/proc").expect("readable").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != me && state_of(*pid).is_some_and(|state| state != 'Z'))
        .filter(|pid| names(*pid, dir) || holds_lock_in(*pid, dir))
        .collect()
}

fn names(pid: i32, dir: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).into_owned();
    // The supervisor program of a test names the house too; it is no child.
    line.contains(&*dir.to_string_lossy()) && !line.contains("supervision-")
}

fn holds_lock_in(pid: i32, dir: &Path) -> bool {
    let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    let targets = fds.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
    targets
        .into_iter()
        .any(|path| path.starts_with(dir) && path.extension().is_some_and(|e| e == "lock"))
}

/// The state letter of a process; `None` if it is gone.
pub fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.get(stat.rfind(')')? + 2..)?.chars().next()
}

pub fn signal(pid: i32, name: &str) {
    let _ = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
}

/// Waits for a condition of the world.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Bytes in the files directly in `dir`.
pub fn bytes_in(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .filter(|file| file.is_file())
        .map(|file| file.len())
        .sum()
}

/// A process of the test itself, gone with it.
pub struct Process(pub Child);

impl Process {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }

    pub fn spawn(command: &mut Command) -> Process {
        Process(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .expect("it starts"),
        )
    }

    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A child and what was heard of it.
pub struct Supervised {
    pub handle: Handle,
    pub seen: broadcast::Receiver<Transition>,
}

impl Supervised {
    pub async fn is(&self, state: State) -> ChildStatus {
        let reached = self.handle.wait(LONG, |status| status.state == state).await;
        reached.unwrap_or_else(|| panic!("not {state:?} but {:#?}", self.handle.status()))
    }

    /// Ready with another process than `pid`.
    pub async fn is_ready_anew(&self, pid: i32) -> i32 {
        let reached = |status: &ChildStatus| status.state == State::Ready && status.pid != Some(pid);
        let status = self.handle.wait(LONG, reached).await;
        status
            .unwrap_or_else(|| panic!("no new process: {:#?}", self.handle.status()))
            .pid
            .expect("alive")
    }

    pub async fn ready(&self) -> i32 {
        self.is(State::Ready).await.pid.expect("alive")
    }

    /// The next change to this state.
    pub async fn change_to(&mut self, state: State) -> Transition {
        let next = async {
            loop {
                let transition = self.seen.recv().await.expect("not lagging");
                if transition.to == state {
                    return transition;
                }
            }
        };
        tokio::time::timeout(LONG, next)
            .await
            .unwrap_or_else(|_| panic!("never {state:?}: {:#?}", self.handle.status()))
    }
}

/// A connection of our own to a redis. A server that takes over a socket path refuses for a moment, between its
/// bind and its listen.
pub async fn connect(socket: &Path) -> redis::aio::MultiplexedConnection {
    let url = format!("redis+unix://{}", socket.display());
    let client = redis::Client::open(url).expect("a url");
    let connected = async {
        loop {
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => return connection,
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    tokio::time::timeout(LONG, connected).await.expect("connected")
}

pub async fn info(socket: &Path, field: &str) -> String {
    let text: String = redis::cmd("INFO")
        .query_async(&mut connect(socket).await)
        .await
        .expect("answered");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}
