//! A redis-server of nobody's, for hubs that share one.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PATIENCE, eventually};

/// A redis-server of nobody's, at a unix socket.
pub struct Redis {
    dir: TempDir,
    child: Child,
}

impl Redis {
    pub fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("maestro-")
            .tempdir_in("/tmp")
            .expect("redis answers");
        let child = spawn(&dir, &[]);
        let redis = Self { dir, child };
        redis.wait();
        redis
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("redis answers");
        self.child.wait().expect("redis answers");
    }

    pub fn start_again(&mut self) {
        self.child = spawn(&self.dir, &[]);
        self.wait();
    }

    fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.line().is_err() {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// After it ended; it takes its time to read its data, and answers so meanwhile.
    pub fn start_slowly(&mut self) {
        let slow = [
            "--key-load-delay",
            "50",
            "--loading-process-events-interval-bytes",
            "1024",
        ];
        self.child = spawn(&self.dir, &slow);
    }

    /// Ends it, and starts another one that remembers nothing.
    pub fn wipe(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(self.dir.path().join("appendonlydir"));
        self.start_again();
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("redis can be signalled");
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}/s", self.dir.path().display())
    }

    /// A connection; the server may be in any state.
    pub fn connect(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(self.url())?.get_connection_with_timeout(PATIENCE)
    }

    /// A connection to a server that does its work.
    pub fn line(&self) -> redis::RedisResult<redis::Connection> {
        let mut line = self.connect()?;
        redis::cmd("PING").query::<String>(&mut line)?;
        Ok(line)
    }

    /// Publishes, and says how many heard it.
    pub fn publish(&self, event: &str, message: &Value) -> u64 {
        redis::cmd("PUBLISH")
            .arg(format!("maestro:events:{event}"))
            .arg(message.to_string())
            .query(&mut self.line().expect("redis answers"))
            .expect("redis answers")
    }

    /// Waits until so many hubs listen.
    pub async fn until_heard_by(&self, hubs: u64) {
        eventually("the hubs listen", || async {
            (self.publish("test:anybody", &json!({"nothing": true})) == hubs).then_some(())
        })
        .await;
    }

    /// One command, its words separated by blanks.
    pub fn ask<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split(' ');
        let mut ask = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            ask.arg(word);
        }
        ask.query(&mut self.connect().expect("redis answers"))
            .expect(command)
    }

    pub fn keys(&self, pattern: &str) -> Vec<String> {
        redis::cmd("KEYS")
            .arg(pattern)
            .query(&mut self.line().expect("redis answers"))
            .expect("redis answers")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &TempDir, options: &[&str]) -> Child {
    let path = dir.path().display().to_string();
    let socket = format!("{path}/s");
    let _ = std::fs::remove_file(&socket);
    Command::new("redis-server")
        .args([
            "--port",
            "0",
            "--unixsocket",
            &socket,
            "--dir",
            &path,
            "--save",
            "",
            "--appendonly",
            "yes",
            // What it dumps can be searched.
            "--rdbcompression",
            "no",
        ])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}
