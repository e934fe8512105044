//! The unit files are what we install, so systemd's own checkers read them here (plists: tests/operator). Where a checker
//! is not installed (macOS has no systemd-analyze), the test says so.
#![allow(clippy::expect_used, reason = "a test fails with a message")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `None`, and a line that says so, if the program is not here.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program)
        .args(arguments)
        .env("XDG_RUNTIME_DIR", "/tmp")
        .output()
    {
        Ok(output) => Some(output),
        Err(error) => {
            println!("skipped: {program} cannot be run here ({error})");
            None
        }
    }
}

/// The unit with the programs of this build in place of the installed ones: verify looks whether they are there.
fn unit(name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let text = fs::read_to_string(root().join(name)).expect("a unit file");
    let text = text.replace("/usr/bin/maestrod", env!("CARGO_BIN_EXE_maestrod"));
    let file = dir.path().join("maestro.service");
    fs::write(&file, text).expect("a copy");
    (dir, file)
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn systemd_finds_nothing_wrong_with_the_system_unit_and_rates_its_sandbox_safe() {
    let (_dir, file) = unit("systemd/maestro.service");
    let file = file.display().to_string();
    if let Some(verified) = run(
        "systemd-analyze",
        &["verify", "--recursive-errors=yes", "--man=no", &file],
    ) {
        assert!(verified.status.success(), "{}", text(&verified));
    }
    if let Some(rated) = run(
        "systemd-analyze",
        &["security", "--offline=true", "--threshold=20", &file],
    ) {
        assert!(rated.status.success(), "{}", text(&rated));
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_socket_unit_and_the_users_unit() {
    let (dir, _service) = unit("systemd/maestro.service");
    let socket = dir.path().join("maestro.socket");
    fs::copy(root().join("systemd/maestro.socket"), &socket).expect("a copy");
    let (_dir, user) = unit("systemd/user/maestro.service");
    for (whose, file) in [("--system", socket), ("--user", user)] {
        let file = file.display().to_string();
        let line = ["verify", whose, "--recursive-errors=yes", "--man=no", &file];
        if let Some(verified) = run("systemd-analyze", &line) {
            assert!(verified.status.success(), "{file}: {}", text(&verified));
        }
    }
}

#[test]
fn the_user_unit_holds_the_same_promises_and_claims_no_sandbox_that_has_no_effect_there() {
    let lines = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(root().join(name)).expect("a unit file");
        text.lines()
            .map(str::trim)
            .filter(|line| line.contains('=') && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    };
    let (system, user) = (
        lines("systemd/maestro.service"),
        lines("systemd/user/maestro.service"),
    );
    for promise in [
        "Type=notify",
        "NotifyAccess=main",
        "Restart=on-failure",
        "RestartPreventExitStatus=73 78",
        "WatchdogSec=30s",
        "KillMode=mixed",
        "OOMPolicy=continue",
        "StartLimitIntervalSec=0",
    ] {
        assert!(
            system.iter().any(|line| line == promise),
            "the system unit lacks {promise}"
        );
        assert!(
            user.iter().any(|line| line == promise),
            "the user unit lacks {promise}"
        );
    }
    for inert in ["Protect", "Private", "User=", "LoadCredential", "OOMScoreAdjust"] {
        assert!(
            !user.iter().any(|line| line.starts_with(inert)),
            "the user unit claims {inert}"
        );
    }
    for blinding in [
        "ProtectProc",
        "PrivatePIDs",
        "PrivateUsers",
        "PIDFile",
        "RestartSteps",
        "ExecStopPost",
        "ConfigurationDirectory", // ours to write: then root would read whatever link we put in place of the token
    ] {
        assert!(
            !system.iter().any(|line| line.starts_with(blinding)),
            "the system unit has {blinding}"
        );
    }
}

#[test]
fn the_packaged_configuration_is_good() {
    let checked = run(
        env!("CARGO_BIN_EXE_maestrod"),
        &[
            "check",
            "--config",
            &root().join("packaging/maestro.toml").display().to_string(),
        ],
    );
    let checked = checked.expect("our own program runs");
    assert!(checked.status.success(), "{}", text(&checked));
}
