//! Agents: real processes that say that they live, and processes elsewhere that only say so.

use std::{
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    harness::Dice,
    house::signal,
    workers::{remove_session, session},
    world::World,
};

/// Those that can be ended, and those that were.
#[derive(Default)]
pub struct Agents {
    alive: Mutex<Vec<Agent>>,
    /// Mark and id of sessions whose agent was ended: they must fail.
    pub dead: Mutex<Vec<(String, String)>>,
}

struct Agent {
    child: Child,
    mark: String,
    session: String,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agents {
    /// Ends one; its session.
    pub fn kill(&self, world: &World, dice: &mut Dice) -> Option<String> {
        let mut alive = self.alive.lock().expect("not poisoned");
        let most = u64::try_from(alive.len()).ok().filter(|most| *most > 0)?;
        let agent = alive.swap_remove(usize::try_from(dice.below(most)).ok()?);
        world.model().alive.remove(&agent.session);
        let session = agent.session.clone();
        self.dead
            .lock()
            .expect("not poisoned")
            .push((agent.mark.clone(), session.clone()));
        drop(alive);
        drop(agent);
        Some(session)
    }

    /// Stops one, or lets it go on.
    pub fn stop(&self, dice: &mut Dice) -> Option<i32> {
        let alive = self.alive.lock().expect("not poisoned");
        let pids: Vec<i32> = alive.iter().map(|agent| agent.child.id().cast_signed()).collect();
        if pids.is_empty() {
            return None;
        }
        let pid = *dice.pick(&pids);
        signal(pid, Signal::SIGSTOP);
        Some(pid)
    }

    fn has(&self, session: &str) -> bool {
        let alive = self.alive.lock().expect("not poisoned");
        alive.iter().any(|agent| agent.session == session)
    }
}

/// An agent on this machine. If it is ended, another one takes its place, in a session of its own.
pub async fn local(world: Arc<World>, speaks: bool) {
    let hub = world.house.caller();
    while !world.is_over() {
        let turn = world.gate.read().await;
        let Some((mark, id)) = session(&world, &hub, "agent").await else {
            drop(turn);
            tokio::time::sleep(Duration::from_millis(300)).await;
            continue;
        };
        let child = Command::new("sleep")
            .arg("100000")
            .stdin(Stdio::null())
            .spawn()
            .expect("it starts");
        let pid = child.id().cast_signed();
        let agent = Agent {
            child,
            mark: mark.clone(),
            session: id.clone(),
        };
        let sign = json!({"pid": pid, "watch": !speaks});
        let path = format!("/api/sessions/{id}/heartbeat");
        let reply = hub.post(&path, sign.clone()).await;
        world.heard(&format!("{mark}, process {pid}, begins"), &reply, &[]);
        if reply.done().is_none() {
            drop(agent);
            remove_session(&world, &hub, &mark, &id).await;
            drop(turn);
            tokio::time::sleep(Duration::from_millis(300)).await;
            continue;
        }
        world.model().alive.insert(id.clone(), format!("process {pid}"));
        world.agents.alive.lock().expect("not poisoned").push(agent);
        drop(turn);
        while !world.is_over() && world.agents.has(&id) {
            if speaks {
                let _may_fail = hub.post(&path, sign.clone()).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// An agent on another machine: it lives as long as this test, and says so.
pub async fn remote(world: Arc<World>) {
    let hub = world.house.caller();
    let (mark, id) = loop {
        if let Some(made) = session(&world, &hub, "remote").await {
            break made;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let sign = json!({"pid": 4711, "host": "far.example", "ttl": 8000});
    let path = format!("/api/sessions/{id}/heartbeat");
    let mut known = false;
    while !world.is_over() {
        if hub.post(&path, sign.clone()).await.done().is_some() && !known {
            known = true;
            world
                .model()
                .alive
                .insert(id.clone(), format!("{mark}, far away,"));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Looks at all sessions all the time: nobody who lives may be given up, not even for a moment.
pub async fn watcher(world: Arc<World>) {
    let hub = world.house.caller();
    while !world.is_over() {
        let path = format!("/api/sessions?projectId={}", world.project);
        let reply = hub.get(&path).await;
        for session in reply.done().and_then(|all| all.as_array()).into_iter().flatten() {
            let text = |key: &str| session[key].as_str().unwrap_or_default();
            world.model().seen(text("id"), text("status"));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
