//! How a task changes: by a user, who may set nearly everything, or by a session, which may only report on itself.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::{Change, Event, Maybe, Millis, Refusal};

use super::Task;

/// What a caller wants changed, and in whose name.
#[derive(Clone, Debug, Default)]
pub struct TaskWish {
    /// The fields. A session's are dropped, but a blank title is refused all the same.
    pub edit: TaskEdit,
    /// Set if a session speaks (`updateSource: "session"`).
    pub report: Option<TaskReport>,
}

/// Fields a user may set: replaced if given.
#[derive(Clone, Debug, Default)]
pub struct TaskEdit {
    /// Stored untrimmed (quirk 13); must not be blank.
    pub title: Option<String>,
    /// Replaced.
    pub description: Option<String>,
    /// Any text (quirk 11).
    pub status: Option<String>,
    /// Any text (quirk 11).
    pub priority: Option<String>,
    /// Replaced; the sessions are not told.
    pub session_ids: Option<Vec<String>>,
    /// Replaced.
    pub skill_ids: Option<Vec<String>>,
    /// Replaced.
    pub agent_ids: Option<Vec<String>>,
    /// Replaced.
    pub reference_task_ids: Option<Vec<String>>,
    /// Merged key by key.
    pub task_session_statuses: Option<Map<String, Value>>,
    /// Replaced.
    pub pinned: Maybe<bool>,
    /// Replaced.
    pub team_member_id: Maybe<String>,
    /// Replaced.
    pub team_member_ids: Maybe<Vec<String>>,
}

/// What a session says of its work on the task. Without both, only `updatedAt` moves.
#[derive(Clone, Debug, Default)]
pub struct TaskReport {
    /// Which session.
    pub session_id: Option<String>,
    /// `working blocked completed failed skipped`, or any other text.
    pub status: Option<String>,
}

impl TaskWish {
    /// What is wrong with the wish whatever task it is for.
    pub fn check(&self) -> Result<(), Refusal> {
        match &self.edit.title {
            Some(title) if title.trim().is_empty() => Err(Refusal::invalid("Task title cannot be empty")),
            _ => Ok(()),
        }
    }

    /// The session that speaks, if it said who it is.
    pub fn reporter(&self) -> Option<&str> {
        self.report.as_ref()?.session_id.as_deref()
    }
}

impl Task {
    /// The task after `wish`, and what is to be said of it.
    pub fn update(&self, wish: TaskWish, now: Millis) -> Change {
        let mut next = self.clone();
        next.updated_at = now;
        match wish.report {
            None => next.edit(wish.edit, now),
            Some(TaskReport {
                session_id: Some(session),
                status: Some(status),
            }) => next.note_session(session, status),
            Some(_) => {}
        }
        let next = Arc::new(next);
        let mut events = vec![Event::TaskUpdated(next.clone())];
        events.extend(self.notice_of_status(&next));
        events.extend(self.notices_of_sessions(&next));
        Change {
            tasks: vec![next],
            session: None,
            events,
        }
    }

    fn edit(&mut self, edit: TaskEdit, now: Millis) {
        fn replace<T>(field: &mut T, wish: Option<T>) {
            if let Some(value) = wish {
                *field = value;
            }
        }
        if let Some(status) = edit.status {
            // Neither time is ever moved or cleared again (quirk 14).
            match status.as_str() {
                "in_progress" => self.started_at = self.started_at.or(Some(now)),
                "completed" => self.completed_at = self.completed_at.or(Some(now)),
                _ => {}
            }
            self.status = status;
        }
        replace(&mut self.title, edit.title);
        replace(&mut self.description, edit.description);
        replace(&mut self.priority, edit.priority);
        replace(&mut self.session_ids, edit.session_ids);
        replace(&mut self.skill_ids, edit.skill_ids);
        replace(&mut self.agent_ids, edit.agent_ids);
        replace(&mut self.reference_task_ids, edit.reference_task_ids);
        for (session, status) in edit.task_session_statuses.into_iter().flatten() {
            self.note(session, status);
        }
        self.pinned.replace_with(edit.pinned);
        self.team_member_id.replace_with(edit.team_member_id);
        self.team_member_ids.replace_with(edit.team_member_ids);
    }

    /// Writes down what `session` says of its work, or what its end says for it.
    pub(in crate::domain) fn note_session(&mut self, session: String, status: String) {
        self.note(session, Value::String(status));
    }

    fn note(&mut self, session: String, status: Value) {
        if !matches!(self.task_session_statuses, Maybe::Value(_)) {
            self.task_session_statuses = Maybe::Value(Map::new());
        }
        if let Maybe::Value(statuses) = &mut self.task_session_statuses {
            statuses.insert(session, status);
        }
    }

    /// What `session` said last.
    pub fn session_status(&self, session: &str) -> Option<&str> {
        self.task_session_statuses.value()?.get(session)?.as_str()
    }

    fn notice_of_status(&self, next: &Arc<Self>) -> Option<Event> {
        if self.status == next.status {
            return None;
        }
        match next.status.as_str() {
            "completed" => Some(Event::NotifyTaskCompleted(next.clone())),
            "cancelled" => Some(Event::NotifyTaskFailed(next.clone())),
            "blocked" => Some(Event::NotifyTaskBlocked(next.clone())),
            _ => None,
        }
    }

