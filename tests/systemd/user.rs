//! The unit of one user.

use crate::booted::machine::{eventually, processes, sh, sh_as};
use crate::house::House;

pub fn a_users_own_service_outlives_the_login() {
    let _nobody_elses = House::new(); // the port is free
    sh("id ada 2>/dev/null || useradd --create-home --shell /bin/bash ada").well();
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
