//! Messages that no client of ours would send: cut short, too long, of wrong types, in the wrong order, in pieces. By
//! HTTP, by the raw WebSocket, by Socket.IO, at the local door and at the ingress. Whatever comes, the hub answers
//! nothing of 500 and above, nothing panics, and its memory and descriptors come back to where they were.
//!
//! ```sh
//! make malformed N=100000 SEED=7
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says why and stops

#[path = "../harness/mod.rs"]
mod harness;
mod made_up;
mod wire;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};

use crate::{
    harness::{Daemon, Dice, Setup, eventually},
    made_up::Known,
    wire::{Door, Outcome},
};

/// Messages of every test run.
const FEW: u64 = 4_000;
/// Senders at once.
const SENDERS: u64 = 8;
/// What memory may have grown by (KB): caches and pools fill, and then it is over.
const GROWTH: u64 = 64 << 10;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_said_to_it_the_hub_neither_fails_nor_grows() {
    let (many, seed) = (number("N").unwrap_or(FEW), number("SEED").unwrap_or(1));
    println!("malformed: N={many} SEED={seed}");
    let hub = Setup::new()
        .config("[tunnel]\nmode = \"external\"\nurl = \"https://hub.example\"\n")
        .start()
        .await;
    let known = Arc::new(furnish(&hub).await);
    let doors = Arc::new(Door::all(&hub));
    let (next, told) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(BTreeMap::new())));
    // Half of it fills what fills; the other half must leave no trace.
    let warm = many / 2;
    let mut before = None;
    for until in [warm, many] {
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let (known, doors) = (Arc::clone(&known), Arc::clone(&doors));
                let (next, told) = (Arc::clone(&next), Arc::clone(&told));
                tokio::spawn(async move {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= until {
                            next.fetch_min(until, Ordering::Relaxed);
                            return;
                        }
                        let mut dice = Dice::of(seed, &n.to_string());
                        let outcome = wire::send(&doors, &known, &mut dice).await;
                        if let Outcome::Answered(500.., what) = &outcome {
                            // A door that does not exist answers 501 nowhere, and 503 says: later.
                            panic!("message {n} of SEED={seed} was answered: {what}");
                        }
                        *told
                            .lock()
                            .expect("not poisoned")
                            .entry(outcome.name())
                            .or_insert(0_u64) += 1;
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await.expect("it said nothing of 500");
        }
        let level = quiet(&hub).await;
        println!("after {until}: {} KB, {} descriptors", level.0, level.1);
        let first = *before.get_or_insert(level);
        assert!(
            level.0 < first.0 + GROWTH,
            "memory grew from {first:?} to {level:?}"
        );
        assert!(
            level.1 <= first.1 + 8,
            "descriptors grew from {first:?} to {level:?}"
        );
    }
    println!("{:?}", told.lock().expect("not poisoned"));
    let log = hub.log();
    let panic = log.lines().find(|line| line.contains("panicked"));
    assert_eq!(panic, None, "SEED={seed}");
    // And it goes on working.
    let task = json!({"projectId": known.project, "title": "on"});
    hub.post("/api/tasks", task).await.expect(201);
}

/// Something for messages to be about.
async fn furnish(hub: &Daemon) -> Known {
    let id = |value: Value| value["id"].as_str().expect("an id").to_owned();
    let project = json!({"name": "P", "workingDir": hub.place().work_dir()});
    let project = id(hub.post("/api/projects", project).await.expect(201));
    let task = json!({"projectId": project, "title": "T"});
    let task = id(hub.post("/api/tasks", task).await.expect(201));
    let session = json!({"projectId": project, "taskIds": [task], "status": "working"});
    let session = id(hub.post("/api/sessions", session).await.expect(201));
    Known {
        project,
        task,
        session,
    }
}

/// Waits until all that was opened is closed; memory (KB) and descriptors then.
async fn quiet(hub: &Daemon) -> (u64, u64) {
    eventually("all sockets are closed", || async {
        let status = hub.get("/ws-status").await.expect(200);
        let open = ["ui", "mobile", "raw"].map(|kind| status[kind].as_u64().unwrap_or_default());
        (open == [0; 3]).then_some(())
    })
    .await;
    let descriptors = eventually("descriptors are closed", || async {
        let open = hub.descriptors();
        (open < 60).then_some(open)
    })
    .await;
    (hub.memory_kib(), descriptors as u64)
}
