//! The hub that counts.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    TIMES,
    counting::{Counts, Told},
    curve::Cost,
    harness::{Daemon, Setup, wire::Connection},
};

/// Names the socket for the counts; this program is maestrod then.
pub const COUNTS: &str = "MAESTRO_TEST_COUNTS";
/// Connections that fill the hub: commits are shared.
const HANDS: usize = 16;

/// A running hub, and what it has allocated.
pub struct Hub {
    daemon: Daemon,
    told: Told,
    pub connection: Connection,
    pub project: String,
}

impl Hub {
    pub async fn start() -> Self {
        let setup = Setup::new();
        let socket = setup.place().root().join("counts");
        let program = std::env::current_exe().expect("this program");
        let setup = setup.env(COUNTS, socket.to_string_lossy()).program(program);
        let daemon = setup.start().await;
        let project = daemon.post("/api/projects", json!({"name": "Costs"})).await;
        let project = project.expect(201)["id"].as_str().expect("an id").to_owned();
        Self {
            told: Told::at(&socket),
            connection: Connection::open(daemon.port()).expect("a connection"),
            daemon,
            project,
        }
    }

    pub fn port(&self) -> u16 {
        self.daemon.port()
    }

    /// How `maestroctl status` counts those who wait for mail.
    pub async fn waiting(&self) -> Value {
        let told = self.daemon.ctl(&["status", "--json"]).await;
        let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
        told["mail"]["waiting"].clone()
    }

    /// Where the events are: the epoch, and the number of the newest.
    pub async fn events(&self) -> (String, u64) {
        let told = self.daemon.get("/api/events").await.expect(200);
        let epoch = told["epoch"].as_str().expect("an epoch");
        (epoch.to_owned(), told["seq"].as_u64().expect("a number"))
    }

    /// Ids of all tasks, the oldest first.
    pub async fn tasks(&self) -> Vec<String> {
        let tasks = self.daemon.get("/api/tasks").await.expect(200);
        let mut tasks = tasks.as_array().expect("a list").clone();
        tasks.sort_by_key(|task| (task["createdAt"].as_i64(), task["id"].to_string()));
        let id = |task: &Value| task["id"].as_str().expect("an id").to_owned();
        tasks.iter().map(id).collect()
    }

    /// Asks, and expects it to be done.
    pub fn ask(&mut self, request: &[u8]) {
        let answer = self.connection.ask(request).expect("an answer");
        assert!((200..300).contains(&answer.status), "{}", answer.status);
    }

    /// Asks for many things, several at a time.
    pub fn fill(&self, which: std::ops::Range<usize>, request: impl Fn(usize) -> Vec<u8> + Sync) {
        std::thread::scope(|scope| {
            for hand in 0..HANDS {
                let (which, request) = (which.clone(), &request);
                scope.spawn(move || {
                    let mut connection = Connection::open(self.port()).expect("a connection");
                    for n in which.skip(hand).step_by(HANDS) {
                        let answer = connection.ask(&request(n)).expect("an answer");
                        assert!((200..300).contains(&answer.status), "{}", answer.status);
                    }
                });
            }
        });
    }

    /// What one of these requests costs.
    pub fn request(&mut self, mut request: impl FnMut(usize) -> Vec<u8>) -> Cost {
        self.cost(TIMES, |hub, n| hub.ask(&request(n)))
    }

    /// What it costs once, if it is done so often. The cheapest of three series: the hub has other things to do now and then.
    pub fn cost(&mut self, times: usize, mut work: impl FnMut(&mut Self, usize)) -> Cost {
        let mut least: Option<Cost> = None;
        for series in 0..3 {
            let (before, cpu) = (self.settled(), self.daemon.cpu_time());
            for n in 0..times {
                work(self, series * times + n);
            }
            let (after, cpu) = (self.settled(), self.daemon.cpu_time() - cpu);
            let cost = Cost {
                allocations: (after.allocations - before.allocations) as f64 / times as f64,
                bytes: (after.bytes - before.bytes) as f64 / times as f64,
                cpu: cpu.as_secs_f64() * 1e6 / times as f64,
            };
            least = Some(least.map_or(cost, |least| least.cheaper(cost)));
        }
        least.expect("three series")
    }

    /// What is kept of it while it is there, for each of so many.
    pub fn kept(&mut self, many: usize, work: impl FnOnce(&mut Self)) -> Cost {
        let (before, cpu) = (self.settled(), self.daemon.cpu_time());
        work(self);
        let (after, cpu) = (self.settled(), self.daemon.cpu_time() - cpu);
        Cost {
            allocations: (after.allocations - before.allocations) as f64 / many as f64,
            bytes: (after.live.saturating_sub(before.live)) as f64 / many as f64,
            cpu: cpu.as_secs_f64() * 1e6 / many as f64,
        }
    }

    /// The counts, once nothing has been counted for a moment.
    fn settled(&mut self) -> Counts {
        let patience = Instant::now() + Duration::from_secs(2);
        let (mut counts, mut quiet) = (self.told.now(), 0);
        while quiet < 3 && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
            let next = self.told.now();
            quiet = if next == counts { quiet + 1 } else { 0 };
            counts = next;
        }
        counts
    }
}
