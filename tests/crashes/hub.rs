//! A hub that is to be killed at some place, and what is looked at afterwards.

use std::{fs, process::ExitStatus, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Caller, Daemon, Reply, Setup, eventually};

/// With a redis of its own.
pub fn managed(setup: &Setup) -> Setup {
    let managed = setup.clone().without_env("REDIS_ENABLED");
    managed.config("[redis]\nmode = \"managed\"\n")
}

/// A hub that dies at this passage of this place.
pub fn doomed(setup: &Setup, at: &str) -> Daemon {
    Daemon::spawn(setup.clone().env("MAESTRO_CRASH_AT", at))
}

/// What could be asked of a hub that may die at any moment; `None` once it is dead.
pub struct Doomed(pub Daemon);

impl Doomed {
    pub fn new(setup: &Setup, at: &str) -> Self {
        Self(doomed(setup, at))
    }

    /// Waits until it can be called; `None` if it dies first.
    pub async fn caller(&mut self) -> Option<Caller> {
        let file = self.0.place().server_url_file();
        loop {
            if self.0.ended().is_some() {
                return None;
            }
            let url = fs::read_to_string(&file).unwrap_or_default();
            let port = url
                .trim_end_matches('/')
                .rsplit(':')
                .next()
                .and_then(|port| port.parse().ok());
            if let Some(port) = port {
                let caller = Caller {
                    port,
                    host: format!("localhost:{port}"),
                };
                if caller.get("/health").await.status() == 200 {
                    return Some(caller);
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until everything required is there; false if it dies first.
    pub async fn ready(&mut self) -> bool {
        let Some(caller) = self.caller().await else {
            return false;
        };
        while caller.get("/ready").await.status() != 200 {
            if self.0.ended().is_some() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }

    /// Waits until mail is where it belongs; false if it dies first.
    pub async fn settled(&mut self) -> bool {
        let Some(caller) = self.caller().await else {
            return false;
        };
        loop {
            if caller.get("/api/mail/inbox/nobody?projectId=p").await.status() == 200
                && mail_is_open(&self.0).await
            {
                return true;
            }
            if self.0.ended().is_some() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// True if it died at its place; else it is stopped.
    pub async fn died(mut self) -> bool {
        let status = match self.0.ended() {
            Some(status) => status,
            None => self.0.stop().await,
        };
        was_killed(status)
    }
}

pub fn was_killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;

    if status.signal() == Some(Signal::SIGKILL as i32) {
        return true;
    }
    assert_eq!(status.code(), Some(0), "it was to be killed, or to stop");
    false
}

async fn mail_is_open(daemon: &Daemon) -> bool {
    let told = daemon.ctl(&["status", "--json"]).await;
    let told: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
    told["mail"]["state"] == "open" && told["mail"]["left_behind"].as_array().is_none_or(Vec::is_empty)
}

/// Starts it again, to stay, and waits until everything is there.
pub async fn again(setup: &Setup) -> Daemon {
    let hub = setup.clone().start().await;
    eventually("everything is there", || async {
        (hub.get("/ready").await.status == 200).then_some(())
    })
    .await;
    eventually("mail is open", || async {
        mail_is_open(&hub).await.then_some(())
    })
    .await;
    hub
}

/// Redis servers of this place.
pub fn redis_of(setup: &Setup) -> Vec<i32> {
    let socket = setup
        .place()
        .runtime_dir()
        .join("redis.sock")
        .display()
        .to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        if let Some(pid) = pid
            && command.contains("redis-server")
            && command.contains(&socket)
        {
            found.push(pid);
        }
    }
    found
}

/// Stops it, and nothing of it is left.
pub async fn end(mut hub: Daemon, at: &str) {
    let setup = hub.setup().clone();
    assert_eq!(hub.stop().await.code(), Some(0), "{at}");
    eventually(&format!("no redis is left ({at})"), || async {
        redis_of(&setup).is_empty().then_some(())
    })
    .await;
}

/// A list.
pub async fn list(hub: &Daemon, path: &str) -> Vec<Value> {
    eventually(&format!("{path} is told"), || async {
        let answer = hub.get(path).await;
        (answer.status != 503).then(|| answer.expect(200).as_array().expect("a list").clone())
    })
    .await
}

/// Ids of a list, sorted; each must be there once.
pub fn ids(all: &[Value]) -> Vec<String> {
    let mut ids: Vec<String> = all
        .iter()
        .map(|record| record["id"].as_str().expect("an id").to_owned())
        .collect();
    ids.sort();
    let many = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), many, "something is there twice");
    ids
}

/// The id of what was made.
pub fn id(made: &Value) -> String {
    made["id"].as_str().expect("an id").to_owned()
}

/// True unless the hub is dead.
pub fn answered(reply: &Reply) -> bool {
    matches!(reply, Reply::Answer(..))
}
