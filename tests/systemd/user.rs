//! The unit of one user.

use crate::booted::machine::{eventually, processes, sh, sh_as};
use crate::house::House;

fn has_an_account(name: &str) {
    sh(&format!(
        "id {name} 2>/dev/null || useradd --create-home --shell /bin/bash {name}"
    ))
    .well();
}

/// One command makes it a service that outlives the login, and one takes it away; data stays.
pub fn one_command_installs_a_users_service_and_one_removes_it() {
    let _nobody_elses = House::new(); // the port is free
    has_an_account("grace");
    sh("systemctl start user@$(id -u grace)").well(); // as a login does

    let done = sh_as("grace", "maestroctl service install --linger").well();
    assert!(done.contains("systemctl --user"), "it says what it did: {done}");
    let status = sh_as("grace", "maestroctl status --wait ready").well();
    assert!(status.contains("systemd (user)"), "{status}");
    let linger = "loginctl show-user grace --property=Linger --value";
    assert_eq!(sh(linger).well().trim(), "yes");

    let pid = "systemctl --user show maestro --property=MainPID --value";
    let before = sh_as("grace", pid).well();
    sh_as("grace", "maestroctl service restart").well();
    assert_ne!(sh_as("grace", pid).well(), before, "another process");
    let shown = sh_as("grace", "maestroctl service status").well();
    assert!(shown.contains("systemd (user)"), "{shown}");

    sh_as("grace", "maestroctl service stop").well();
    assert!(processes("maestrod").is_empty() && processes("redis-server").is_empty());
    sh_as("grace", "maestroctl service start").well();
    assert_eq!(processes("maestrod").len(), 1);
    sh_as("grace", "maestroctl service uninstall").well();
    assert!(processes("maestrod").is_empty() && processes("redis-server").is_empty());
    sh("test ! -e /home/grace/.config/systemd/user/maestro.service && test -e /home/grace/.maestro/data/maestro.db")
        .well();
    sh("loginctl disable-linger grace").well();
}

pub fn a_users_own_service_outlives_the_login() {
    let _nobody_elses = House::new(); // the port is free
    has_an_account("ada");
    sh("loginctl enable-linger ada").well();
    eventually("her manager is up", || {
        sh("systemctl is-active user@$(id -u ada)")
            .said
            .starts_with("active")
            .then_some(())
    });
    sh_as("ada", "systemctl --user enable --now maestro").well();
    eventually("her status says so", || {
        let shown = sh_as(
            "ada",
            "systemctl --user show maestro --property=StatusText --value",
        );
        (shown.well().trim() == "ready; redis ready; tunnel off; no agents").then_some(())
    });
    // As herself, in her own places, found without being told where.
    let status = sh_as("ada", "maestroctl status --wait ready").well();
    assert!(
        status.contains("systemd (user)") && status.contains("/home/ada/.maestro/data"),
        "{status}"
    );
    assert_eq!(
        sh("loginctl show-user ada --property=Sessions --value")
            .well()
            .trim(),
        "",
        "nobody is logged in"
    );
    // Frozen or killed, it comes back here too.
    let pid = sh_as("ada", "systemctl --user show maestro --property=MainPID --value").well();
    sh(&format!("kill -KILL {pid}")).well();
    eventually("it is up again", || {
        let now = sh_as(
            "ada",
            "systemctl --user show maestro --property=NRestarts,ActiveState --value",
        )
        .well();
        (now.contains('1') && now.contains("\nactive") || now.starts_with("active")).then_some(())
    });
    eventually("one redis", || {
        (processes("redis-server").len() == 1).then_some(())
    });
    sh_as("ada", "systemctl --user disable --now maestro").well();
    assert!(processes("maestrod").is_empty() && processes("redis-server").is_empty());
    let lines = sh_as("ada", "journalctl --user -u maestro -o cat --no-pager").well();
    assert!(lines.contains("the hub listens"), "{lines}");
    sh("loginctl disable-linger ada").well();
}
