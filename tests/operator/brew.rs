//! Homebrew: the formula as brew would read it, its services, and upgrades under a running daemon.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    Desk, code, fakes,
    harness::{Daemon, Edge, Place, Setup, eventually},
    parsed, text,
};

fn formula() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/homebrew/maestro.rb")
}

fn ruby(args: &[&str]) -> std::process::Output {
    let ran = Command::new("ruby").args(args).output();
    ran.expect("ruby is here: tests/install-deps.sh brew")
}

#[test]
fn ruby_finds_nothing_to_warn_of_in_the_formula() {
    let checked = ruby(&["-wc", &formula().display().to_string()]);
    assert_eq!(text(&checked), "Syntax OK\n");
}

#[test]
fn the_formula_builds_from_source_and_brings_manual_and_completions() {
    let stand_in = fakes().join("brew_formula.rb").display().to_string();
    let read = parsed(&ruby(&[&stand_in, &formula().display().to_string()]));
    let facts = &read["facts"];
    let version = concat!("v", env!("CARGO_PKG_VERSION"), ".tar.gz");
    assert!(facts["url"].as_str().unwrap().ends_with(version), "{facts:#}");
    assert_eq!(
        facts["license"]["any_of"],
        serde_json::json!(["Apache-2.0", "MIT"])
    );
    let done = read["done"].to_string();
    for part in [
        "\"cargo\",\"install\",\"--locked\"",
        "maestroctl\",\"man\"",
        "maestroctl\",\"completions\"",
    ] {
        assert!(done.contains(part), "{part} is not in {done}");
    }
}

#[test]
fn the_service_of_the_formula_says_only_what_brew_knows_and_what_works_on_both_systems() {
    // The stand-in knows the words of brew's DSL and fails at any other.
    let stand_in = fakes().join("brew_formula.rb").display().to_string();
    let service = parsed(&ruby(&[&stand_in, &formula().display().to_string()]))["service"].take();
    assert_eq!(
        service["keep_alive"], true,
        "anything finer gives no Restart= on Linux"
    );
    assert_eq!(
        (&service["throttle_interval"], &service["restart_delay"]),
        (&5.into(), &1.into())
    );
    assert_eq!(service["environment_variables"]["MAESTRO_MANAGER"], "brew");
    assert!(
        service["environment_variables"]["PATH"]
            .as_str()
            .unwrap()
            .contains("/opt/homebrew/bin")
    );
    let run = service["run"].as_array().unwrap();
    assert_eq!(
        run[0], "/opt/homebrew/opt/maestro/bin/maestrod",
        "never a path with a version in it"
    );
    // maestrod reads exactly this command line.
    let config = format!("{}/packaging/homebrew/maestro.toml", env!("CARGO_MANIFEST_DIR"));
    let checked = Command::new(env!("CARGO_BIN_EXE_maestrod"))
        .args(["check", "--config", &config])
        .output()
        .unwrap();
    assert_eq!(code(&checked), 0, "{}", text(&checked));
    for unwanted in ["require_root", "cron", "process_type", "stop_timeout", "sockets"] {
        assert!(service[unwanted].is_null(), "{unwanted}");
    }
}

#[test]
fn what_brew_runs_is_started_and_stopped_by_brew() {
    let desk = Desk::new();
    let brew = |verb: &str| desk.ctl(&["service", verb, "--manager", "brew"]);
    let started = brew("start");
    assert_eq!(code(&started), 0, "{}", text(&started));
    assert!(text(&started).contains("running, pid 4711"), "{}", text(&started));
    assert_eq!(code(&brew("restart")), 0);
    assert_eq!(code(&brew("stop")), 0);
    assert_eq!(code(&brew("status")), 3);
    let asked: Vec<String> = desk
        .calls()
        .into_iter()
        .filter(|call| !call.contains("info"))
        .collect();
    assert_eq!(
        asked,
        [
            "services start maestro",
            "services restart maestro",
            "services stop maestro"
        ]
    );
}

