//! What most tests begin with: a daemon with one project, watched by an unfiltered connection.

use serde_json::{Value, json};

use crate::harness::{Answer, Daemon, Setup, Socket};

pub struct Scene {
    /// Dropped before the daemon, which would wait for this client's last words.
    pub socket: Socket,
    pub daemon: Daemon,
    /// Id of the project.
    pub project: String,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(Setup::new()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let daemon = setup.start().await;
        let mut socket = daemon.listen().await;
        let project = daemon.post("/api/projects", json!({"name": "Demo"})).await;
        let project = id_of(&project.expect(201));
        socket.arrived().await;
        Self {
            socket,
            daemon,
            project,
        }
    }

    /// Posts `fields` with the project's id added, unless they name one.
    pub async fn post(&self, path: &str, mut fields: Value) -> Answer {
        let map = fields.as_object_mut().expect("fields are an object");
        map.entry("projectId").or_insert_with(|| json!(self.project));
        self.daemon.post(path, fields).await
    }

    /// Id of a new task.
    pub async fn task(&self, fields: Value) -> String {
        let mut task = json!({"title": "T"});
        merge(&mut task, fields);
        id_of(&self.post("/api/tasks", task).await.expect(201))
    }

    /// Id of a new session; `working` and without tasks unless said otherwise.
    pub async fn session(&self, fields: Value) -> String {
        let mut session = json!({"taskIds": [], "status": "working"});
        merge(&mut session, fields);
        id_of(&self.post("/api/sessions", session).await.expect(201))
    }

    /// Id of a new custom member.
    pub async fn member(&self, fields: Value) -> String {
        let mut member = json!({"name": "M", "role": "r", "avatar": "m"});
        merge(&mut member, fields);
        id_of(&self.post("/api/team-members", member).await.expect(201))
    }

    /// Sends a mail of type `query`.
    pub async fn mail(&self, fields: Value) -> Answer {
        let mut mail = json!({"type": "query", "subject": "?"});
        merge(&mut mail, fields);
        self.post("/api/mail", mail).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.daemon.get(path).await.expect(200)
    }

    pub async fn patch(&self, path: &str, body: Value) -> Value {
        self.daemon.patch(path, body).await.expect(200)
    }

    pub async fn inbox(&self, session: &str) -> Vec<Value> {
        let path = format!("/api/mail/inbox/{session}?projectId={}", self.project);
        self.get(&path).await.as_array().expect("a list").clone()
    }

    /// Names of the events since the last look.
    pub async fn events(&mut self) -> Vec<String> {
        self.socket.arrived_names().await
    }
}

pub fn id_of(entity: &Value) -> String {
    entity["id"].as_str().expect("it has an id").to_owned()
}

/// The error form A.
pub fn form_a(status: u16, code: &str, message: &str) -> Value {
    json!({"error": true, "statusCode": status, "code": code, "message": message})
}

/// Timeline types of a session, in order.
pub fn timeline_types(session: &Value) -> Vec<&str> {
    let entries = session["timeline"].as_array().expect("a timeline");
    entries
        .iter()
        .filter_map(|entry| entry["type"].as_str())
        .collect()
}

fn merge(into: &mut Value, fields: Value) {
    let into = into.as_object_mut().expect("an object");
    let Value::Object(fields) = fields else {
        panic!("fields are an object")
    };
    into.extend(fields);
}
