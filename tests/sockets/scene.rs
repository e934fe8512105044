//! A hub with a project and a session, and what stories ask of it again and again.

use serde_json::{Value, json};

use crate::harness::{Daemon, Setup, eventually};

pub struct Scene {
    pub hub: Daemon,
    pub project: String,
    pub session: String,
}

fn id(made: &Value) -> String {
    made["id"].as_str().expect("an id").to_owned()
}

pub async fn project(hub: &Daemon, name: &str) -> String {
    id(&hub.post("/api/projects", json!({"name": name})).await.expect(201))
}

pub async fn session(hub: &Daemon, project: &str) -> String {
    let wish = json!({"projectId": project, "taskIds": [], "status": "working"});
    id(&hub.post("/api/sessions", wish).await.expect(201))
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(Setup::new()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let hub = setup.start().await;
        let project = project(&hub, "One").await;
        let session = session(&hub, &project).await;
        Self {
            hub,
            project,
            session,
        }
    }

    /// What a phone of this project says when it connects.
    pub fn auth(&self) -> Value {
        json!({"projectId": self.project})
    }

    /// Writes in the session's timeline.
    pub async fn say(&self, kind: &str, message: &str) {
        let path = format!("/api/sessions/{}/timeline", self.session);
        let entry = json!({"type": kind, "message": message, "metadata": {"filePath": "/home/me/secret"}});
        self.hub.post(&path, entry).await.expect(200);
    }

    pub async fn task(&self, title: &str) -> String {
        let wish = json!({"projectId": self.project, "title": title});
        id(&self.hub.post("/api/tasks", wish).await.expect(201))
    }

    /// Waits until so many are counted.
    pub async fn counted(&self, kind: &str, count: usize) {
        counted(&self.hub, kind, count).await;
    }
}

/// Waits until `/ws-status` counts so many of a kind.
pub async fn counted(hub: &Daemon, kind: &str, count: usize) {
    eventually(&format!("{kind} is {count}"), || async {
        let status = hub.get("/ws-status").await.expect(200);
        (status[kind] == count).then_some(())
    })
    .await;
}
