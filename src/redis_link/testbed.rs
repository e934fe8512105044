//! A real redis-server for tests, in a directory of its own, ended with the test.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use redis::{Connection, FromRedisValue};
use tempfile::TempDir;

use super::{Settings, Timings};

/// Longest wait for what should come soon.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A server that answers at a unix socket.
pub struct Server {
    dir: TempDir,
    options: Vec<String>,
    child: Child,
}

impl Server {
    /// With an append-only file, as the hub runs it.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more options, as on redis-server's command line: `["--requirepass", "x"]`.
    pub fn with(options: &[&str]) -> Self {
        let server = Self::without_waiting(options);
        server.wait_until_it_answers();
        server
    }

    /// As [`with`](Self::with), but it may not answer yet.
    pub fn without_waiting(options: &[&str]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("maestro-")
            .tempdir_in("/tmp")
            .unwrap();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let child = spawn(&dir, &options);
        Self { dir, options, child }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    /// How to reach it, with little patience.
    pub fn settings(&self) -> Settings {
        Settings::unix(&self.socket()).unwrap().timings(quick())
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// `kill -9`, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Starts it again after it ended, on the same data.
    pub fn restart(&mut self) {
        self.restart_without_waiting();
        self.wait_until_it_answers();
    }

    pub fn restart_without_waiting(&mut self) {
        self.kill();
        self.child = spawn(&self.dir, &self.options);
    }

    /// Other options from the next start on.
    pub fn set_options(&mut self, options: &[&str]) {
        self.options = options.iter().map(|&option| option.to_owned()).collect();
    }

    /// Forgets everything it had on disk; it must have ended.
    pub fn wipe(&self) {
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        }
    }

    /// A connection beside the link.
    pub fn connection(&self) -> Connection {
        let client = redis::Client::open(format!("unix://{}", self.socket().display())).unwrap();
        client.get_connection_with_timeout(PATIENCE).unwrap()
    }

    /// One command, beside the link: its words.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut self.connection()).unwrap()
    }

    fn wait_until_it_answers(&self) {
        let deadline = Instant::now() + PATIENCE;
        let client = redis::Client::open(format!("unix://{}", self.socket().display())).unwrap();
        while client
            .get_connection_with_timeout(PATIENCE)
            .and_then(|mut line| line_answers(&mut line))
            .is_err()
        {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill(); // a stopped process too
    }
}

/// Times for tests: nothing is waited for longer than it must be.
pub fn quick() -> Timings {
    Timings {
        connect: Duration::from_millis(1000),
        command: Duration::from_millis(1000),
        probe_every: Duration::from_millis(50),
        probe: Duration::from_millis(500),
        retry_first: Duration::from_millis(5),
        retry_last: Duration::from_millis(100),
    }
}

/// Answers, if only that it wants a password.
fn line_answers(line: &mut Connection) -> redis::RedisResult<()> {
    match redis::cmd("PING").query(line) {
        Err(error) if error.code() == Some("NOAUTH") => Ok(()),
        answer => answer,
    }
}

fn spawn(dir: &TempDir, options: &[String]) -> Child {
    let path = dir.path().to_str().unwrap();
    let socket = format!("{path}/s");
    let _ = std::fs::remove_file(&socket); // a socket left by a killed server would be connected to, in vain
    Command::new("redis-server")
        .args(["--port", "0", "--unixsocket", &socket, "--dir", path])
        .args(["--save", "", "--appendonly", "yes", "--logfile", "redis.log"])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}
