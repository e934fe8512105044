//! What the hub costs, measured on the release binary from outside: `make bench`.
//!
//! Every figure stands beside the machine's own limit measured in the same run (a loopback round trip, an fsync), because
//! milliseconds of one machine say nothing about another. `-- --write` records the table in docs/BENCHMARKS.md, between its marks.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot measure fails with a message, like a test"
)]

#[path = "../../tests/harness/mod.rs"]
mod harness;
mod limits;
mod operator;
mod shared;

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{
    Daemon, Setup, page,
    wire::{self, Connection, RawSocket},
};
use serde_json::{Value, json};

/// Connections of the throughput measurements.
const CONNECTIONS: usize = 32;
/// Length of one throughput measurement.
const WINDOW: Duration = Duration::from_secs(2);
/// Requests of one latency measurement.
const SAMPLES: usize = 500;

/// A figure and how it spread.
struct Row {
    what: String,
    result: String,
    aim: &'static str,
}

#[tokio::main]
async fn main() {
    let mut rows = Vec::new();
    let mut row = |what: &str, result: String, aim: &'static str| {
        println!("{what:<58} {result:<44} {aim}");
        rows.push(Row {
            what: what.into(),
            result,
            aim,
        });
    };
    // `-- operator`: that part alone, for who works on it.
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if wanted("alone") {
        alone(&mut row).await;
    }
    if wanted("shared") {
        shared::measure(&mut row).await;
    }
    if wanted("operator") {
        operator::measure(&mut row).await;
    }
    if only.is_none() && std::env::args().any(|arg| arg == "--write") {
        record(&rows);
    }
}

/// What the hub needs nobody else for.
async fn alone(row: &mut impl FnMut(&str, String, &'static str)) {
    row(
        "loopback round trip, 200 B (limit)",
        spread(&limits::round_trips(2000)),
        "",
    );
    row("append 1 KB + fdatasync (limit)", spread(&limits::syncs(300)), "");
    row(
        "exec → first 200 on /health, empty store",
        spread(&starts(&Setup::new(), 10).await),
        "≤ 30 ms",
    );

    let daemon = Setup::new().start().await;
    row("RSS when idle", megabytes(&daemon), "≤ 15 MB");
    let hub = Hub::furnish(&daemon).await;
    for (what, request, aim) in hub.throughput() {
        let (rate, cpu) = throughput(&daemon, &request);
        row(&what, format!("{rate:.0}/s, server CPU {cpu:.1} µs each"), aim);
    }
    for (entries, minimal) in [(0, false), (2000, false), (0, true), (2000, true)] {
        let what = format!(
            "append to {entries} entries{}",
            if minimal { ", return=minimal" } else { "" }
        );
        let (times, cpu) = hub.appends(&daemon, entries, minimal);
        let aim = if entries == 2000 && !minimal {
            "p50 ≤ 1 ms, CPU ≤ 0.6 ms"
        } else {
            ""
        };
        row(&what, format!("{}, CPU {cpu:.0} µs", spread(&times)), aim);
    }
    row(
        "PATCH sent → event on a raw socket",
        spread(&hub.patch_to_event(&daemon)),
        "p50 ≤ 250 µs, p99 ≤ 1 ms",
    );
    row("RSS after all this", megabytes(&daemon), "");
    drop(daemon);
    row(
        "exec → first 200 on /health, 200 sessions × 50 entries",
        spread(&starts(&lived_in().await, 10).await),
        "≤ 30 ms",
    );
}

async fn starts(setup: &Setup, runs: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let url = setup.place().server_url_file();
        let _absent_is_fine = fs::remove_file(&url);
        let began = Instant::now();
        let mut daemon = Daemon::spawn(setup.clone());
        let time = thread::scope(|scope| scope.spawn(|| first_health(&url, began)).join()).expect("a start");
        times.push(time);
        daemon.stop().await;
    }
    times
}

