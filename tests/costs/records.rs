//! Records and their histories.

use serde_json::json;

use crate::{
    curve::Curve,
    harness::wire::{get, patch, post, post_minimal},
    hub::Hub,
};

const SIZES: [usize; 3] = [50, 500, 5000];
const ENTRIES: [usize; 3] = [20, 200, 2000];

fn session(n: usize) -> String {
    format!("sess_{n:013}_abcdefghi")
}

/// One hub in which there are more and more sessions, each with a living agent and a task that it has claimed.
pub async fn measure() -> Vec<Curve> {
    let mut hub = Hub::start().await;
    let of = "sessions";
    let mut read = Curve::new("read a session", "request", of);
    let mut list = Curve::new("list all sessions", "session", of);
    let mut change = Curve::new("change a session", "request", of);
    let mut make = Curve::new("make a task", "request", of);
    let mut beat = Curve::new("say that an agent lives", "request", of);
    let mut claim = Curve::new("claim a task anew", "request", of);
    let mut missed = Curve::new("ask for the newest event", "request", of);
    let mut sweep = Curve::new("look after presence for a second", "session", of);
    let project = hub.project.clone();
    let mut there = 0;
    for size in SIZES {
        hub.fill(there..size, |n| {
            let wish = json!({"id": session(n), "projectId": project, "taskIds": [], "status": "working"});
            post("/api/sessions", &wish)
        });
        hub.fill(there..size, |n| heartbeat(&session(n)));
        hub.fill(there..size, |_| {
            post("/api/tasks", &json!({"projectId": project, "title": "t"}))
        });
        let tasks = hub.tasks().await;
        let claimed = |n: usize| {
            let wish = json!({"sessionId": session(n), "ttl": 3_600_000});
            post(&format!("/api/tasks/{}/claim", tasks[n]), &wish)
        };
        hub.fill(0..size, claimed);
        there = size;
        read.at(
            size,
            hub.request(|_| get(&format!("/api/sessions/{}", session(3)))),
        );
        let all = get(&format!("/api/sessions?projectId={project}"));
        list.at(size, hub.request(|_| all.clone()).shared_by(size));
        change.at(
            size,
            hub.request(|n| {
                let wish = json!({"agentId": format!("agent-{}", n % 10)});
                patch(&format!("/api/sessions/{}", session(3)), &wish)
            }),
        );
        make.at(
            size,
            hub.request(|_| post("/api/tasks", &json!({"projectId": project, "title": "t"}))),
        );
        beat.at(size, hub.request(|_| heartbeat(&session(3))));
        claim.at(size, hub.request(|_| claimed(3)));
        let now = hub.events().await;
        let newest = get(&format!("/api/events?epoch={}&since={}", now.0, now.1 - 1));
        missed.at(size, hub.request(|_| newest.clone()));
        let second = hub.cost(1, |_, _| std::thread::sleep(std::time::Duration::from_secs(1)));
        sweep.at(size, second.shared_by(size));
    }
    vec![read, list, change, make, beat, claim, missed, sweep]
}

fn heartbeat(session: &str) -> Vec<u8> {
    let sign =
        json!({"host": "another.example", "pid": 4711, "startedAt": 1_700_000_000_000_i64, "ttl": 3_600_000});
    post(&format!("/api/sessions/{session}/heartbeat"), &sign)
}

/// A session whose timeline grows.
pub async fn histories() -> Vec<Curve> {
    let mut hub = Hub::start().await;
    let of = "entries";
    let mut minimal = Curve::new("append to a timeline, return=minimal", "request", of);
    let mut append = Curve::new("append to a timeline", "entry in the answer", of);
    let mut read = Curve::new("read a session with its timeline", "entry", of);
    let project = hub.project.clone();
    for (n, size) in ENTRIES.into_iter().enumerate() {
        hub.ask(&post(
            "/api/sessions",
            &json!({"id": session(n), "projectId": project, "taskIds": []}),
        ));
        let path = format!("/api/sessions/{}", session(n));
        let entry = |n| {
            json!({"id": format!("evt_{n}"), "type": "progress", "timestamp": 1_700_000_000_000_i64,
                               "message": "x".repeat(70)})
        };
        for begin in (0..size).step_by(200) {
            let entries: Vec<_> = (begin..size.min(begin + 200)).map(entry).collect();
            hub.ask(&patch(&path, &json!({"timeline": entries})));
        }
        let more = json!({"type": "progress", "message": "one more step is done"});
        let path_of = format!("{path}/timeline");
        minimal.at(size, hub.request(|_| post_minimal(&path_of, &more)));
        append.at(size, hub.request(|_| post(&path_of, &more)).shared_by(size + 90));
        read.at(size, hub.request(|_| get(&path)).shared_by(size + 120));
    }
    vec![minimal, append, read]
}
