//! A crowd at one hub for a while: phones that listen, agents that say they live, changes at a steady pace; then more than
//! it can take, and the same crowd again. What it costs, minute by minute.
//!
//! ```sh
//! make load PHONES=5000 AGENTS=500 RATE=50 MINUTES=10
//! ```
//!
//! Phones are spread over projects: a phone hears of its own. They connect at the local `/mobile`, because the ingress
//! lets in no more than sixty-four. `-- --write` records the table in docs/RELIABILITY.md.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot measure fails with a message, like a test"
)]

#[path = "../../tests/harness/mod.rs"]
mod harness;
mod histogram;
mod phone;
mod requests;

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use harness::{Daemon, Setup, eventually, page};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

use histogram::Histogram;
use requests::Line;

/// Who asks at once when it is too much; more than the store lets wait.
const TOO_MANY: usize = 6000;
/// Agents say that they live this often.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Everything that is measured in one stretch of time.
#[derive(Default)]
pub struct Times {
    pub deliveries: Histogram,
    pub changes: Histogram,
    pub heartbeats: Histogram,
    pub lost_phones: Histogram,
    pub refusals: Histogram,
}

fn number(name: &str, usual: u64) -> u64 {
    let set = std::env::var(name).ok().filter(|text| !text.is_empty());
    set.map_or(usual, |text| text.parse().expect("a number"))
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let (phones, agents) = (number("PHONES", 5000), number("AGENTS", 500));
    let (rate, minutes, projects) = (number("RATE", 50), number("MINUTES", 10), number("PROJECTS", 10));
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("raised");
    let hub = Setup::new().start().await;
    let mut tasks = Vec::new();
    let mut homes = Vec::new();
    for n in 0..projects {
        let project = hub
            .post("/api/projects", json!({"name": n.to_string()}))
            .await
            .expect(201);
        let project = project["id"].as_str().expect("an id").to_owned();
        let task = json!({"projectId": project, "title": "T"});
        let task = hub.post("/api/tasks", task).await.expect(201);
        tasks.push(task["id"].as_str().expect("an id").to_owned());
        homes.push(project);
    }
    let mut sessions = Vec::new();
    for n in 0..agents {
        let wish = json!({"projectId": homes[at(n, homes.len())], "taskIds": [], "status": "working"});
        let made = hub.post("/api/sessions", wish).await.expect(201);
        sessions.push(made["id"].as_str().expect("an id").to_owned());
    }
    let times: Arc<Times> = Arc::default();
    let begun = Instant::now();
    for n in 0..phones {
        phone::listen(
            hub.port(),
            homes[at(n, homes.len())].clone(),
            begun,
            Arc::clone(&times),
        )
        .await;
    }
    eventually("all phones are there", || async {
        let status = hub.get("/ws-status").await.expect(200);
        (status["mobile"] == phones).then_some(())
    })
    .await;
    println!(
        "{phones} phones in {projects} projects after {:?}",
        begun.elapsed()
    );
    for part in sessions.chunks(50) {
        tokio::spawn(requests::beat(
            hub.port(),
            part.to_vec(),
            HEARTBEAT,
            Arc::clone(&times),
        ));
    }
    let pace = Duration::from_secs(1) / u32::try_from(rate).expect("small");
    tokio::spawn(requests::change(
        hub.port(),
        tasks.clone(),
        pace,
        begun,
        Arc::clone(&times),
    ));

    let mut table = String::from(
        "| | events | deliveries | delivery p50, p99, max (ms) | PATCH p50, p99 (ms) | heartbeat p50, p99 (ms) | memory (MB) | descriptors | CPU |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut stretch = async |name: String, long: Duration| {
        let cpu = hub.cpu_time();
        tokio::time::sleep(long).await;
        let row = row(&name, &hub, &times, cpu, long);
        println!("{row}");
        let _ = writeln!(table, "{row}");
    };
    for minute in 1..=minutes {
        stretch(format!("minute {minute}"), Duration::from_secs(60)).await;
    }
    let overload = overload(&hub, &tasks, &times).await;
    println!("{overload}");
    for part in ["first", "second"] {
        stretch(format!("{part} half minute after that"), Duration::from_secs(30)).await;
    }
    let status = hub.get("/ws-status").await.expect(200);
    let lost = times.lost_phones.take().count;
    let end = format!(
        "{} of {phones} phones are connected at the end; {lost} were thrown out and came back.",
        status["mobile"]
    );
    println!("{end}");
    if std::env::args().any(|arg| arg == "--write") {
        let head = format!(
            "{phones} phones in {projects} projects, {agents} agents with a heartbeat every {} s, {rate} changes a second, each \
             told to {} phones.\n\n",
            HEARTBEAT.as_secs(),
            phones / projects
        );
        page::record(
            "RELIABILITY.md",
            "load",
            &format!("{head}{table}\n{overload} {end}\n"),
        );
    }
}

fn at(n: u64, length: usize) -> usize {
    usize::try_from(n).expect("small") % length
}

/// Six thousand changes asked for at once, three times over.
async fn overload(hub: &Daemon, tasks: &[String], times: &Arc<Times>) -> String {
    let began = Instant::now();
    let mut asking = Vec::new();
    for n in 0..TOO_MANY {
        let Some(mut line) = Line::open(hub.port()).await else {
            continue;
        };
        let (task, times) = (tasks[n % tasks.len()].clone(), Arc::clone(times));
        asking.push(tokio::spawn(async move {
            let (mut done, mut refused, mut broken) = (0_u64, 0_u64, 0_u64);
            for m in 0..3 {
                let asked = Instant::now();
                let body = json!({"title": format!("too much {n} {m}")});
                match line.ask("PATCH", &format!("/api/tasks/{task}"), &body).await {
                    Some(200) => done += 1,
                    Some(503) => {
                        times.refusals.note(asked.elapsed());
                        refused += 1;
                    }
                    _ => broken += 1,
                }
            }
            (done, refused, broken)
        }));
    }
    let connected = asking.len();
    let mut sums = (0, 0, 0);
    for asked in asking {
        let (done, refused, broken) = asked.await.expect("it asked");
        sums = (sums.0 + done, sums.1 + refused, sums.2 + broken);
    }
    let refusals = times.refusals.take();
    format!(
        "Too much: {connected} connections more asked for 3 changes each: {} were done, {} refused with 503 and `Retry-After` \
         (p50 {:.0} ms, p99 {:.0} ms), {} not answered, in {:.1} s.",
        sums.0,
        sums.1,
        refusals.at(0.50),
        refusals.at(0.99),
        sums.2,
        began.elapsed().as_secs_f64()
    )
}

fn row(name: &str, hub: &Daemon, times: &Times, cpu_before: Duration, long: Duration) -> String {
    let (deliveries, changes, heartbeats) = (
        times.deliveries.take(),
        times.changes.take(),
        times.heartbeats.take(),
    );
    format!(
        "| {name} | {} | {} | {:.1}, {:.1}, {:.0} | {:.1}, {:.1} | {:.1}, {:.1} | {:.1} | {} | {:.0} % |",
        changes.count,
        deliveries.count,
        deliveries.at(0.50),
        deliveries.at(0.99),
        deliveries.at(1.0),
        changes.at(0.50),
        changes.at(0.99),
        heartbeats.at(0.50),
        heartbeats.at(0.99),
        hub.memory_kib() as f64 / 1024.0,
        hub.descriptors(),
        100.0 * (hub.cpu_time() - cpu_before).as_secs_f64() / long.as_secs_f64(),
    )
}
