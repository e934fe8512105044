//! Starting, staying up, stopping.

use crate::booted::machine::{eventually, processes, property, sh, write};
use crate::harness::Ask;
use crate::house::{House, UNIT, ask, main_pid, make_project, one_redis, projects, status_is, status_says};

pub fn it_is_up_when_systemctl_start_returns_and_says_how_it_is_doing() {
    let house = House::new();
    house.start();
    status_is("ready; redis ready; tunnel off; no agents");
    assert_eq!(ask(Ask::new("GET", "/ready")).status, 200);
    let status = sh("maestroctl status --wait ready").well();
    assert!(status.contains("systemd (system)"), "{status}");
    let shown = sh("systemctl status maestro --no-pager").well();
    assert!(shown.contains("Status: \"ready; redis ready"), "{shown}");

    sh("maestroctl stop redis").well();
    status_says("not ready; redis stopped");
    sh("maestroctl start redis").well();
    status_is("ready; redis ready; tunnel off; no agents");
}

pub fn without_a_redis_server_it_starts_and_works_all_the_same() {
    let house = House::new();
    sh("mv /usr/bin/redis-server /usr/bin/redis-server.away").well();
    let began = std::panic::catch_unwind(|| house.start());
    sh("mv /usr/bin/redis-server.away /usr/bin/redis-server").well();
    began.expect("started");
    status_is("ready; redis off; tunnel off; no agents");
    make_project("Without");
    assert_eq!(projects(), ["Without"]);
    assert!(processes("redis-server").is_empty());
}

pub fn neither_a_stuck_redis_nor_an_unreachable_tunnel_keeps_it_from_starting() {
    let house = House::new();
    let edge = house.edge(r#"{"state": "connecting"}"#, "mode = \"quick\"");
    write("/opt/stuck", "#!/bin/sh\nexec sleep infinity\n");
    sh("chmod 755 /opt/stuck").well();
    house.configure(&format!(
        "[redis]\nmode = \"managed\"\nbinary = \"/opt/stuck\"\n{edge}"
    ));
    house.start(); // the unit allows 60 s
    assert_eq!(ask(Ask::new("GET", "/health")).status, 200);
    assert_eq!(ask(Ask::new("GET", "/ready")).status, 503);
    status_says("not ready; redis ");
    sh("maestroctl pair --no-wait --json").well(); // somebody may come in: the tunnel is wanted
    status_says("tunnel connecting");
}

pub fn killed_it_comes_back_with_its_data_and_exactly_one_redis() {
    let house = House::new();
    house.start();
    make_project("Kept");
    let (daemon, redis) = (main_pid(), one_redis());
    sh(&format!("kill -KILL {daemon}")).well();
    eventually("it is up again", || {
        (property(UNIT, "NRestarts") == "1" && property(UNIT, "ActiveState") == "active").then_some(())
    });
    assert_ne!(main_pid(), daemon);
    status_says("ready; redis ready");
    assert_ne!(one_redis(), redis, "nothing of a service outlives its unit");
    assert_eq!(projects(), ["Kept"]);
}

pub fn frozen_it_is_ended_by_the_watchdog_and_started_again() {
    let house = House::new();
    house.drop_in("[Service]\nWatchdogSec=2s\n");
    house.start();
    make_project("Kept");
    sh(&format!("kill -STOP {}", main_pid())).well();
    eventually("it is up again", || {
        (property(UNIT, "NRestarts") == "1" && property(UNIT, "ActiveState") == "active").then_some(())
    });
    house.journal_says("-u maestro -o cat", &["Watchdog timeout"]);
    status_says("ready; redis ready");
    one_redis();
    assert_eq!(projects(), ["Kept"]);
}

pub fn trouble_of_redis_is_no_reason_for_the_watchdog() {
    let house = House::new();
    house.drop_in("[Service]\nWatchdogSec=2s\n");
    house.start();
    let frozen = one_redis();
    sh(&format!("kill -STOP {frozen}")).well();
    let mut last = String::new();
    for _ in 0..4 {
        let fed = || property(UNIT, "WatchdogTimestampMonotonic");
        last = eventually("the watchdog is fed", || Some(fed()).filter(|at| *at != last));
    }
    assert_eq!(property(UNIT, "NRestarts"), "0");
    assert_eq!(ask(Ask::new("GET", "/health")).status, 200);
    sh(&format!("kill -KILL {frozen}")).well();
    eventually("another redis is there", || {
        processes("redis-server")
            .first()
            .filter(|pid| **pid != frozen)
            .copied()
    });
}

pub fn a_stop_ends_in_time_though_a_child_hangs_and_redis_is_asked_not_killed() {
    let house = House::new();
    let edge = house.edge(r#"{"ignore_term": true}"#, "mode = \"quick\"");
    house.configure(&edge);
    house.start();
    sh("maestroctl pair --no-wait --json").well();
    status_says("tunnel ready");
    assert_eq!(processes("cloudflared").len(), 1);
    sh("systemctl stop maestro").well();
    assert_eq!(
        property(UNIT, "Result"),
        "success",
        "systemd did not have to end it"
    );
    assert_eq!(property(UNIT, "ExecMainStatus"), "0");
    assert!(processes("cloudflared").is_empty() && processes("redis-server").is_empty());
    let journal = house.journal("-u maestro -o cat");
    assert!(!journal.contains("Killing process"), "{journal}");
    let redis = sh("cat /var/lib/maestro/state/logs/redis.log").well();
    assert!(
        redis.contains("Received SIGTERM") && redis.contains("bye bye"),
        "{redis}"
    );
}
