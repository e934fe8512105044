//! Whoever changes the configuration of a running daemon: it takes effect as a whole, or not at all.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Ask, Daemon, Setup, eventually};

const FILE: &str = "maestro.toml";

async fn allowed(daemon: &Daemon, origin: &str) -> bool {
    let answer = daemon
        .ask(Ask::new("GET", "/health").header("origin", origin))
        .await;
    answer.status == 200
}

async fn logged(daemon: &Daemon, words: &str) {
    eventually(&format!("the log says {words:?}"), || async {
        daemon.log().contains(words).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_can_change_changes_and_what_cannot_is_named() {
    let daemon = Setup::new()
        .config("[listen]\ncors_origins = [\"https://old.example\"]\n")
        .start()
        .await;
    assert!(allowed(&daemon, "https://old.example").await);
    let text = "[listen]\ncors_origins = [\"https://new.example\"]\nbody_limit = \"64KiB\"\nheader_timeout = \"9s\"\n";
    daemon.place().write(FILE, text);
    daemon.signal(Signal::SIGHUP);
    logged(&daemon, "the configuration is reloaded").await;

    assert!(allowed(&daemon, "https://new.example").await);
    assert!(!allowed(&daemon, "https://old.example").await);
    let large = json!({"name": "x".repeat(70_000)});
    daemon.post("/api/projects", large).await.expect(413);
    let log = daemon.log();
    let named = log.lines().find(|line| line.contains("next start only"));
    assert!(
        named.is_some_and(|line| line.contains("listen.header_timeout")),
        "{log}"
    );
}

#[tokio::test]
async fn a_bad_file_is_reported_and_changes_nothing() {
    let daemon = Setup::new()
        .config("[listen]\ncors_origins = [\"https://old.example\"]\n")
        .start()
        .await;
    let text = "[listen]\ncors_origins = [\"https://new.example\"]\nbody_limit = \"lots\"\n";
    daemon.place().write(FILE, text);
    daemon.signal(Signal::SIGHUP);
    logged(&daemon, "nothing has changed").await;
    assert!(daemon.log().contains("maestro.toml:3"), "{}", daemon.log());
    assert!(allowed(&daemon, "https://old.example").await);
    assert!(!allowed(&daemon, "https://new.example").await);

    daemon.place().write(FILE, "[log]\nlevel = \"debug\"\n");
    daemon.signal(Signal::SIGHUP);
    logged(&daemon, "the configuration is reloaded").await;
    daemon.get("/health").await.expect(200);
    logged(&daemon, "answered").await; // said at debug only
}

#[tokio::test]
async fn usr1_writes_the_state_to_the_log() {
    let daemon = Setup::new().env("LOG_FORMAT", "json").start().await;
    let _socket = daemon.listen().await;
    daemon.signal(Signal::SIGUSR1);
    logged(&daemon, "asked for by USR1").await;
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("USR1")).expect("logged");
    let record: Value = serde_json::from_str(line).expect("JSON");
    let dump: Value = serde_json::from_str(record["dump"].as_str().expect("text")).expect("JSON");
    assert_eq!(
        (&dump["raw_sockets"], &dump["stopping"]),
        (&json!(1), &json!(false))
    );
}
