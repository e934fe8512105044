//! What is in the journal.

use serde_json::Value;

use crate::booted::machine::{eventually, sh};
use crate::house::{House, main_pid, one_redis, status_says};

pub fn lines_have_their_fields_and_priorities() {
    let house = House::new();
    house.start();
    let entries = |options: &str| -> Vec<Value> {
        let text = house.journal(&format!("-o json {options}"));
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    let find = |options: &str, message: &str| {
        eventually(&format!("`{message}` is among {options}"), || {
            let mut all = entries(options).into_iter();
            all.find(|entry| {
                entry["MESSAGE"]
                    .as_str()
                    .is_some_and(|text| text.contains(message))
            })
        })
    };

    let ready = find("-u maestro", "ready");
    assert_eq!(ready["SYSLOG_IDENTIFIER"], "maestrod");
    assert_eq!(ready["PRIORITY"], "6", "an information");
    assert_eq!(ready["_PID"], main_pid());
    assert_eq!(ready["_SYSTEMD_UNIT"], "maestro.service");
    assert!(
        ready["CODE_FILE"]
            .as_str()
            .is_some_and(|file| file.starts_with("src/")),
        "{ready}"
    );

    // What redis-server prints can be asked for alone.
    let said = find("MAESTRO_CHILD=redis", "ready to accept connections");
    assert_eq!(said["PRIORITY"], "6");
    // So can what becomes of it, in fields: from which state to which, and why.
    let pid = one_redis();
    sh(&format!("kill -KILL {pid}")).well();
    status_says("ready; redis ready");
    let gone = eventually("the crash is a warning", || {
        let all = entries("MAESTRO_CHILD=redis -p warning");
        all.into_iter()
            .find(|entry| entry["MAESTRO_TO"].as_str() == Some("Backoff"))
    });
    assert_eq!(gone["PRIORITY"], "4", "a warning");
    assert_eq!(gone["MAESTRO_FROM"], "Ready");

    let twice = house.journal("-u maestro -o cat");
    assert_eq!(
        twice.matches("the hub listens").count(),
        1,
        "by one way only: {twice}"
    );
}
