//! A quiet moment: everything is mended, nobody asks, and what is there is held against what was promised.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    followers::Known,
    harness::Reply,
    house::signal,
    model::{Fate, Found},
    replica::State,
    world::{POSTS, World},
};

/// How long things may take to be as they should: the machine is not ours alone.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the hub's process has of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Level {
    pub memory_kb: u64,
    pub descriptors: u64,
}

/// What is looked at in quiet moments.
pub struct Settling {
    pub followers: Vec<(&'static str, Arc<Mutex<Known>>)>,
    /// How much of the log was read.
    read: usize,
    pub levels: Vec<Level>,
}

impl Settling {
    pub fn new(followers: Vec<(&'static str, Arc<Mutex<Known>>)>) -> Self {
        Self {
            followers,
            read: 0,
            levels: Vec::new(),
        }
    }

    /// Mends, waits, looks.
    ///
    /// # Errors
    /// Whatever is not as promised.
    pub async fn settle(&mut self, world: &World) -> Result<(), String> {
        mend(world);
        let _quiet = world.gate.write().await;
        world.tell("== quiet");
        world.house.keep().await?;
        until("the hub is ready", || ready(world)).await?;
        until("the dead are known to be dead", || dead_known(world)).await?;
        let truth = records(world).await?;
        for (name, known) in &self.followers {
            until(&format!("{name} knows what is so"), || async {
                let known = known.lock().expect("not poisoned");
                match known.state.differs(&truth) {
                    None => Ok(()),
                    Some(what) => Err(what),
                }
            })
            .await?;
            let complaints = std::mem::take(&mut known.lock().expect("not poisoned").complaints);
            complaints
                .into_iter()
                .for_each(|what| world.model().complain(what));
        }
        letters(world).await?;
        until("kept answers were mailed", || answers(world)).await?;
        world.model().claims.settle();
        self.house(world).await?;
        self.log(world);
        tidy(world).await;
        match world.model().complaints() {
            [] => Ok(()),
            all => Err(all.join("\n")),
        }
    }

    /// One hub, one redis, one connector, nothing dead that nobody buried; memory and descriptors at their level.
    async fn house(&mut self, world: &World) -> Result<(), String> {
        let hub = world.house.pid().await.ok_or("there is no hub")?;
        until("there is one of each, and no zombie", || async {
            let processes = world.house.processes();
            let (redis, tunnel) = (world.house.redis(), world.house.tunnel());
            let hubs = processes
                .iter()
                .filter(|process| {
                    process.state != 'Z'
                        && process.what.contains("--config")
                        && process.what.contains("maestrod")
                })
                .count();
            let zombie = processes
                .iter()
                .find(|process| process.state == 'Z' && process.parent == hub);
            if redis.len() == 1 && tunnel.len() == 1 && hubs == 1 && zombie.is_none() {
                return Ok(());
            }
            Err(format!(
                "redis {redis:?}, tunnel {tunnel:?}, hubs {hubs}, {zombie:?}"
            ))
        })
        .await?;
        let level = level(hub).ok_or("the hub is gone")?;
        self.levels.push(level);
        // Started anew or not: sockets of the followers, the children's, and connections that are about to close.
        if level.descriptors > 160 {
            return Err(format!(
                "{} descriptors are open while nobody asks",
                level.descriptors
            ));
        }
        if level.memory_kb > 220_000 {
            return Err(format!(
                "{} KB of memory are in use while nobody asks",
                level.memory_kb
            ));
        }
        Ok(())
    }

    fn log(&mut self, world: &World) {
        let text = fs::read(world.house.log()).unwrap_or_default();
        let new = String::from_utf8_lossy(&text[self.read.min(text.len())..]).into_owned();
        self.read = text.len();
        for line in new.lines() {
            let wrong = ["panicked at", "the stop took too long", "\"level\":\"ERROR\""];
            let known = [
                "a commit failed",
                "could not be stored",
                "disk is full",
                "no room",
                "No space left",
            ];
            if wrong.iter().any(|word| line.contains(word)) && !known.iter().any(|word| line.contains(word)) {
                world.model().complain(format!("in the log: {line}"));
            }
        }
        // Children's output is kept in rotated files, whatever they say.
        let logs = world.house.place().state_dir();
        let size = size_of(&logs.join("logs"));
        if size > 80 << 20 {
            world.model().complain(format!("{size} bytes of logs"));
        }
    }
}

fn size_of(dir: &std::path::Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .map(|facts| facts.len())
        .sum()
}

/// Memory and descriptors of a process.
pub fn level(pid: i32) -> Option<Level> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    Some(Level {
        memory_kb: memory.split_whitespace().next()?.parse().ok()?,
        descriptors: u64::try_from(descriptors).ok()?,
    })
}

fn mend(world: &World) {
    let house = &world.house;
    house.line.mend();
    house.make_room();
    house.edge.restore();
    for pid in house.redis().into_iter().chain(house.tunnel()) {
        signal(pid, Signal::SIGCONT);
    }
}

async fn until<F: Future<Output = Result<(), String>>>(
    what: &str,
    mut probe: impl FnMut() -> F,
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe().await {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() > deadline => {
                return Err(format!("waited in vain until {what}: {why}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(30)).await,
        }
    }
}

async fn ready(world: &World) -> Result<(), String> {
    world.house.keep().await?;
    let reply = world.house.caller().get("/ready").await;
    if reply.status() != 200 {
        // What failed again and again is tried seldom; an operator does not wait for that.
        for (child, there) in [("redis", world.house.redis()), ("tunnel", world.house.tunnel())] {
            if there.is_empty() {
                world.house.ctl(&["start", child]).await;
            }
        }
        return Err(format!("{reply:?}"));
    }
    if world.house.tunnel().is_empty() {
        world.house.ctl(&["start", "tunnel"]).await;
        return Err("there is no tunnel".into());
    }
    let status = world.house.ctl(&["status", "--json"]).await;
    match status {
        Some(told) if told["mail"]["state"] == "open" => Ok(()),
        told => Err(format!(
            "mail is not open: {:?}",
            told.map(|told| told["mail"].clone())
        )),
    }
}

/// A list, asked for until it is given: redis may be back a moment before the hub has it.
async fn list(world: &World, path: &str) -> Result<Vec<Value>, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match world.house.caller().get(path).await {
            Reply::Answer(200, Value::Array(all)) => return Ok(all),
            Reply::Answer(503, _) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => return Err(format!("{path}: {other:?}")),
        }
    }
}

async fn dead_known(world: &World) -> Result<(), String> {
    let sessions = list(world, &format!("/api/sessions?projectId={}", world.project)).await?;
    let dead = world.agents.dead.lock().expect("not poisoned");
    for (mark, id) in dead.iter() {
        let session = sessions.iter().find(|session| session["id"] == id.as_str());
        match session.map(|session| session["status"].as_str().unwrap_or_default()) {
            Some("failed") => {}
            other => {
                return Err(format!(
                    "the agent of {mark} ({id}) was ended, and its session is {other:?}"
                ));
            }
        }
    }
    Ok(())
}

/// Tasks, sessions, their fields and histories.
async fn records(world: &World) -> Result<State, String> {
    let tasks = list(world, &format!("/api/tasks?projectId={}", world.project)).await?;
    let sessions = list(world, &format!("/api/sessions?projectId={}", world.project)).await?;
    let text = |record: &Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let mut model = world.model();
    let all: Vec<(String, String)> = tasks
        .iter()
        .map(|task| (text(task, "description"), text(task, "id")))
        .chain(
            sessions
                .iter()
                .map(|session| (text(session, "name"), text(session, "id"))),
        )
        .collect();
    match model.made.found(&all) {
        Ok(_strays) => {}
        Err(what) => model.complain(what),
    }
    for task in &tasks {
        let (id, title) = (text(task, "id"), text(task, "title"));
        if let Some(register) = model.titles.get_mut(&id) {
            let kept = register.found(&id, &title);
            model.note(kept);
        }
    }
    for session in &sessions {
        let id = text(session, "id");
        model.seen(&id, &text(session, "status"));
        let entries = session["timeline"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let entries: Vec<&str> = entries
            .iter()
            .filter(|entry| entry["type"] == "progress")
            .filter_map(|entry| entry["message"].as_str())
            .collect();
        if let Some(series) = model.timelines.get_mut(&id) {
            let kept = series.found(&id, &entries);
            model.note(kept);
        }
    }
    Ok(State::of(&Value::Array(tasks), &Value::Array(sessions)))
}

async fn inbox(world: &World, session: &str) -> Result<Vec<Value>, String> {
    list(
        world,
        &format!("/api/mail/inbox/{session}?projectId={}", world.project),
    )
    .await
}

async fn letters(world: &World) -> Result<(), String> {
    let mut there = Vec::new();
    for post in POSTS {
        let inbox = inbox(world, post).await?;
        let found: Vec<Found> = inbox
            .iter()
            .map(|mail| Found {
                id: mail["id"].as_str().unwrap_or_default().to_owned(),
                subject: mail["subject"].as_str().unwrap_or_default().to_owned(),
            })
            .collect();
        let mut model = world.model();
        let kept = model.letters.found(post, &found);
        model.note(kept);
        there.extend(found);
    }
    world.model().letters.settle(&there);
    Ok(())
}

/// Answers that were mailed are there once.
async fn answers(world: &World) -> Result<(), String> {
    let posted = world.posted.lock().expect("not poisoned").clone();
    let sessions: BTreeSet<&String> = posted.iter().map(|(_, session, _)| session).collect();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for session in sessions {
        for mail in inbox(world, session).await? {
            if let Some(request) = mail["body"]["requestId"].as_str() {
                *times.entry(request.to_owned()).or_default() += 1;
            }
        }
    }
    for (request, session, must) in &posted {
        match times.get(request).copied().unwrap_or_default() {
            0 if *must => {
                return Err(format!(
                    "the answer to {request} is not in the inbox of {session}"
                ));
            }
            0 | 1 => {}
            more => {
                let what =
                    format!("doubled: the answer to {request} is {more} times in the inbox of {session}");
                world.model().complain(what);
            }
        }
    }
    Ok(())
}

/// What nobody needs any more is removed, and that is a promise too.
async fn tidy(world: &World) {
    let hub = world.house.caller();
    // Answers of before are looked at no more.
    world.posted.lock().expect("not poisoned").clear();
    let mut letters = BTreeSet::new();
    for post in POSTS {
        let inbox = inbox(world, post).await.unwrap_or_default();
        letters.extend(
            inbox
                .iter()
                .filter_map(|mail| mail["id"].as_str().map(str::to_owned)),
        );
    }
    // Some stay, so that there is something to lose.
    for id in letters.iter().skip(10) {
        let reply = hub.delete(&format!("/api/mail/{id}"), None).await;
        let fate = world.heard(&format!("remove {id}"), &reply, &[404]);
        world.model().letters.removed(id, fate);
    }
    let alive: BTreeSet<String> = {
        let model = world.model();
        let busy = model
            .timelines
            .keys()
            .chain(model.titles.keys())
            .chain(model.alive.keys());
        busy.chain(&world.wanted)
            .chain(&world.claimers)
            .cloned()
            .collect()
    };
    let all: Vec<(String, String)> = {
        let model = world.model();
        let ids = model.made.ids();
        ids.map(|(mark, id)| (mark.clone(), id.clone())).collect()
    };
    for (mark, id) in all {
        // Askers keep theirs, and the remote agents; what else nobody holds is what is left of answers that were lost.
        if alive.contains(&id) || mark.starts_with("asker") || mark.starts_with("remote") {
            continue;
        }
        let kind = if mark.starts_with("task") {
            "tasks"
        } else {
            "sessions"
        };
        let reply = hub.delete(&format!("/api/{kind}/{id}"), None).await;
        let fate = world.heard(&format!("remove {mark}"), &reply, &[404]);
        if fate == Fate::Done || reply.status() == 404 {
            world.model().made.removed(&mark, Fate::Done);
        }
    }
    world.agents.dead.lock().expect("not poisoned").clear();
}