/// Homebrew's way to keep programs: versions in the Cellar, and a link that names the one of now.
struct Cellar<'a> {
    place: &'a Place,
    link: PathBuf,
    program: &'a Path,
}

impl Cellar<'_> {
    /// Brings a version, and takes all others away.
    fn upgrade_to(&self, version: &str) -> PathBuf {
        let formulas = self
            .place
            .root()
            .join("Cellar")
            .join(self.program.file_name().unwrap());
        let fresh = formulas.join(version);
        fs::create_dir_all(&fresh).unwrap();
        let program = fresh.join("program");
        fs::copy(self.program, &program).unwrap();
        let new = self.link.with_extension("new");
        symlink(&program, &new).unwrap();
        fs::rename(&new, &self.link).unwrap();
        for old in fs::read_dir(&formulas).unwrap().flatten() {
            if old.path() != fresh {
                fs::remove_dir_all(old.path()).unwrap();
            }
        }
        fs::canonicalize(program).unwrap()
    }
}

async fn part(daemon: &Daemon, name: &str) -> Value {
    let status = parsed(&daemon.ctl(&["status", "--json"]).await);
    let parts = status["components"].as_array().unwrap();
    parts.iter().find(|part| part["name"] == name).unwrap().clone()
}

/// Waits until the child is ready as another process than `before`; its pid.
async fn ready(daemon: &Daemon, name: &str, before: Option<i32>) -> i32 {
    eventually(&format!("{name} is ready"), || async {
        let part = part(daemon, name).await;
        let pid = i32::try_from(part["pid"].as_i64()?).ok()?;
        (part["state"] == "ready" && Some(pid) != before).then_some(pid)
    })
    .await
}

fn program_of(pid: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/exe")).unwrap()
}

/// The upgrade deletes the program that runs. It goes on; the next start is of the new one.
async fn upgraded_under(daemon: &Daemon, name: &str, cellar: &Cellar<'_>) {
    let first = ready(daemon, name, None).await;
    let new = cellar.upgrade_to("2");
    assert!(program_of(first).display().to_string().ends_with(" (deleted)"));
    assert_eq!(
        ready(daemon, name, None).await,
        first,
        "an upgrade alone disturbs nothing"
    );
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    let second = ready(daemon, name, Some(first)).await;
    assert_eq!(program_of(second), new);
}

#[tokio::test]
async fn redis_is_found_again_after_an_upgrade_deleted_the_one_that_runs() {
    let place = Place::new();
    let bin = place.root().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let real = which("redis-server");
    let cellar = Cellar {
        place: &place,
        link: bin.join("redis-server"),
        program: &real,
    };
    cellar.upgrade_to("1");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let setup = Setup::at(place.clone())
        .without_env("REDIS_ENABLED")
        .env("PATH", path);
    let daemon = setup.config("[redis]\nmode = \"managed\"\n").start().await;
    upgraded_under(&daemon, "redis", &cellar).await;
}

#[tokio::test]
async fn cloudflared_is_found_again_after_an_upgrade_deleted_the_one_that_runs() {
    let (place, edge) = (Place::new(), Edge::start().await);
    let real = fs::canonicalize(edge.binary()).unwrap();
    let cellar = Cellar {
        place: &place,
        link: edge.binary(),
        program: &real,
    };
    cellar.upgrade_to("1");
    let daemon = Setup::at(place.clone()).config(&edge.config()).start().await;
    // The way in is open only when somebody may come.
    let paired = daemon.ctl(&["pair", "--no-wait", "--json"]).await;
    assert_eq!(code(&paired), 0, "{}", text(&paired));
    upgraded_under(&daemon, "tunnel", &cellar).await;
}

fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|dir| dir.join(program));
    let found = found.find(|file| file.is_file()).expect("it is in PATH");
    fs::canonicalize(found).unwrap()
}
