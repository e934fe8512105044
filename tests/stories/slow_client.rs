//! A client that stops reading: closed with a reason, and nobody else notices, neither in time nor in memory.

use serde_json::json;

use crate::harness::{Daemon, Setup, Socket, eventually};

/// Small queues, and patience for the last words.
const CONFIG: &str = "[clients]\nqueue_events = 16\nqueue_bytes = \"256KiB\"\nwrite_timeout = \"25s\"\n";
/// Size of each event: more than any queue after a few, more than any kernel buffer after a few dozen.
const EVENT: usize = 128 * 1024;

async fn session(daemon: &Daemon) -> String {
    let project = daemon
        .post("/api/projects", json!({"name": "P"}))
        .await
        .expect(201);
    let wish = json!({"projectId": project["id"], "taskIds": []});
    let session = daemon.post("/api/sessions", wish).await.expect(201);
    session["id"].as_str().expect("an id").to_owned()
}

/// Sends events until `enough` clients were cut off; `reader` must see each of them at once.
async fn flood(daemon: &Daemon, reader: &mut Socket, enough: usize) {
    let session = session(daemon).await;
    let page = "x".repeat(EVENT);
    for number in 0..400 {
        let modal = json!({"modalId": format!("m{number}"), "html": page});
        daemon
            .post(&format!("/api/sessions/{session}/modal"), modal)
            .await
            .expect(200);
        let seen = reader.next_event("session:modal").await;
        assert_eq!(seen["data"]["modalId"], format!("m{number}"));
        if daemon
            .log()
            .matches("a client of the raw WebSocket was closed")
            .count()
            >= enough
        {
            return;
        }
    }
    panic!("nobody was cut off");
}

#[tokio::test]
async fn it_is_told_why_when_it_reads_again_and_others_get_everything() {
    let daemon = Setup::new().config(CONFIG).start().await;
    let mut stalled = daemon.listen().await;
    let mut reader = daemon.listen().await;
    flood(&daemon, &mut reader, 1).await;

    let reason = stalled.closed().await.expect("a reason");
    assert_eq!(u16::from(reason.code), 1013, "try again later");
    assert!(reason.reason.starts_with("too slow: "), "{}", reason.reason);
    eventually("it is forgotten", || async {
        let status = daemon.get("/ws-status").await.expect(200);
        (status["connectedClients"] == 1).then_some(())
    })
    .await;
    assert_eq!(
        reader.arrived().await.len(),
        0,
        "the reader missed nothing and got nothing twice"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_crowd_that_does_not_read_costs_no_more_memory_than_its_queues() {
    const CROWD: usize = 20;
    let daemon = Setup::new().config(CONFIG).start().await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(daemon.listen().await);
    }
    let mut reader = daemon.listen().await;
    let before = daemon.memory_kib();
    flood(&daemon, &mut reader, CROWD).await;
    let grown = daemon.memory_kib().saturating_sub(before);
    // Twenty queues of 256 KiB, what is on its way, and room for an allocator: far below 20 copies of everything.
    assert!(grown < 48 * 1024, "{grown} KiB more");
}