/// A place with 200 sessions of 50 timeline entries each.
async fn lived_in() -> Setup {
    let setup = Setup::new();
    let daemon = setup.clone().start().await;
    let project = daemon
        .post("/api/projects", json!({"name": "Lived in"}))
        .await
        .expect(201);
    for n in 0..200 {
        let session = json!({"projectId": project["id"], "taskIds": [], "name": format!("s{n}")});
        let session = daemon.post("/api/sessions", session).await.expect(201);
        let id = session["id"].as_str().expect("an id");
        let patch = json!({"timeline": entries(n, 49)});
        daemon
            .patch(&format!("/api/sessions/{id}"), patch)
            .await
            .expect(200);
    }
    setup
}

fn entries(chunk: usize, count: usize) -> Vec<Value> {
    let entry = |n| {
        json!({"id": format!("evt_{chunk}_{n}"), "type": "progress",
               "timestamp": 1_700_000_000_000_i64, "message": "x".repeat(70)})
    };
    (0..count).map(entry).collect()
}

/// The port is known once `server-url` is written, right after the bind.
fn first_health(url_file: &Path, began: Instant) -> Duration {
    loop {
        let port = fs::read_to_string(url_file)
            .ok()
            .and_then(|url| url.rsplit(':').next()?.parse().ok());
        if let Some(mut connection) = port.and_then(|port| Connection::open(port).ok())
            && connection
                .ask(&wire::get("/health"))
                .is_ok_and(|answer| answer.status == 200)
        {
            return began.elapsed();
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "the hub did not come up"
        );
        thread::sleep(Duration::from_micros(200));
    }
}

/// Ids of what the measured hub holds.
struct Hub {
    project: String,
    sessions: Vec<String>,
    short: String,
    long: String,
}

impl Hub {
    async fn furnish(daemon: &Daemon) -> Self {
        let id = |value: Value| value["id"].as_str().expect("an id").to_owned();
        let project = id(daemon
            .post("/api/projects", json!({"name": "Bench", "workingDir": "/tmp"}))
            .await
            .expect(201));
        let elsewhere = id(daemon
            .post("/api/projects", json!({"name": "Histories"}))
            .await
            .expect(201));
        let session = |project: &str, name: String| json!({"projectId": project, "taskIds": [], "name": name, "status": "working"});
        let mut sessions = Vec::new();
        for n in 0..200 {
            sessions.push(id(daemon
                .post("/api/sessions", session(&project, format!("s{n}")))
                .await
                .expect(201)));
        }
        let short = id(daemon
            .post("/api/sessions", session(&elsewhere, "short".into()))
            .await
            .expect(201));
        let long = id(daemon
            .post("/api/sessions", session(&elsewhere, "long".into()))
            .await
            .expect(201));
        for chunk in 0..10 {
            let entries = entries(chunk, 200);
            daemon
                .patch(&format!("/api/sessions/{long}"), json!({"timeline": entries}))
                .await
                .expect(200);
        }
        Self {
            project,
            sessions,
            short,
            long,
        }
    }

