//! An operator on Linux, at the systemd of their own user.

use std::fs;

use crate::{Desk, code, parsed, text};

const USER: [&str; 2] = ["--manager", "systemd-user"];

fn service(desk: &Desk, verb: &str) -> std::process::Output {
    desk.ctl(&["service", verb, USER[0], USER[1]])
}

#[test]
fn a_service_of_ones_own_is_installed_restarted_stopped_and_taken_away() {
    let desk = Desk::new();
    let installed = service(&desk, "install");
    let told = text(&installed);
    assert_eq!(code(&installed), 0, "{told}");
    for part in [
        "asks systemd (user)",
        "systemctl --user enable maestro.service",
        "active (running), pid ",
        "loginctl enable-linger",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    assert_eq!(
        code(&desk.ctl(&["status", "--wait", "ready"])),
        0,
        "the daemon itself answers"
    );
    let unit = fs::read_to_string(desk.home().join(".config/systemd/user/maestro.service")).unwrap();
    let ours = include_str!("../../systemd/user/maestro.service");
    let program = format!("ExecStart={}", env!("CARGO_BIN_EXE_maestrod"));
    assert_eq!(unit, ours.replace("ExecStart=/usr/bin/maestrod", &program));

    let before = parsed(&desk.ctl(&["service", "status", "--json", USER[0], USER[1]]));
    assert_eq!(code(&service(&desk, "install")), 0);
    assert_eq!(code(&service(&desk, "restart")), 0);
    let after = parsed(&desk.ctl(&["service", "status", "--json", USER[0], USER[1]]));
    assert!(
        after["pid"].is_u64() && after["pid"] != before["pid"],
        "{after:#}"
    );
    assert_eq!(after["enabled"], true);

    assert_eq!(code(&service(&desk, "stop")), 0);
    let stopped = desk.ctl(&["service", "status", USER[0], USER[1]]);
    assert_eq!(code(&stopped), 3);
    assert!(
        text(&stopped).contains("→ maestroctl service start"),
        "{}",
        text(&stopped)
    );
    assert_eq!(code(&service(&desk, "start")), 0);
    assert_eq!(code(&service(&desk, "uninstall")), 0);
    assert!(!desk.home().join(".config/systemd/user/maestro.service").exists());
    assert_eq!(code(&desk.ctl(&["service", "status", USER[0], USER[1]])), 3);
}

#[test]
fn what_the_shell_says_and_a_service_would_not_hear_is_named() {
    let desk = Desk::new();
    let mut command = desk.command(&["service", "install", "--dry-run", USER[0], USER[1]]);
    let told = command
        .env("DATA_DIR", desk.home().join("elsewhere"))
        .output()
        .unwrap();
    assert_eq!(code(&told), 0, "{}", text(&told));
    assert!(
        text(&told).contains("DATA_DIR of this shell is not what the service sees"),
        "{}",
        text(&told)
    );
}

#[tokio::test]
async fn beside_a_daemon_that_runs_by_hand_nothing_is_started() {
    let desk = Desk::new();
    let mut by_hand = std::process::Command::new(env!("CARGO_BIN_EXE_maestrod"));
    let mut by_hand = by_hand
        .arg("run")
        .env_clear()
        .env("HOME", desk.home())
        .env("PATH", "/usr/bin:/bin")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("maestrod runs");
    crate::harness::eventually("it answers", || async {
        (code(&desk.ctl(&["status"])) != 3).then_some(())
    })
    .await;
    let refused = service(&desk, "install");
    assert_eq!(code(&refused), 1);
    let told = text(&refused);
    assert!(told.contains("already runs: by hand"), "{told}");
    assert!(
        told.contains(&format!("→ end it first: kill {}", by_hand.id())),
        "{told}"
    );
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(by_hand.id()).unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    by_hand.wait().unwrap();
}
