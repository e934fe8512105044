//! The doctor: what is wrong is found, named with its remedy, and mended where that is safe.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, process::Output};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    Desk, code,
    harness::{Daemon, Setup, eventually},
    parsed, text,
};

fn doctor(setup: &Setup, more: &[&str]) -> Output {
    let mut command = setup.command(env!("CARGO_BIN_EXE_maestroctl"));
    command.arg("doctor").args(more).output().unwrap()
}

fn finding(output: &Output, check: &str) -> Value {
    let findings = parsed(output);
    let found = findings
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["check"] == check);
    found
        .unwrap_or_else(|| panic!("no {check} in {findings:#}"))
        .clone()
}

#[test]
fn everything_a_support_thread_would_ask_is_looked_at_and_each_trouble_has_a_remedy() {
    let seen = doctor(&Setup::new(), &["--json"]);
    let findings = parsed(&seen);
    let checks: Vec<&str> = findings
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["check"].as_str())
        .collect();
    for check in [
        "daemon",
        "configuration",
        "service",
        "maestrod",
        "redis-server",
        "port",
        "socket path",
        "data directory",
        "state directory",
        "runtime directory",
        "disk",
        "store",
        "clock",
        "cloudflared",
    ] {
        assert!(checks.contains(&check), "{check} is not in {checks:?}");
    }
    for finding in findings.as_array().unwrap() {
        assert!(
            finding["level"] == "good" || finding["remedy"].is_string(),
            "{finding:#}"
        );
    }
}

#[test]
fn open_directories_are_closed_if_asked_and_only_then() {
    let setup = Setup::new();
    let dir = setup.place().data_dir();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    let found = finding(&doctor(&setup, &["--json"]), "data directory");
    assert_eq!(
        (&found["level"], &found["fixable"]),
        (&"warn".into(), &true.into())
    );
    assert_eq!(
        fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
        0o755,
        "looking changes nothing"
    );
    let mended = doctor(&setup, &["--fix"]);
    assert!(
        text(&mended).contains(&format!("mended: chmod 700 {}", dir.display())),
        "{}",
        text(&mended)
    );
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(
        finding(&doctor(&setup, &["--json"]), "data directory")["level"],
        "good"
    );
}

#[test]
fn who_has_the_port_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let setup = Setup::new().env("PORT", &port);
    let seen = doctor(&setup, &["--json"]);
    assert_eq!(code(&seen), 1, "it cannot start");
    let found = finding(&seen, "port");
    assert_eq!(found["level"], "bad");
    assert!(
        found["text"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{port} is taken")),
        "{found:#}"
    );
    drop(listener);
    assert_eq!(finding(&doctor(&setup, &["--json"]), "port")["level"], "good");
}

#[tokio::test]
async fn a_redis_that_outlived_its_daemon_is_named_and_nobody_is_told_to_kill_it() {
    let setup = Setup::new()
        .without_env("REDIS_ENABLED")
        .config("[redis]\nmode = \"managed\"\n");
    let mut daemon: Daemon = setup.start().await;
    let redis = eventually("redis is ready", || async {
        let status = parsed(&daemon.ctl(&["status", "--json"]).await);
        let parts = status["components"].as_array().unwrap().clone();
        let redis = parts.into_iter().find(|part| part["name"] == "redis")?;
        (redis["state"] == "ready")
            .then(|| redis["pid"].as_i64())
            .flatten()
    })
    .await;
    daemon.kill().await;
    let found = finding(&doctor(daemon.setup(), &["--json"]), "left behind");
    assert!(
        found["text"]
            .as_str()
            .unwrap()
            .contains(&format!("redis (pid {redis})")),
        "{found:#}"
    );
    assert!(
        found["remedy"].as_str().unwrap().starts_with("start maestrod"),
        "{found:#}"
    );
    kill(Pid::from_raw(i32::try_from(redis).unwrap()), Signal::SIGKILL).unwrap();
}

#[test]
fn the_manager_its_job_and_how_long_it_waits_are_named() {
    let desk = Desk::new();
    let agent = ["--manager", "launchd-agent"];
    assert_eq!(code(&desk.ctl(&["service", "install", agent[0], agent[1]])), 0);
    let seen = desk.ctl(&["doctor", "--json"]);
    let service = finding(&seen, "service");
    let told = service["text"].as_str().unwrap();
    assert!(
        told.contains("launchd (agent)") && told.contains("dev.maestro.maestrod"),
        "{service:#}"
    );
    assert_eq!(finding(&seen, "exit timeout")["text"], "launchd waits 30 s");
    assert_eq!(code(&desk.ctl(&["service", "uninstall", agent[0], agent[1]])), 0);
}

#[test]
fn a_broken_configuration_is_found_with_the_line_and_the_rest_is_still_looked_at() {
    let desk = Desk::new();
    fs::write(
        desk.home().join(".config/maestro/maestro.toml"),
        "[log]\nlevle = \"debug\"\n",
    )
    .unwrap();
    let seen = desk.ctl(&["doctor", "--json"]);
    assert_eq!(code(&seen), 1);
    let found = finding(&seen, "configuration");
    assert!(found["text"].as_str().unwrap().contains("levle"), "{found:#}");
    assert_eq!(found["remedy"], "mend it: maestroctl config edit");
    finding(&seen, "redis-server");
}
