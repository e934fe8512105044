//! An operator on a Mac, with a launchd that is as hard to talk to as the real one.

use std::fs;

use serde_json::Value;

use crate::{Desk, code, harness::eventually, parsed, text};

const AGENT: [&str; 2] = ["--manager", "launchd-agent"];

fn service(desk: &Desk, verb: &str) -> std::process::Output {
    desk.ctl(&["service", verb, AGENT[0], AGENT[1]])
}

fn status(desk: &Desk) -> Value {
    parsed(&desk.ctl(&["service", "status", "--json", AGENT[0], AGENT[1]]))
}

fn done(output: &std::process::Output) {
    assert_eq!(code(output), 0, "{}", text(output));
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let desk = Desk::new();
    let told = desk.ctl(&["service", "install", "--dry-run", AGENT[0], AGENT[1]]);
    done(&told);
    let told = text(&told);
    for part in ["would ask launchd (agent)", "write ", "launchctl bootstrap gui/"] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    assert!(!desk.home().join("Library").exists());
    assert!(
        desk.calls().iter().all(|call| call.starts_with("print ")),
        "{:?}",
        desk.calls()
    );
}

#[test]
fn it_is_installed_and_the_daemon_runs_and_a_second_installation_leaves_it_alone() {
    let desk = Desk::new();
    let installed = service(&desk, "install");
    done(&installed);
    let told = text(&installed);
    assert!(
        told.contains("asks launchd (agent)") && told.contains("running, pid "),
        "{told}"
    );
    assert_eq!(
        code(&desk.ctl(&["status", "--wait", "ready"])),
        0,
        "the daemon itself answers"
    );
    let first = status(&desk);
    assert_eq!(
        (&first["installed"], &first["exitTimeout"]),
        (&true.into(), &30.into()),
        "{first:#}"
    );

    done(&service(&desk, "install"));
    assert_eq!(status(&desk)["pid"], first["pid"], "it was not disturbed");

    let uninstalled = service(&desk, "uninstall");
    done(&uninstalled);
    assert!(
        text(&uninstalled).contains("data and configuration are left"),
        "{}",
        text(&uninstalled)
    );
    assert!(
        desk.home().join(".maestro/data/maestro.db").exists(),
        "data stays"
    );
    assert_eq!(code(&desk.ctl(&["service", "status", AGENT[0], AGENT[1]])), 3);
    assert_eq!(code(&desk.ctl(&["status"])), 3);
}

#[test]
fn under_launchd_the_log_is_a_file_of_our_own_and_standard_error_stays_empty() {
    let desk = Desk::new();
    done(&service(&desk, "install"));
    assert_eq!(code(&desk.ctl(&["status", "--wait", "ready"])), 0);
    let owner = parsed(&desk.ctl(&["status", "--json"]))["daemon"]["owner"].clone();
    if owner == "launchd" {
        let log = fs::read_to_string(desk.state_dir().join("maestrod.log")).unwrap();
        assert!(log.contains("ready"), "{log}");
        let boot = fs::read_to_string(desk.state_dir().join("maestrod.boot.log")).unwrap();
        assert_eq!(boot, "");
    } else {
        println!(
            "skipped: orphans do not go to process 1 here, so nothing can look like launchd's child ({owner})"
        );
    }
    done(&service(&desk, "uninstall"));
}

#[test]
fn a_changed_plist_is_loaded_anew_however_often_launchd_refuses() {
    let desk = Desk::new();
    done(&service(&desk, "install"));
    let before = status(&desk);
    let file = desk
        .home()
        .join("Library/LaunchAgents/dev.maestro.maestrod.plist");
    let ours = fs::read_to_string(&file).unwrap();
    let changed = ours.replace("<integer>8192</integer>", "<integer>9000</integer>");
    fs::write(&file, &changed).unwrap();

    let restarted = service(&desk, "restart");
    done(&restarted);
    let calls = desk.calls();
    let refused = calls.iter().filter(|call| call.starts_with("bootstrap ")).count();
    assert!(refused > 10, "ten times no, then yes: {calls:?}");
    assert_ne!(status(&desk)["pid"], before["pid"], "another process");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        changed,
        "what the operator wrote stays"
    );
    assert_eq!(code(&desk.ctl(&["status", "--wait", "ready"])), 0);
    done(&service(&desk, "uninstall"));
}

