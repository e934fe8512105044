//! How a session comes into being, and what its tasks learn of it.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::{Change, Event, Log, Maybe, Mint, ProjectId, SessionId, Task};

use super::{NewEntry, Session, SessionHead, environment};

/// What a caller says of a new session.
#[derive(Clone, Debug, Default)]
pub struct NewSession {
    /// Chosen by the caller; a new one is made if absent.
    pub id: Option<SessionId>,
    /// What it works on; every one must exist.
    pub task_ids: Vec<String>,
    /// `Unnamed Session` if none is given.
    pub name: Option<String>,
    /// `idle` if none is given; any text (quirk 11).
    pub status: Option<String>,
    /// Variables for the agent; keys are left out.
    pub env: Map<String, Value>,
    /// As given.
    pub agent_id: Maybe<String>,
    /// As given.
    pub metadata: Maybe<Value>,
    /// Who spawned it; not checked.
    pub parent_session_id: Option<String>,
    /// Say nothing (quirk 17).
    pub quiet: bool,
}

/// Where sessions of this hub run.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its name.
    pub hostname: String,
    /// `linux`, `darwin` or `win32`.
    pub platform: String,
}

impl Session {
    /// Makes a session of `project` that works on `tasks`, which are those named in the wish. They learn of it without
    /// a `task:updated`. The change holds the session once more.
    pub fn create(
        wish: NewSession,
        project: ProjectId,
        tasks: &[Arc<Task>],
        machine: &Machine,
        mint: &mut Mint,
    ) -> (Self, Change) {
        let now = mint.now();
        let (task_ids, quiet) = (wish.task_ids.clone(), wish.quiet);
        let mut session = Self {
            head: Arc::new(SessionHead::create(wish, project, machine, mint).into()),
            events: Log::default(),
            timeline: Log::default(),
            docs: Log::default(),
        };
        session.note(NewEntry::said("session_started", "Session created"), mint);
        for task in &task_ids {
            session.note(
                NewEntry::said("task_started", "Started working on task").on(task),
                mint,
            );
        }
        let id = &session.head.id;
        let mut told: Vec<Arc<Task>> = Vec::new();
        for task in tasks {
            if told.iter().all(|known| known.id != task.id) {
                let mut task = (**task).clone();
                task.add_session(id.as_str(), now);
                told.push(Arc::new(task));
            }
        }
        let added = task_ids.into_iter().map(|task| Event::TaskSessionAdded {
            task,
            session: id.clone(),
            project: session.head.project_id.clone(),
        });
        let events = match quiet {
            true => Vec::new(),
            false => [Event::SessionCreated(session.clone())]
                .into_iter()
                .chain(added)
                .collect(),
        };
        let change = Change {
            tasks: told,
            session: Some(session.clone()),
            events,
        };
        (session, change)
    }
}

impl SessionHead {
    fn create(wish: NewSession, project: ProjectId, machine: &Machine, mint: &mut Mint) -> Self {
        Self {
            id: wish.id.unwrap_or_else(|| mint.id()),
            project_id: project,
            task_ids: wish.task_ids,
            name: wish.name.unwrap_or_else(|| "Unnamed Session".to_owned()),
            agent_id: wish.agent_id,
            env: environment::without_keys(wish.env),
            status: wish.status.unwrap_or_else(|| "idle".to_owned()),
            started_at: mint.now(),
            last_activity: mint.now(),
            completed_at: None,
            hostname: machine.hostname.clone(),
            platform: machine.platform.clone(),
            metadata: wish.metadata,
            parent_session_id: wish.parent_session_id,
            needs_input: Maybe::Absent,
            answers: Vec::new(),
            team_member_id: Maybe::Absent,
            team_member_snapshot: Maybe::Absent,
            team_member_ids: Maybe::Absent,
            team_member_snapshots: Maybe::Absent,
            failure: Maybe::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::samples::{created, mint, project, task};

    use super::*;

    fn here() -> Machine {
        Machine {
            hostname: "here".into(),
            platform: "linux".into(),
        }
    }

    #[test]
    fn a_session_is_announced_before_its_tasks_are_and_its_tasks_know_it() {
        let change = created("s", &[task("t"), task("u")]);
        assert_eq!(
            change.says(),
            ["session:created", "task:session_added", "task:session_added"]
        );
        let linked: Vec<_> = change
            .tasks
            .iter()
            .map(|task| (task.id.as_str(), task.session_ids.as_slice()))
            .collect();
        assert_eq!(
            linked,
            [("t", ["s".to_owned()].as_slice()), ("u", &["s".to_owned()])]
        );
        let timeline = change.session.unwrap().timeline.values().unwrap();
        let said: Vec<_> = timeline
            .iter()
            .map(|entry| (&entry["type"], entry.get("taskId")))
            .collect();
        assert_eq!(
            said,
            [
                (&json!("session_started"), None),
                (&json!("task_started"), Some(&json!("t"))),
                (&json!("task_started"), Some(&json!("u")))
            ]
        );
    }

    #[test]
    fn a_task_named_twice_is_announced_twice_and_linked_once() {
        let change = created("s", &[task("t"), task("t")]);
        assert_eq!(
            change.says(),
            ["session:created", "task:session_added", "task:session_added"]
        );
        assert_eq!(change.tasks.len(), 1);
        assert_eq!(change.tasks[0].session_ids, ["s"]);
    }

    #[test]
    fn a_quiet_session_is_made_all_the_same() {
        let wish = NewSession {
            task_ids: vec!["t".into()],
            quiet: true,
            ..NewSession::default()
        };
        let (_, change) = Session::create(wish, project(), &[task("t")], &here(), &mut mint(5));
        assert!(change.says().is_empty());
        let head = &change.session.unwrap().head;
        assert!(head.id.as_str().starts_with("sess_5_"), "{}", head.id);
        assert_eq!(
            (head.name.as_str(), head.status.as_str()),
            ("Unnamed Session", "idle")
        );
        assert_eq!(change.tasks[0].session_ids, [head.id.to_string()]);
    }

    #[test]
    fn a_provider_s_key_is_dropped_before_anything_is_stored_or_said() {
        let env = json!({"OPENAI_API_KEY": "sk-1", "PATH": "/bin"});
        let wish = NewSession {
            env: env.as_object().cloned().unwrap(),
            ..NewSession::default()
        };
        let (_, change) = Session::create(wish, project(), &[], &here(), &mut mint(5));
        let said = format!("{:?}", change);
        assert!(said.contains("/bin") && !said.contains("sk-1"), "{said}");
    }
}
