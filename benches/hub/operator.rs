//! What an operator sees of the hub: how soon `maestroctl status` answers, how long a start with Redis and a stop under load
//! take, and what the hub uses when nobody uses it.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Daemon, Edge, Setup, eventually,
    wire::{Phone, RawSocket},
};
use crate::spread;

const RUNS: usize = 30;
const MANAGED: &str = "[redis]\nmode = \"managed\"\n";
/// Sockets that are open when the hub is told to stop.
const SOCKETS: usize = 50;

/// All of it, as rows of the table.
pub async fn measure(row: &mut impl FnMut(&str, String, &'static str)) {
    let hub = Setup::new().start().await;
    row("`maestroctl status`", spread(&statuses(&hub, true)), "≤ 20 ms");
    let mut dead = hub;
    dead.kill().await;
    row(
        "`maestroctl status` of a hub that was killed",
        spread(&statuses(&dead, false)),
        "≤ 200 ms",
    );
    row(
        "exec → REST and own Redis answer, empty store",
        spread(&starts_with_redis().await),
        "≤ 300 ms",
    );
    row("CPU when idle, with own Redis", idle().await, "≤ 0.2 % of a core");
    row(
        "SIGTERM → exit, 50 sockets open, cloudflared deaf to it",
        spread(&stops().await),
        "≤ 4 s",
    );
}

fn statuses(hub: &Daemon, alive: bool) -> Vec<Duration> {
    let status = || {
        let mut command = hub.setup().command(env!("CARGO_BIN_EXE_maestroctl"));
        let began = Instant::now();
        let told = command.arg("status").output().expect("maestroctl runs");
        assert_eq!(told.status.success(), alive, "{told:?}");
        began.elapsed()
    };
    (0..RUNS).map(|_| status()).collect()
}

async fn starts_with_redis() -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..10 {
        let setup = Setup::new().without_env("REDIS_ENABLED").config(MANAGED);
        let began = Instant::now();
        let hub = setup.start().await;
        crate::shared::until_open(&hub).await;
        times.push(began.elapsed());
    }
    times
}

async fn idle() -> String {
    let setup = Setup::new().without_env("REDIS_ENABLED").config(MANAGED);
    let hub = setup.start().await;
    crate::shared::until_open(&hub).await;
    thread::sleep(Duration::from_secs(3)); // what a start leaves to be done
    let (before, long) = (hub.cpu_time(), Duration::from_secs(20));
    thread::sleep(long);
    let spent = hub.cpu_time() - before;
    format!(
        "{:.2} % of a core",
        100.0 * spent.as_secs_f64() / long.as_secs_f64()
    )
}

/// Its redis ends by SIGTERM too: it says so in its log.
async fn stops() -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let edge = Edge::start().await;
        edge.script(json!({"ignore_term": true}));
        let setup = Setup::new().without_env("REDIS_ENABLED");
        let mut hub = setup.config(&format!("{MANAGED}{}", edge.config())).start().await;
        crate::shared::until_open(&hub).await;
        hub.ctl(&["pair", "--no-wait"]).await; // nobody could come in: there would be no tunnel
        edge.connected().await;
        let redis = redis_of(&hub).await;
        let project = hub
            .post("/api/projects", json!({"name": "Stop"}))
            .await
            .expect(201);
        let project = project["id"].as_str().expect("an id");
        let raw: Vec<_> = (0..SOCKETS / 2).map(|_| RawSocket::open(hub.port())).collect();
        let phones: Vec<_> = (0..SOCKETS / 2)
            .map(|_| Phone::open(hub.port(), project))
            .collect();
        assert!(raw.iter().all(Result::is_ok) && phones.iter().all(Result::is_ok));
        let began = Instant::now();
        hub.signal(Signal::SIGTERM);
        hub.wait_for_end().await;
        times.push(began.elapsed());
        assert!(!lives(redis), "redis ends with its hub");
    }
    times
}

async fn redis_of(hub: &Daemon) -> i64 {
    eventually("redis runs", || async {
        let told = hub.ctl(&["status", "--json"]).await;
        let told: Value = serde_json::from_slice(&told.stdout).ok()?;
        let parts = told["components"].as_array()?;
        parts.iter().find(|part| part["name"] == "redis")?["pid"].as_i64()
    })
    .await
}

fn lives(pid: i64) -> bool {
    let signalled = Command::new("kill").args(["-0", &pid.to_string()]).output();
    signalled.expect("kill runs").status.success()
}
