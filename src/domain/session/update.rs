//! How a session changes, and what its end means for the tasks it worked on.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::{Change, Event, Maybe, Millis, RequestId, Task};

use super::{Question, Session, environment, history::append};

/// What a caller wants changed.
#[derive(Clone, Debug, Default)]
pub struct SessionWish {
    /// Replaced; the tasks are not told.
    pub task_ids: Option<Vec<String>>,
    /// Any text (quirk 11).
    pub status: Option<String>,
    /// Replaced.
    pub agent_id: Maybe<String>,
    /// Merged key by key; keys of providers are left out.
    pub env: Option<Map<String, Value>>,
    /// Appended as given.
    pub events: Option<Vec<Value>>,
    /// Appended as given.
    pub timeline: Option<Vec<Value>>,
    /// Replaced, but for what the hub itself knows of the question.
    pub needs_input: Maybe<Question>,
}

/// The statuses that end a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It did what it was for.
    Completed,
    /// It could not.
    Failed,
    /// It was stopped.
    Stopped,
}

impl Ending {
    /// The ending that `status` means, if it means one.
    pub fn of(status: &str) -> Option<Self> {
        match status {
            "completed" => Some(Self::Completed),
            "failed" => Some(Self::Failed),
            "stopped" => Some(Self::Stopped),
            _ => None,
        }
    }

    /// What is written on tasks whose work the session left open.
    fn of_open_work(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed | Self::Stopped => "failed",
        }
    }
}

impl SessionWish {
    /// True if it names no field at all.
    fn is_empty(&self) -> bool {
        self.task_ids.is_none()
            && self.status.is_none()
            && self.agent_id.is_absent()
            && self.env.is_none()
            && self.events.is_none()
            && self.timeline.is_none()
            && self.needs_input.is_absent()
    }
}

impl Session {
    /// The session after `wish`, its tasks if that ends it, and what is to be said. `task` looks up a task by the text
    /// in `taskIds`, which may name none; `request` is the name of the question it asks, should that be a new one.
    pub fn update(
        &self,
        mut wish: SessionWish,
        task: impl Fn(&str) -> Option<Arc<Task>>,
        request: RequestId,
        now: Millis,
    ) -> Change {
        // A page that closes a terminal cannot undo a completion.
        if self.head.status == "completed" && wish.status.as_deref() == Some("stopped") {
            wish.status = None;
            if wish.is_empty() {
                return Change::default();
            }
        }
        let asked = wish.needs_input.value().cloned();
        let mut next = self.active_at(now);
        next.replace(wish, request, now);
        let tasks = match Ending::of(&next.head.status) {
            Some(ending) if next.head.status != self.head.status => next.end_open_work(ending, task, now),
            _ => Vec::new(),
        };
        let mut events: Vec<Event> = tasks.iter().cloned().map(Event::TaskUpdated).collect();
        events.push(Event::SessionUpdated(next.clone()));
        events.extend(self.notice_of_status(&next));
        events.extend(self.notice_of_question(asked, &next));
        Change {
            tasks,
            session: Some(next),
            events,
        }
    }

    fn replace(&mut self, wish: SessionWish, request: RequestId, now: Millis) {
        for event in wish.events.iter().flatten() {
            append(&mut self.events, event);
        }
        for entry in wish.timeline.iter().flatten() {
            append(&mut self.timeline, entry);
        }
        let head = self.head_mut();
        if let Some(task_ids) = wish.task_ids {
            head.task_ids = task_ids;
        }
        if let Some(status) = wish.status {
            if Ending::of(&status).is_some() {
                head.completed_at = Some(now); // every time (quirk 14)
            }
            head.status = status;
            head.failure = Maybe::Absent;
        }
        if let Some(env) = wish.env {
            head.env.extend(environment::without_keys(env));
        }
        head.agent_id.replace_with(wish.agent_id);
        match wish.needs_input {
            Maybe::Absent => {}
            Maybe::Null => head.needs_input = Maybe::Null,
            Maybe::Value(question) => self.ask(question, request, now),
        }
    }

    /// Tasks on which the session said something that is not final, with what it said.
    pub(super) fn open_work(&self, task: impl Fn(&str) -> Option<Arc<Task>>) -> Vec<(Arc<Task>, String)> {
        let id = self.head.id.as_str();
        let mut open: Vec<(Arc<Task>, String)> = Vec::new();
        for task in self.head.task_ids.iter().filter_map(|id| task(id)) {
            let said = task.session_status(id).unwrap_or("skipped").to_owned();
            let is_open = !matches!(said.as_str(), "completed" | "failed" | "skipped");
            if is_open && open.iter().all(|(other, _)| other.id != task.id) {
                open.push((task, said));
            }
        }
        open
    }

