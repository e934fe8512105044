//! Records that the domain's stories start from.

use std::sync::Arc;

use super::{
    Change, Device, DeviceId, Machine, Member, MemberStatus, Millis, Mint, NewSession, NewTask, ProjectId,
    Scope, Session, SessionId, Task, TaskId,
};

/// The instant `ms`.
pub fn at(ms: i64) -> Millis {
    Millis(ms)
}

/// A mint at the instant `ms`.
pub fn mint(ms: i64) -> Mint {
    Mint::new(at(ms), 0, 1)
}

/// The project everything here belongs to.
pub fn project() -> ProjectId {
    ProjectId::parse("p").unwrap()
}

/// A task to do whose id and title are `id`, made at 0.
pub fn task(id: &str) -> Arc<Task> {
    let wish = NewTask {
        title: id.into(),
        ..NewTask::default()
    };
    let task = Task::create(wish, project(), None, &mut mint(0));
    Arc::new(Task {
        id: TaskId::parse(id).unwrap(),
        ..task
    })
}

/// A part of another task.
pub fn part(id: &str, of: &str) -> Arc<Task> {
    Arc::new(Task {
        parent_id: Some(TaskId::parse(of).unwrap()),
        ..(*task(id)).clone()
    })
}

/// What making a working session with these tasks leads to, at 0. Its name is its id.
pub fn created(id: &str, tasks: &[Arc<Task>]) -> Change {
    let wish = NewSession {
        id: Some(SessionId::parse(id).unwrap()),
        task_ids: tasks.iter().map(|task| task.id.to_string()).collect(),
        name: Some(id.into()),
        status: Some("working".into()),
        ..NewSession::default()
    };
    let machine = Machine {
        hostname: "here".into(),
        platform: "linux".into(),
    };
    Session::create(wish, project(), tasks, &machine, &mut mint(0)).1
}

/// A working session whose id and name are `id`, made at 0, with its histories stored.
pub fn session(id: &str, tasks: &[Arc<Task>]) -> Session {
    let mut session = created(id, tasks).session.unwrap();
    session.timeline.mark_saved();
    session
}

/// A device whose id and name are `id`, paired at 0, which may do everything.
pub fn device(id: &str) -> Arc<Device> {
    Arc::new(Device {
        id: DeviceId::parse(id).unwrap(),
        name: id.into(),
        scopes: Scope::ALL.into_iter().collect(),
        projects: Vec::new(),
        paired_at: at(0),
        last_seen: at(0),
    })
}

/// A custom member whose id and name are `id`.
pub fn member(id: &str) -> Member {
    serde_json::from_value(serde_json::json!({
        "id": id, "projectId": "p", "name": id, "role": "tester", "avatar": "T", "model": "opus",
        "status": MemberStatus::Active, "createdAt": "", "updatedAt": ""
    }))
    .unwrap()
}
