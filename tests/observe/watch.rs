//! `maestroctl status --watch` on a real terminal: tmux plays it, and tells what is on it.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

use crate::harness::{Daemon, Setup, eventually};

/// A terminal with one shell command in it. Its server, and so the command, ends with the test.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    fn run(daemon: &Daemon, command: &str) -> Self {
        let terminal = Self {
            socket: daemon.place().root().join("tmux"),
        };
        let ctl = daemon.setup().command("/usr/bin/env");
        let env = ctl
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
        let mut tmux = terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "40"]);
        for (name, value) in env {
            tmux.arg("-e").arg(format!("{name}={value}"));
        }
        let made = tmux
            .arg(command)
            .output()
            .expect("tmux is there: tests/install-deps.sh tmux");
        assert!(made.status.success(), "{made:?}");
        terminal
    }

    fn tmux(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command
            .arg("-S")
            .arg(&self.socket)
            .args(args)
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8");
        command
    }

    fn tell(&self, args: &[&str]) -> Output {
        let output = self.tmux(args).output().expect("tmux answers");
        assert!(output.status.success(), "tmux {args:?}: {output:?}");
        output
    }

    fn press(&self, keys: &[&str]) {
        self.tell(&[&["send-keys"], keys].concat());
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.tell(&["capture-pane", "-p"]).stdout).into_owned()
    }

    /// Waits until the screen says this.
    async fn shows(&self, what: &str) -> String {
        eventually(&format!("the screen shows {what:?}"), || async {
            let seen = self.seen();
            seen.contains(what).then_some(seen)
        })
        .await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the screen ---\n{}", self.seen());
        }
        let _ = self.tmux(&["kill-server"]).output();
    }
}

async fn redis_pid(daemon: &Daemon) -> Value {
    let status = daemon.ctl(&["status", "--json"]).await;
    let status: Value = serde_json::from_slice(&status.stdout).expect("a status");
    let parts = status["components"].as_array().expect("components");
    let redis = parts.iter().find(|part| part["name"] == "redis").expect("redis");
    redis["pid"].clone()
}

#[tokio::test]
async fn an_operator_watches_restarts_a_child_resizes_and_leaves_the_terminal_as_it_was() {
    let setup = Setup::new()
        .without_env("REDIS_ENABLED")
        .config("[redis]\nmode = \"managed\"\n");
    let daemon = setup.start().await;
    let ready = daemon
        .ctl(&["status", "--wait", "ready", "--timeout", "60s"])
        .await;
    assert!(ready.status.success());
    let ctl = env!("CARGO_BIN_EXE_maestroctl");
    let terminal = Terminal::run(
        &daemon,
        &format!("echo before; {ctl} status --watch; echo left with $?; exec cat"),
    );
    let seen = terminal.shows("maestro is ready").await;
    assert!(seen.contains("q: leave") && !seen.contains("before"), "{seen}");

    let before = redis_pid(&daemon).await;
    terminal.press(&["Down", "r"]);
    terminal.shows("restart redis? y: yes").await;
    terminal.press(&["n"]);
    terminal.shows("q: leave").await;
    assert_eq!(redis_pid(&daemon).await, before, "nobody said yes");
    terminal.press(&["r", "y"]);
    terminal.shows("restart redis: done").await;
    let after = eventually("another redis runs", || async {
        let pid = redis_pid(&daemon).await;
        (pid.is_number() && pid != before).then_some(pid)
    })
    .await;
    terminal.shows(&format!("pid {after}")).await;

    terminal.tell(&["resize-window", "-x", "60", "-y", "8"]);
    terminal.shows("space: more").await;
    terminal.press(&["Space", "Space", "Space"]);
    terminal.shows("version  maestrod").await;
    terminal.press(&["q"]);
    let seen = terminal.shows("left with 0").await;
    assert!(
        seen.contains("before"),
        "what was on the screen before is there again: {seen}"
    );
}

#[tokio::test]
async fn a_watched_daemon_that_dies_is_said_to_be_gone_and_is_found_again() {
    let mut daemon = Setup::new().start().await;
    let ctl = env!("CARGO_BIN_EXE_maestroctl");
    let terminal = Terminal::run(
        &daemon,
        &format!("{ctl} status --watch; echo left with $?; exec cat"),
    );
    terminal.shows("maestro is ready").await;
    daemon.kill().await;
    terminal.shows("maestrod does not answer").await;
    let daemon = daemon.setup().clone().start().await;
    terminal.shows(&format!("pid {}", daemon.pid())).await;
    terminal.press(&["C-c"]);
    terminal.shows("left with 0").await;
}