    fn notices_of_sessions(&self, next: &Arc<Self>) -> Vec<Event> {
        let Some(statuses) = next.task_session_statuses.value() else {
            return Vec::new();
        };
        let before = self.task_session_statuses.value();
        let changed = statuses
            .iter()
            .filter(|(session, status)| before.and_then(|before| before.get(*session)) != Some(*status));
        let notice = |(session, status): (&String, &Value)| {
            let (task, session) = (next.clone(), session.clone());
            match status.as_str()? {
                "completed" => Some(Event::NotifyTaskSessionCompleted { task, session }),
                "failed" => Some(Event::NotifyTaskSessionFailed { task, session }),
                _ => None,
            }
        };
        changed.filter_map(notice).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::samples::{at, task};

    use super::*;

    fn status(status: &str) -> TaskWish {
        TaskWish {
            edit: TaskEdit {
                status: Some(status.into()),
                ..TaskEdit::default()
            },
            report: None,
        }
    }

    fn report(session: Option<&str>, status: Option<&str>) -> TaskWish {
        TaskWish {
            edit: TaskEdit {
                status: Some("completed".into()),
                title: Some("dropped".into()),
                ..TaskEdit::default()
            },
            report: Some(TaskReport {
                session_id: session.map(Into::into),
                status: status.map(Into::into),
            }),
        }
    }

    /// Updates `task` and takes the result on.
    fn then(task: &mut Arc<Task>, wish: TaskWish, now: i64) -> Vec<String> {
        let change = task.update(wish, at(now));
        *task = change.tasks[0].clone();
        change.says().into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_task_is_begun_and_finished_once_whatever_happens_later() {
        let mut it = task("t");
        assert_eq!(
            then(&mut it, status("completed"), 10),
            ["task:updated", "notify:task_completed"]
        );
        assert_eq!((it.started_at, it.completed_at), (None, Some(at(10))));
        assert_eq!(then(&mut it, status("in_progress"), 20), ["task:updated"]);
        assert_eq!((it.started_at, it.completed_at), (Some(at(20)), Some(at(10))));
        then(&mut it, status("completed"), 30);
        then(&mut it, status("in_progress"), 40);
        assert_eq!((it.started_at, it.completed_at), (Some(at(20)), Some(at(10))));
        assert_eq!(it.updated_at, at(40));
    }

    #[test]
    fn only_a_change_of_status_is_worth_a_notice_and_only_to_three_of_them() {
        let mut it = task("t");
        for (to, notice) in [
            ("blocked", Some("notify:task_blocked")),
            ("blocked", None),
            ("cancelled", Some("notify:task_failed")),
            ("in_review", None),
            ("archived", None),
            ("anything at all", None),
            ("completed", Some("notify:task_completed")),
            ("completed", None),
        ] {
            let said = then(&mut it, status(to), 1);
            let expected: Vec<&str> = ["task:updated"].into_iter().chain(notice).collect();
            assert_eq!(said, expected, "{to}");
        }
    }

    #[test]
    fn an_empty_wish_moves_the_time_and_says_so() {
        let mut it = task("t");
        let before = it.clone();
        assert_eq!(then(&mut it, TaskWish::default(), 99), ["task:updated"]);
        let expected = Task {
            updated_at: at(99),
            ..(*before).clone()
        };
        assert_eq!(*it, expected);
    }

    #[test]
    fn a_session_may_report_on_itself_and_set_nothing_else() {
        let mut it = task("t");
        assert_eq!(
            then(&mut it, report(Some("s"), Some("working")), 5),
            ["task:updated"]
        );
        assert_eq!(
            then(&mut it, report(Some("s"), Some("completed")), 6),
            ["task:updated", "notify:task_session_completed"]
        );
        assert_eq!(it.session_status("s"), Some("completed"));
        assert_eq!((it.status.as_str(), it.title.as_str()), ("todo", "t"));
        assert_eq!(
            then(&mut it, report(Some("s"), Some("completed")), 7),
            ["task:updated"],
            "no news"
        );
    }

    #[test]
    fn a_report_that_lacks_the_session_or_the_status_only_moves_the_time() {
        for wish in [
            report(None, Some("completed")),
            report(Some("s"), None),
            report(None, None),
        ] {
            let mut it = task("t");
            assert_eq!(then(&mut it, wish, 5), ["task:updated"]);
            assert_eq!(
                (&it.task_session_statuses, it.updated_at),
                (&Maybe::Absent, at(5))
            );
        }
    }

    #[test]
    fn notices_follow_the_update_the_task_s_first_then_its_sessions_in_order_of_the_map() {
        let mut it = task("t");
        let mut wish = status("cancelled");
        let statuses = json!({"b": "failed", "c": "working", "a": "completed"});
        wish.edit.task_session_statuses = statuses.as_object().cloned();
        assert_eq!(
            then(&mut it, wish, 5),
            [
                "task:updated",
                "notify:task_failed",
                "notify:task_session_failed",
                "notify:task_session_completed"
            ]
        );
        let mut wish = TaskWish::default();
        wish.edit.task_session_statuses = json!({"c": "completed", "d": "skipped"}).as_object().cloned();
        assert_eq!(
            then(&mut it, wish, 6),
            ["task:updated", "notify:task_session_completed"]
        );
        let merged = json!({"b": "failed", "c": "completed", "a": "completed", "d": "skipped"});
        assert_eq!(serde_json::to_value(&it.task_session_statuses).unwrap(), merged);
    }

    #[test]
    fn a_title_must_not_be_blank_and_is_kept_as_written() {
        let title = |title: &str| TaskWish {
            edit: TaskEdit {
                title: Some(title.into()),
                ..TaskEdit::default()
            },
            report: None,
        };
        assert_eq!(
            title(" ").check(),
            Err(Refusal::invalid("Task title cannot be empty"))
        );
        let mut it = task("t");
        then(&mut it, title("  wide "), 1);
        assert_eq!(it.title, "  wide ");
    }
}
