//! A store in a directory, and records to put into it.

use std::{path::Path, sync::Arc};

use maestro::{
    clock::SystemClock,
    domain::{Log, ProjectId, Published, Session, SessionId, Task, TaskId},
    ports::EventBus,
    sqlite::Database,
    store::{CHAPTER, Embedded},
};
use serde_json::json;

struct Nobody;

impl EventBus for Nobody {
    fn publish(&self, _: Vec<Arc<Published>>) {}
}

pub fn open(dir: &Path) -> Embedded {
    let db = Database::open(&dir.join("maestro.db"), &[CHAPTER]).expect("the database opens");
    Embedded::open(db, Arc::new(Nobody), Arc::new(SystemClock)).expect("the records are readable")
}

pub fn session_id(text: &str) -> SessionId {
    SessionId::parse(text).expect("an id")
}

pub fn task_id(text: &str) -> TaskId {
    TaskId::parse(text).expect("an id")
}

pub fn project_id() -> ProjectId {
    ProjectId::parse("proj_1").expect("an id")
}

pub fn task(id: &TaskId) -> Task {
    let record = json!({
        "id": id, "projectId": project_id(), "title": "t", "status": "todo", "priority": "low", "createdAt": 1,
        "updatedAt": 1,
    });
    serde_json::from_value(record).expect("a task")
}

pub fn session(id: &SessionId, task: &TaskId) -> Session {
    let record = json!({
        "id": id, "projectId": project_id(), "taskIds": [task], "name": "s", "status": "working", "startedAt": 1,
        "lastActivity": 1, "hostname": "h", "platform": "linux",
    });
    Session {
        head: Arc::new(serde_json::from_value(record).expect("a session")),
        events: Log::default(),
        timeline: Log::default(),
        docs: Log::default(),
    }
}
