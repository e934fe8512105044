//! Which session works on which task: written on both, always together.

use std::sync::Arc;

use crate::domain::{Change, Event, Millis, Mint, Task};

use super::{NewEntry, Session};

impl Session {
    /// True if it works on `task`.
    pub fn works_on(&self, task: &str) -> bool {
        self.head.task_ids.iter().any(|id| id == task)
    }

    /// The session and the task know each other. Logged and told even if they did before (quirk 10).
    pub fn link(&self, task: &Task, mint: &mut Mint) -> Change {
        let mut session = self.active_at(mint.now());
        if !self.works_on(task.id.as_str()) {
            session.head_mut().task_ids.push(task.id.to_string());
        }
        session.note(
            NewEntry::said("task_started", "Added task to session").on(task.id.as_str()),
            mint,
        );
        let mut tasks = Vec::new();
        if !task.has_session(self.head.id.as_str()) {
            let mut task = task.clone();
            task.add_session(self.head.id.as_str(), mint.now());
            tasks.push(Arc::new(task));
        }
        let (id, project) = (self.head.id.clone(), self.head.project_id.clone());
        let events = vec![
            Event::SessionTaskAdded {
                session: id.clone(),
                task: task.id.to_string(),
                project: project.clone(),
            },
            Event::TaskSessionAdded {
                task: task.id.to_string(),
                session: id,
                project,
            },
        ];
        Change {
            tasks,
            session: Some(session),
            events,
        }
    }

    /// The session and the task forget each other. The timeline says `task_completed` (quirk 9).
    pub fn unlink(&self, task: &Task, mint: &mut Mint) -> Change {
        let mut session = self.active_at(mint.now());
        session.head_mut().task_ids.retain(|id| id != task.id.as_str());
        session.note(
            NewEntry::said("task_completed", "Removed task from session").on(task.id.as_str()),
            mint,
        );
        let (id, project) = (self.head.id.clone(), self.head.project_id.clone());
        let events = vec![
            Event::SessionTaskRemoved {
                session: id.clone(),
                task: task.id.to_string(),
                project: project.clone(),
            },
            Event::TaskSessionRemoved {
                task: task.id.to_string(),
                session: id,
                project,
            },
        ];
        Change {
            tasks: task
                .without_session(self.head.id.as_str(), mint.now())
                .into_iter()
                .collect(),
            session: Some(session),
            events,
        }
    }

    /// What the end of the record itself changes: its tasks forget it silently and keep what it said (quirk 8).
    pub fn delete(&self, tasks: &[Arc<Task>], now: Millis) -> Change {
        let forget = |task: &Arc<Task>| task.without_session(self.head.id.as_str(), now);
        Change {
            tasks: tasks.iter().filter_map(forget).collect(),
            session: None,
            events: vec![Event::SessionDeleted {
                id: self.head.id.clone(),
                project: self.head.project_id.clone(),
            }],
        }
    }
}

impl Task {
    /// Writes down, once, that `session` works on it.
    pub(super) fn add_session(&mut self, session: &str, now: Millis) {
        self.updated_at = now;
        if !self.has_session(session) {
            self.session_ids.push(session.to_owned());
        }
    }

    /// The task without `session`, if that is a change.
    fn without_session(&self, session: &str, now: Millis) -> Option<Arc<Self>> {
        self.has_session(session).then(|| {
            let mut task = self.clone();
            task.session_ids.retain(|id| id != session);
            task.updated_at = now;
            Arc::new(task)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::domain::samples::{at, created, mint, session, task};

    use super::*;

    fn last_entry(change: &Change) -> Value {
        let timeline = change.session.as_ref().unwrap().timeline.values().unwrap();
        timeline.last().unwrap().clone()
    }

    #[test]
    fn linking_writes_on_both_sides_and_tells_the_session_s_listeners_first() {
        let change = session("s", &[]).link(&task("t"), &mut mint(9));
        assert_eq!(change.says(), ["session:task_added", "task:session_added"]);
        let head = &change.session.as_ref().unwrap().head;
        assert_eq!(
            (head.task_ids.as_slice(), head.last_activity),
            (["t".to_owned()].as_slice(), at(9))
        );
        assert_eq!(
            (change.tasks[0].session_ids.as_slice(), change.tasks[0].updated_at),
            (["s".to_owned()].as_slice(), at(9))
        );
        let entry = last_entry(&change);
        assert_eq!(
            (&entry["type"], &entry["message"]),
            (&json!("task_started"), &json!("Added task to session"))
        );
    }

    #[test]
    fn linking_again_changes_nothing_but_is_logged_and_told() {
        let change = created("s", &[task("t")]);
        let again = change.session.unwrap().link(&change.tasks[0], &mut mint(9));
        assert_eq!(again.says(), ["session:task_added", "task:session_added"]);
        assert!(again.tasks.is_empty());
        assert_eq!(again.session.as_ref().unwrap().head.task_ids, ["t"]);
        assert_eq!(last_entry(&again)["type"], "task_started");
    }

    #[test]
    fn a_link_that_one_side_lost_is_mended() {
        let change = session("s", &[task("t")]).link(&task("t"), &mut mint(9));
        assert_eq!(change.session.unwrap().head.task_ids, ["t"]);
        assert_eq!(change.tasks[0].session_ids, ["s"]);
    }

    #[test]
    fn unlinking_clears_both_sides_and_leaves_task_completed_in_the_timeline() {
        let change = created("s", &[task("t"), task("u")]);
        let unlinked = change.session.unwrap().unlink(&change.tasks[0], &mut mint(9));
        assert_eq!(unlinked.says(), ["session:task_removed", "task:session_removed"]);
        assert_eq!(unlinked.session.as_ref().unwrap().head.task_ids, ["u"]);
        assert!(unlinked.tasks[0].session_ids.is_empty());
        let entry = last_entry(&unlinked);
        assert_eq!(
            (&entry["type"], &entry["taskId"]),
            (&json!("task_completed"), &json!("t"))
        );
    }

    #[test]
    fn unlinking_strangers_is_logged_and_told() {
        let change = session("s", &[]).unlink(&task("t"), &mut mint(9));
        assert_eq!(change.says(), ["session:task_removed", "task:session_removed"]);
        assert!(change.tasks.is_empty());
    }

    #[test]
    fn a_deleted_session_is_forgotten_by_its_tasks_without_a_word_but_not_what_it_said() {
        let change = created("s", &[task("t")]);
        let mut with_status = (*change.tasks[0]).clone();
        with_status.note_session("s".into(), "working".into());
        let deleted = change
            .session
            .unwrap()
            .delete(&[Arc::new(with_status), task("stranger")], at(9));
        assert_eq!(deleted.says(), ["session:deleted"]);
        assert_eq!(deleted.tasks.len(), 1);
        assert!(deleted.tasks[0].session_ids.is_empty());
        assert_eq!(
            (deleted.tasks[0].session_status("s"), deleted.tasks[0].updated_at),
            (Some("working"), at(9))
        );
    }
}
