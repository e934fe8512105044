//! What all who take part share: the house, the model that judges, and the story so far.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::{
    agents::Agents,
    harness::{Ask, Caller, Reply},
    house::House,
    model::{Fate, Model},
};

/// Events that are told when something went wrong.
const REMEMBERED: usize = 250;

/// Inboxes that letters go to.
pub const POSTS: [&str; 4] = ["post_a", "post_b", "post_c", "post_d"];

pub struct World {
    pub house: House,
    pub seed: u64,
    pub project: String,
    /// Tasks that are claimed, and sessions that claim them.
    pub wanted: Vec<String>,
    pub claimers: Vec<String>,
    /// Whoever works holds it for reading; who wants quiet, for writing.
    pub gate: RwLock<()>,
    pub agents: Agents,
    /// Answers that were mailed, or are to be: request, session, and whether it must have come.
    pub posted: Mutex<Vec<(String, String, bool)>>,
    pub over: AtomicBool,
    model: Mutex<Model>,
    story: Mutex<VecDeque<String>>,
    marks: AtomicU64,
    begun: Instant,
}

/// A phone that was paired through the tunnel.
pub struct Paired {
    pub cookie: String,
    pub token: String,
}

impl World {
    pub async fn build(house: House, seed: u64) -> Self {
        let hub = house.caller();
        let project = made(&hub, "/api/projects", json!({"name": "Chaos"})).await;
        let (mut wanted, mut claimers, mut model) = (Vec::new(), Vec::new(), Model::default());
        for n in 0..2 {
            let mark = format!("wanted-{n}");
            let body = json!({"projectId": project, "title": "wanted", "description": mark});
            let id = made(&hub, "/api/tasks", body).await;
            model.made.made(&mark, Fate::Done, Some(id.clone()));
            wanted.push(id);
        }
        for n in 0..4 {
            let mark = format!("claimer-{n}");
            let body = json!({"projectId": project, "taskIds": [], "status": "working", "name": mark});
            let id = made(&hub, "/api/sessions", body).await;
            model.made.made(&mark, Fate::Done, Some(id.clone()));
            claimers.push(id);
        }
        Self {
            house,
            seed,
            project,
            wanted,
            claimers,
            gate: RwLock::default(),
            agents: Agents::default(),
            posted: Mutex::default(),
            over: AtomicBool::new(false),
            model: Mutex::new(model),
            story: Mutex::default(),
            marks: AtomicU64::new(0),
            begun: Instant::now(),
        }
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("not poisoned")
    }

    /// Microseconds since the beginning.
    pub fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).expect("not that long")
    }

    /// A text nobody has used.
    pub fn mark(&self, kind: &str) -> String {
        format!("{kind}-{}", self.marks.fetch_add(1, Ordering::Relaxed))
    }

    pub fn tell(&self, what: impl AsRef<str>) {
        let mut story = self.story.lock().expect("not poisoned");
        if story.len() == REMEMBERED {
            story.pop_front();
        }
        let at = self.begun.elapsed().as_secs_f64();
        story.push_back(format!("{at:9.3} {}", what.as_ref()));
    }

    pub fn story(&self) -> String {
        let mut text = String::new();
        for line in self.story.lock().expect("not poisoned").iter() {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// Notes a request and its end. What is our mistake, and what should not have been refused, is complained of.
    pub fn heard(&self, what: &str, reply: &Reply, expected: &[u16]) -> Fate {
        let status = reply.status();
        match reply {
            Reply::Answer(200..=299, _) => {}
            Reply::Answer(status, _) if expected.contains(status) => {}
            Reply::Answer(status, body) => self.tell(format!("{what}: {status} {}", body["message"])),
            other => self.tell(format!("{what}: {other:?}")),
        }
        let fine = matches!(status, 0 | 200..=299 | 503 | 507) || expected.contains(&status);
        if !fine {
            let complaint = format!("{what} was answered {reply:?}");
            self.model().complain(complaint);
        }
        Fate::of(reply)
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Pairs a phone as people do, through the tunnel.
    pub async fn pair(&self) -> Option<Paired> {
        let step = self.house.ctl(&["pair", "--no-wait", "--json"]).await?;
        let code = step["code"].as_str()?.to_owned();
        self.house.edge.connected().await;
        let redeem = Ask::new("POST", "/pair")
            .header("origin", self.house.edge.url())
            .json(&json!({"code": code, "name": "iPhone of Anna"}));
        let answer = crate::harness::eventually("the tunnel leads to the hub", || async {
            let answer = self.house.edge.ask(redeem.clone()).await;
            (answer.status == 201).then_some(answer)
        })
        .await;
        let cookie = answer.header("set-cookie")?.split(';').next()?.to_owned();
        let token = answer.json()["token"].as_str()?.to_owned();
        Some(Paired { cookie, token })
    }
}

async fn made(hub: &Caller, path: &str, body: Value) -> String {
    let reply = hub.post(path, body).await;
    let made = reply.done().unwrap_or_else(|| panic!("{path}: {reply:?}"));
    made["id"].as_str().expect("an id").to_owned()
}