    /// What to ask, with the nth request given n, and the aim of DESIGN section 14.
    fn throughput(&self) -> Vec<(String, Request<'_>, &'static str)> {
        let ask = |what: &str, request: Request<'static>, aim| {
            (format!("{what}, {CONNECTIONS} connections"), request, aim)
        };
        let list = wire::get(&format!("/api/sessions?projectId={}", self.project));
        let one = wire::get(&format!("/api/sessions/{}", self.sessions[0]));
        let sessions = self.sessions.clone();
        let task = wire::post(
            "/api/tasks",
            &json!({"projectId": self.project, "title": "t", "description": "d", "priority": "high"}),
        );
        vec![
            ask("GET /health", Box::new(|_| wire::get("/health")), "CPU ≤ 20 µs"),
            ask("GET one session", Box::new(move |_| one.clone()), "CPU ≤ 20 µs"),
            ask("GET a list of 200 sessions", Box::new(move |_| list.clone()), ""),
            ask(
                "PATCH over 200 sessions, durable",
                Box::new(move |n| {
                    wire::patch(
                        &format!("/api/sessions/{}", sessions[n % sessions.len()]),
                        &json!({"agentId": format!("a{n}")}),
                    )
                }),
                "≥ 5 × 1.8k/s",
            ),
            ask(
                "POST task, durable",
                Box::new(move |_| task.clone()),
                "≥ 5 × 1.8k/s",
            ),
        ]
    }

    fn appends(&self, daemon: &Daemon, entries: usize, minimal: bool) -> (Vec<Duration>, f64) {
        let session = if entries == 0 { &self.short } else { &self.long };
        let body = json!({"type": "progress", "message": "one more step is done"});
        let path = format!("/api/sessions/{session}/timeline");
        let request = if minimal {
            wire::post_minimal(&path, &body)
        } else {
            wire::post(&path, &body)
        };
        latency(daemon, &request, if entries == 0 { SAMPLES / 5 } else { SAMPLES })
    }

    fn patch_to_event(&self, daemon: &Daemon) -> Vec<Duration> {
        let mut socket = RawSocket::open(daemon.port()).expect("a socket");
        let mut connection = Connection::open(daemon.port()).expect("a connection");
        let path = format!("/api/sessions/{}", self.sessions[1]);
        let mut times = Vec::new();
        for n in 0..2 * SAMPLES {
            let request = wire::patch(&path, &json!({"agentId": format!("mark-{n}")}));
            let began = Instant::now();
            connection.send(&request).expect("a request");
            socket.until(&format!("mark-{n}\"")).expect("an event");
            times.push(began.elapsed());
            assert_eq!(connection.receive().expect("an answer").status, 200);
        }
        times
    }
}

type Request<'a> = Box<dyn Fn(usize) -> Vec<u8> + Sync + 'a>;

/// Answers a second over all connections, and the server's CPU time an answer in microseconds.
fn throughput(daemon: &Daemon, request: &Request<'_>) -> (f64, f64) {
    let count = AtomicUsize::new(0);
    let cpu = daemon.cpu_time();
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = Connection::open(daemon.port()).expect("a connection");
                while began.elapsed() < WINDOW {
                    let answer = connection
                        .ask(&request(count.fetch_add(1, Ordering::Relaxed)))
                        .expect("an answer");
                    assert!((200..300).contains(&answer.status), "{}", answer.status);
                }
            });
        }
    });
    let (answers, spent) = (
        count.load(Ordering::Relaxed) as f64,
        (daemon.cpu_time() - cpu).as_secs_f64(),
    );
    (answers / began.elapsed().as_secs_f64(), spent * 1e6 / answers)
}

fn latency(daemon: &Daemon, request: &[u8], samples: usize) -> (Vec<Duration>, f64) {
    let mut connection = Connection::open(daemon.port()).expect("a connection");
    let cpu = daemon.cpu_time();
    let times = (0..samples)
        .map(|_| {
            let began = Instant::now();
            let answer = connection.ask(request).expect("an answer");
            assert!((200..300).contains(&answer.status), "{}", answer.status);
            began.elapsed()
        })
        .collect();
    (
        times,
        (daemon.cpu_time() - cpu).as_secs_f64() * 1e6 / samples as f64,
    )
}

fn megabytes(daemon: &Daemon) -> String {
    format!("{:.1} MB", daemon.memory_kib() as f64 / 1024.0)
}

fn spread(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort();
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!(
        "p50 {:.3} ms, p99 {:.3} ms (min {:.3})",
        at(0.5),
        at(0.99),
        at(0.0)
    )
}

fn record(rows: &[Row]) {
    let mut text = format!(
        "{}\n\n| measure | result | aim |\n|---|---|---|\n",
        limits::machine()
    );
    for row in rows {
        let _infallible = writeln!(text, "| {} | {} | {} |", row.what, row.result, row.aim);
    }
    page::record("BENCHMARKS.md", "bench", &text);
}
