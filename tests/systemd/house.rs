//! The service as an administrator has it: units, user and configuration in their places.

use std::{fs, path::Path};

use serde_json::Value;

use crate::booted::machine::{eventually, mount, processes, property, rights, sh, write};
use crate::booted::share;
use crate::harness::{Answer, Ask};

pub const UNIT: &str = "maestro.service";
const CONFIG: &str = "/etc/maestro/maestro.toml";
const DROP_IN: &str = "/run/systemd/system/maestro.service.d/story.conf";
/// Where the stand-in for cloudflared is, with its script and its notes: a place the service may write.
const EDGE: &str = "/var/lib/maestro/edge";

/// Once: what a package would install.
pub fn prepare() {
    for program in ["maestrod", "maestroctl"] {
        mount(&share().join(program), &format!("/usr/bin/{program}"));
    }
    let units = [
        (
            "system/maestro.service",
            include_str!("../../systemd/maestro.service"),
        ),
        (
            "system/maestro.socket",
            include_str!("../../systemd/maestro.socket"),
        ),
        (
            "user/maestro.service",
            include_str!("../../systemd/user/maestro.service"),
        ),
    ];
    for (name, text) in units {
        write(&format!("/usr/lib/systemd/{name}"), text);
    }
    write(
        "/usr/lib/sysusers.d/maestro.conf",
        include_str!("../../systemd/sysusers.conf"),
    );
    sh("systemd-sysusers maestro.conf").well();
    write(CONFIG, "");
    sh("chown -R root:maestro /etc/maestro && chmod 750 /etc/maestro && chmod 640 /etc/maestro/maestro.toml")
        .well();
    assert_eq!(rights(CONFIG), "root:maestro 640");
}

/// A fresh service for one story; what it leaves is gone afterwards.
pub struct House {
    since: String,
}

impl House {
    /// Installed, and not started.
    pub fn new() -> Self {
        clear();
        let house = Self {
            since: sh("date +@%s.%6N").well().trim().to_owned(),
        };
        house.configure("");
        house
    }

    /// The packaged configuration, with `more` at its end.
    pub fn configure(&self, more: &str) {
        write(
            CONFIG,
            &format!("{}\n{more}", include_str!("../../packaging/maestro.toml")),
        );
    }

    /// A drop-in for the service.
    pub fn drop_in(&self, text: &str) {
        write(DROP_IN, text);
        sh("systemctl daemon-reload").well();
    }

    /// Starts it, which returns when it is ready.
    pub fn start(&self) {
        sh("systemctl start maestro").well();
        assert_eq!(property(UNIT, "ActiveState"), "active");
    }

    /// In its place: the stand-in, told by `script` how the edge behaves. The `[tunnel]` table that leads to it.
    pub fn edge(&self, script: &str, mode: &str) -> String {
        sh(&format!(
            "install -d -o maestro -g maestro -m 700 /var/lib/maestro {EDGE}"
        ))
        .well();
        mount(&share().join("cloudflared"), &format!("{EDGE}/cloudflared"));
        self.script(script);
        format!("[tunnel]\nbinary = \"{EDGE}/cloudflared\"\n{mode}\n")
    }

    /// Changes how the edge behaves.
    pub fn script(&self, script: &str) {
        write(&format!("{EDGE}/edge.json"), script);
        sh(&format!("chown maestro:maestro {EDGE}/edge.json")).well();
    }

    /// How the stand-in was started.
    pub fn edge_starts(&self) -> Vec<Value> {
        let text = fs::read_to_string(format!("{EDGE}/starts.jsonl")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits until the journal has all of that. The last words of a program that ended may come a moment after its
    /// end: `--sync` does not wait for those that journald has not begun to read.
    pub fn journal_says(&self, options: &str, words: &[&str]) -> String {
        eventually(&format!("{words:?} is in the journal"), || {
            let said = self.journal(options);
            words.iter().all(|words| said.contains(words)).then_some(said)
        })
    }

    /// The journal of the service since this story began.
    pub fn journal(&self, options: &str) -> String {
        sh("journalctl --sync").well();
        sh(&format!("journalctl --no-pager --since={} {options}", self.since)).well()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            clear(); // else the next story does, and this one can be looked at
        }
    }
}

fn clear() {
    sh("systemctl stop maestro.socket maestro.service 2>/dev/null; systemctl reset-failed 2>/dev/null; \
        umount /var/lib/maestro/edge/cloudflared 2>/dev/null; \
        rm -rf /var/lib/maestro /etc/maestro/tunnel-token /run/systemd/system/maestro.*.d; systemctl daemon-reload")
    .well();
}

/// The line in `systemctl status`.
pub fn status_text() -> String {
    property(UNIT, "StatusText")
}

/// Waits until that line has `part`.
#[track_caller]
pub fn status_says(part: &str) -> String {
    eventually(
        &format!("the status says `{part}`, not `{}`", status_text()),
        || Some(status_text()).filter(|line| line.contains(part)),
    )
}

/// Waits until that line is this one.
#[track_caller]
pub fn status_is(line: &str) {
    eventually(
        &format!("the status is `{line}`, not `{}`", status_text()),
        || (status_text() == line).then_some(()),
    );
}

/// The pid of the daemon.
pub fn main_pid() -> String {
    property(UNIT, "MainPID")
}

/// The redis-server, if there is exactly one.
#[track_caller]
pub fn one_redis() -> i32 {
    let all = processes("redis-server");
    assert_eq!(all.len(), 1, "redis-servers: {all:?}");
    all[0]
}

/// A request to the hub.
pub fn ask(ask: Ask) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(ask.to(3000))
}

/// A project, by its name.
pub fn make_project(name: &str) {
    ask(Ask::new("POST", "/api/projects").json(&serde_json::json!({"name": name, "workingDir": "/tmp"})))
        .expect(201);
}

/// The names of all projects.
pub fn projects() -> Vec<String> {
    let all = ask(Ask::new("GET", "/api/projects")).expect(200);
    let all = all.as_array().expect("a list").iter();
    all.map(|project| project["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// True if the file is there.
pub fn exists(path: &str) -> bool {
    Path::new(path).exists()
}