#[test]
fn a_restart_lets_the_daemon_end_in_order_and_loads_nothing_anew() {
    let desk = Desk::new();
    done(&service(&desk, "install"));
    assert_eq!(code(&desk.ctl(&["status", "--wait", "ready"])), 0);
    let before = status(&desk);
    let calls = desk.calls().len();
    done(&service(&desk, "restart"));
    let calls = desk.calls().split_off(calls);
    let place = |what: &str| calls.iter().position(|call| call.starts_with(what));
    assert!(
        place("kill SIGTERM").expect("asked") < place("kickstart -k").expect("started"),
        "{calls:?}"
    );
    assert!(
        place("bootout").is_none() && place("bootstrap").is_none(),
        "{calls:?}"
    );
    assert_ne!(status(&desk)["pid"], before["pid"]);
    assert_eq!(code(&desk.ctl(&["status", "--wait", "ready"])), 0);
    done(&service(&desk, "uninstall"));
}

#[test]
fn a_stopped_service_stays_down_until_it_is_started() {
    let desk = Desk::new();
    done(&service(&desk, "install"));
    done(&service(&desk, "stop"));
    assert_eq!(status(&desk)["pid"], Value::Null);
    let again = service(&desk, "stop");
    done(&again);
    assert!(text(&again).contains("nothing to do"), "{}", text(&again));
    done(&service(&desk, "start"));
    assert!(status(&desk)["pid"].is_u64());
    done(&service(&desk, "uninstall"));
}

#[test]
fn what_was_never_installed_is_not_started_and_says_what_to_do() {
    let desk = Desk::new();
    let seen = desk.ctl(&["service", "status", AGENT[0], AGENT[1]]);
    assert_eq!(code(&seen), 3, "{}", text(&seen));
    assert!(
        text(&seen).contains("→ maestroctl service install"),
        "{}",
        text(&seen)
    );
    let started = service(&desk, "start");
    assert_eq!(code(&started), 1);
    assert!(
        text(&started).contains("→ maestroctl service install"),
        "{}",
        text(&started)
    );
}

#[test]
fn a_program_that_ends_at_once_is_not_called_started() {
    let desk = Desk::new();
    done(&service(&desk, "install"));
    done(&service(&desk, "stop"));
    let file = desk
        .home()
        .join("Library/LaunchAgents/dev.maestro.maestrod.plist");
    let ours = fs::read_to_string(&file).unwrap();
    fs::write(&file, ours.replace(env!("CARGO_BIN_EXE_maestrod"), "/bin/false")).unwrap();
    let started = service(&desk, "start");
    assert_eq!(code(&started), 1, "{}", text(&started));
    assert!(text(&started).contains("it does not run"), "{}", text(&started));
    assert!(text(&started).contains("maestrod.log"), "{}", text(&started));
    done(&service(&desk, "uninstall"));
}

#[tokio::test]
async fn a_wrong_configuration_is_waited_out_by_one_process_and_used_once_it_is_mended() {
    let desk = Desk::new();
    let file = desk.home().join(".config/maestro/maestro.toml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{good}\n[log]\nlevle = \"info\"\n")).unwrap();
    done(&service(&desk, "install"));
    let boot = fs::read_to_string(desk.state_dir().join("maestrod.boot.log")).unwrap();
    assert!(
        boot.contains("levle") && boot.contains("→ maestroctl config edit"),
        "{boot}"
    );
    let pid = status(&desk)["pid"].clone();
    assert!(pid.is_u64(), "it is up, and waits");
    assert_eq!(code(&desk.ctl(&["status"])), 3);

    fs::write(&file, good).unwrap();
    eventually("the hub is up", || async {
        (code(&desk.ctl(&["status"])) == 0).then_some(())
    })
    .await;
    assert_eq!(status(&desk)["pid"], pid, "the same process");
    done(&service(&desk, "uninstall"));
}