    /// Tasks on which the session said something that is not final: its end decides.
    pub(super) fn end_open_work(
        &self,
        ending: Ending,
        task: impl Fn(&str) -> Option<Arc<Task>>,
        now: Millis,
    ) -> Vec<Arc<Task>> {
        let id = self.head.id.as_str();
        let ended = self.open_work(task).into_iter().map(|(task, _)| {
            let mut task = (*task).clone();
            task.note_session(id.to_owned(), ending.of_open_work().to_owned());
            task.updated_at = now;
            Arc::new(task)
        });
        ended.collect()
    }

    fn notice_of_status(&self, next: &Self) -> Option<Event> {
        if self.head.status == next.head.status {
            return None;
        }
        match Ending::of(&next.head.status)? {
            Ending::Completed => Some(Event::NotifySessionCompleted(next.clone())),
            Ending::Failed => Some(Event::NotifySessionFailed(next.clone())),
            Ending::Stopped => None,
        }
    }

    fn notice_of_question(&self, asked: Option<Question>, next: &Self) -> Option<Event> {
        let waited = self.head.needs_input.value().is_some_and(|needs| needs.active);
        let asked = asked.filter(|asked| asked.active && !waited)?;
        Some(Event::NotifyNeedsInput {
            session: next.clone(),
            message: asked.message.into_value(),
            request: next.head.request_id().cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::RequestKind;
    use crate::domain::samples::{at, created, mint, task};

    use super::*;

    /// A session with tasks on which it has said something.
    fn working_on(said: &[(&str, &str)]) -> (Session, Vec<Arc<Task>>) {
        let tasks: Vec<_> = said.iter().map(|(id, _)| task(id)).collect();
        let change = created("s", &tasks);
        let note = |(task, (_, status)): (&Arc<Task>, &(&str, &str))| {
            let mut task = (**task).clone();
            if !status.is_empty() {
                task.note_session("s".into(), (*status).into());
            }
            Arc::new(task)
        };
        let tasks = change.tasks.iter().zip(said).map(note).collect();
        (change.session.unwrap(), tasks)
    }

    fn change(session: &Session, tasks: &[Arc<Task>], wish: SessionWish, now: i64) -> Change {
        session.update(
            wish,
            |id| tasks.iter().find(|task| task.id.as_str() == id).cloned(),
            mint(now).id(),
            at(now),
        )
    }

    fn status(status: &str) -> SessionWish {
        SessionWish {
            status: Some(status.into()),
            ..SessionWish::default()
        }
    }

    fn asks(active: bool, message: &str) -> SessionWish {
        let needs = json!({"active": active, "message": message, "mood": "curious"});
        SessionWish {
            needs_input: Maybe::Value(serde_json::from_value(needs).unwrap()),
            ..SessionWish::default()
        }
    }

    #[test]
    fn a_session_that_ends_takes_its_open_work_along_tasks_first_notice_last() {
        for (end, left, notice) in [
            ("completed", "completed", Some("notify:session_completed")),
            ("failed", "failed", Some("notify:session_failed")),
            ("stopped", "failed", None),
        ] {
            let (session, tasks) = working_on(&[
                ("open", "working"),
                ("done", "completed"),
                ("lost", "failed"),
                ("left", "skipped"),
                ("stuck", "blocked"),
                ("mute", ""),
            ]);
            let ended = change(&session, &tasks, status(end), 9);
            let expected = ["task:updated", "task:updated", "session:updated"]
                .into_iter()
                .chain(notice);
            assert_eq!(ended.says(), expected.collect::<Vec<_>>(), "{end}");
            let told: Vec<_> = ended
                .tasks
                .iter()
                .map(|task| (task.id.as_str(), task.session_status("s")))
                .collect();
            assert_eq!(told, [("open", Some(left)), ("stuck", Some(left))], "{end}");
            assert!(
                ended
                    .tasks
                    .iter()
                    .all(|task| task.updated_at == at(9) && task.status == "todo")
            );
            assert_eq!(ended.session.unwrap().head.completed_at, Some(at(9)));
        }
    }

    #[test]
    fn a_second_ending_moves_the_time_and_tells_nobody_else() {
        let (session, tasks) = working_on(&[("t", "working")]);
        let once = change(&session, &tasks, status("failed"), 9).session.unwrap();
        let twice = change(&once, &tasks, status("failed"), 10);
        assert_eq!(twice.says(), ["session:updated"]);
        let twice = twice.session.unwrap();
        assert_eq!(twice.head.completed_at, Some(at(10)));
        let again = change(&twice, &tasks, status("working"), 11).session.unwrap();
        assert_eq!(again.head.completed_at, Some(at(10)), "kept while it works again");
    }

    #[test]
    fn stopping_what_is_completed_is_no_change_at_all() {
        let (session, tasks) = working_on(&[("t", "working")]);
        let done = change(&session, &tasks, status("completed"), 9).session.unwrap();
        let stopped = change(&done, &tasks, status("stopped"), 10);
        assert!(stopped.session.is_none() && stopped.says().is_empty() && stopped.tasks.is_empty());
        let mut wish = status("stopped");
        wish.agent_id = Maybe::Value("a1".into());
        let renamed = change(&done, &tasks, wish, 10);
        assert_eq!(renamed.says(), ["session:updated"]);
        let head = &renamed.session.as_ref().unwrap().head;
        assert_eq!(
            (head.status.as_str(), head.completed_at, head.last_activity),
            ("completed", Some(at(9)), at(10))
        );
        assert_eq!(head.agent_id, Maybe::Value("a1".into()));
    }

    #[test]
    fn stopping_what_failed_is_a_change() {
        let (session, tasks) = working_on(&[]);
        let failed = change(&session, &tasks, status("failed"), 9).session.unwrap();
        assert_eq!(
            change(&failed, &tasks, status("stopped"), 10)
                .session
                .unwrap()
                .head
                .status,
            "stopped"
        );
    }

    #[test]
    fn tasks_given_with_the_end_are_those_that_hear_of_it_and_dead_ones_are_passed_over() {
        let (session, mut tasks) = working_on(&[("old", "working")]);
        let mut other = (*task("new")).clone();
        other.note_session("s".into(), "working".into());
        tasks.push(Arc::new(other));
        let mut wish = status("completed");
        wish.task_ids = Some(vec!["dead".into(), "../x".into(), "new".into(), "new".into()]);
        let ended = change(&session, &tasks, wish, 9);
        assert_eq!(
            ended.says(),
            ["task:updated", "session:updated", "notify:session_completed"]
        );
        assert_eq!(ended.tasks[0].id.as_str(), "new");
    }

    #[test]
    fn a_question_is_told_once_until_it_is_answered() {
        let (session, tasks) = working_on(&[]);
        let asked = change(&session, &tasks, asks(true, "which?"), 9);
        assert_eq!(asked.says(), ["session:updated", "notify:needs_input"]);
        match &asked.events[1] {
            Event::NotifyNeedsInput { message, .. } => assert_eq!(message.as_deref(), Some("which?")),
            other => panic!("{other:?}"),
        }
        let asked = asked.session.unwrap();
        let again = change(&asked, &tasks, asks(true, "well?"), 10);
        assert_eq!(again.says(), ["session:updated"]);
        let answered = change(&again.session.unwrap(), &tasks, asks(false, ""), 11);
        assert_eq!(answered.says(), ["session:updated"]);
        let anew = change(&answered.session.unwrap(), &tasks, asks(true, "and now?"), 12);
        assert_eq!(anew.says(), ["session:updated", "notify:needs_input"]);
        let stored = serde_json::to_value(&anew.session.unwrap().head.needs_input).unwrap();
        assert_eq!(
            stored,
            json!({"active": true, "message": "and now?", "mood": "curious", "requestId": mint(12).id::<RequestKind>()})
        );
    }

    #[test]
    fn an_ending_that_asks_is_told_before_its_question() {
        let (session, tasks) = working_on(&[("t", "working")]);
        let mut wish = asks(true, "why?");
        wish.status = Some("failed".into());
        assert_eq!(
            change(&session, &tasks, wish, 9).says(),
            [
                "task:updated",
                "session:updated",
                "notify:session_failed",
                "notify:needs_input"
            ]
        );
    }

    #[test]
    fn the_environment_is_merged_without_keys_and_histories_grow_as_given() {
        let (session, tasks) = working_on(&[]);
        let entry = json!({"id": "evt-17", "type": "needs_input", "timestamp": 17, "message": "m"});
        let wish = SessionWish {
            env: json!({"A": "1", "GEMINI_API_KEY": "k"}).as_object().cloned(),
            timeline: Some(vec![entry.clone()]),
            events: Some(vec![json!({"type": "x"})]),
            ..SessionWish::default()
        };
        let once = change(&session, &tasks, wish, 9);
        assert_eq!(
            once.says(),
            ["session:updated"],
            "a foreign timeline entry is told to nobody"
        );
        let once = once.session.unwrap();
        assert_eq!(once.timeline.values().unwrap().last(), Some(&entry));
        assert_eq!(once.events.values().unwrap(), [json!({"type": "x"})]);
        let wish = SessionWish {
            env: json!({"A": "2", "B": "3"}).as_object().cloned(),
            ..SessionWish::default()
        };
        let twice = change(&once, &tasks, wish, 10).session.unwrap();
        assert_eq!(Value::Object(twice.head.env.clone()), json!({"A": "2", "B": "3"}));
    }

    #[test]
    fn an_empty_wish_is_a_sign_of_life() {
        let (session, tasks) = working_on(&[]);
        let change = change(&session, &tasks, SessionWish::default(), 9);
        assert_eq!(change.says(), ["session:updated"]);
        assert_eq!(change.session.unwrap().head.last_activity, at(9));
    }
}
