//! What it means for a session that its agent is gone, or back.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::{Change, Event, Loss, Maybe, Millis, Mint, Task};

use super::{Ending, NewEntry, Session};

/// Why the hub itself failed a session, with what is needed to take that back. Gone as soon as anybody sets a status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// `agent_disconnected`.
    pub reason: String,
    /// How we know.
    pub detail: Loss,
    /// When it was noticed.
    pub at: Millis,
    /// The status it had.
    pub former_status: String,
    /// What it had said of tasks that were failed with it, by task id.
    #[serde(default)]
    pub tasks: Map<String, Value>,
}

const REASON: &str = "agent_disconnected";

impl Session {
    /// The session after its agent was found dead; `None` if it expects none, or not any more.
    pub fn lose_agent(
        &self,
        loss: Loss,
        task: impl Fn(&str) -> Option<Arc<Task>>,
        mint: &mut Mint,
    ) -> Option<Change> {
        let status = self.head.status.as_str();
        if !matches!(status, "spawning" | "idle" | "working") {
            return None;
        }
        let now = mint.now();
        let mut next = self.active_at(now);
        let said = self.open_work(&task).into_iter();
        let tasks = said.map(|(task, said)| (task.id.to_string(), said.into()));
        let failure = Failure {
            reason: REASON.to_owned(),
            detail: loss,
            at: now,
            former_status: status.to_owned(),
            tasks: tasks.collect(),
        };
        let mut entry = NewEntry::said("error", loss.said());
        entry.metadata = Maybe::Value(json!({"reason": REASON, "detail": loss, "formerStatus": status}));
        next.note(entry, mint);
        let head = next.head_mut();
        head.status = "failed".to_owned();
        head.completed_at = Some(now);
        head.failure = Maybe::Value(failure);
        let tasks = next.end_open_work(Ending::Failed, task, now);
        let mut events: Vec<Event> = tasks.iter().cloned().map(Event::TaskUpdated).collect();
        events.push(Event::SessionUpdated(next.clone()));
        events.push(Event::NotifySessionFailed(next.clone()));
        Some(Change {
            tasks,
            session: Some(next),
            events,
        })
    }

    /// The session after its agent came back; `None` if it was not given up because of its agent.
    pub fn regain_agent(&self, task: impl Fn(&str) -> Option<Arc<Task>>, mint: &mut Mint) -> Option<Change> {
        let failure = self.head.failure.value()?.clone();
        let now = mint.now();
        let mut next = self.active_at(now);
        let mut entry = NewEntry::said("milestone", "Agent is back");
        entry.metadata =
            Maybe::Value(json!({"reason": "agent_reconnected", "status": failure.former_status}));
        next.note(entry, mint);
        let head = next.head_mut();
        head.failure = Maybe::Absent;
        head.status = failure.former_status;
        let id = self.head.id.as_str();
        let mut tasks = Vec::new();
        for (name, said) in &failure.tasks {
            // Only what our own verdict wrote is taken back.
            let (Some(task), Some(said)) = (task(name), said.as_str()) else {
                continue;
            };
            if task.session_status(id) == Some("failed") {
                let mut task = (*task).clone();
                task.note_session(id.to_owned(), said.to_owned());
                task.updated_at = now;
                tasks.push(Arc::new(task));
            }
        }
        let mut events: Vec<Event> = tasks.iter().cloned().map(Event::TaskUpdated).collect();
        events.push(Event::SessionUpdated(next.clone()));
        Some(Change {
            tasks,
            session: Some(next),
            events,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{
        SessionWish,
        samples::{at, created, mint, task},
    };

    use super::*;

    /// A working session that said `working` about `open` and `completed` about `done`.
    fn at_work() -> (Session, Vec<Arc<Task>>) {
        let tasks = [("open", "working"), ("done", "completed")].map(|(id, said)| {
            let mut task = (*task(id)).clone();
            task.note_session("s".into(), said.into());
            Arc::new(task)
        });
        let session = created("s", &tasks).session.unwrap();
        (session, tasks.to_vec())
    }

    fn among(tasks: &[Arc<Task>]) -> impl Fn(&str) -> Option<Arc<Task>> {
        move |id| tasks.iter().find(|task| task.id.as_str() == id).cloned()
    }

    fn last_entry(session: &Session) -> Value {
        session.timeline.values().unwrap().pop().unwrap()
    }

    #[test]
    fn a_session_whose_agent_died_is_failed_like_any_other_and_says_why() {
        for loss in [Loss::Crashed, Loss::Lost] {
            let (session, tasks) = at_work();
            let change = session.lose_agent(loss, among(&tasks), &mut mint(9)).unwrap();
            assert_eq!(
                change.says(),
                ["task:updated", "session:updated", "notify:session_failed"]
            );
            assert_eq!(change.tasks[0].session_status("s"), Some("failed"));
            let failed = change.session.unwrap();
            assert_eq!(
                (failed.head.status.as_str(), failed.head.completed_at),
                ("failed", Some(at(9)))
            );
            let shown = serde_json::to_value(&failed.head.failure).unwrap();
            assert_eq!(
                shown,
                json!({"reason": "agent_disconnected", "detail": loss, "at": 9, "formerStatus": "working",
                       "tasks": {"open": "working"}})
            );
            let entry = last_entry(&failed);
            assert_eq!(
                (&entry["type"], &entry["metadata"]["reason"]),
                (&"error".into(), &REASON.into())
            );
        }
    }

    #[test]
    fn only_a_session_that_expects_an_agent_can_lose_one() {
        for (status, can) in [
            ("spawning", true),
            ("idle", true),
            ("working", true),
            ("completed", false),
            ("failed", false),
            ("stopped", false),
            ("needs_input", false),
            ("resting", false),
        ] {
            let (mut session, tasks) = at_work();
            session.head_mut().status = status.into();
            let change = session.lose_agent(Loss::Lost, among(&tasks), &mut mint(9));
            assert_eq!(change.is_some(), can, "{status}");
        }
    }

    #[test]
    fn an_agent_that_comes_back_finds_its_session_and_its_tasks_as_it_left_them() {
        let (session, tasks) = at_work();
        assert!(
            session.regain_agent(among(&tasks), &mut mint(8)).is_none(),
            "it was never lost"
        );
        let lost = session
            .lose_agent(Loss::Lost, among(&tasks), &mut mint(9))
            .unwrap();
        let (failed, mut tasks) = (lost.session.unwrap(), lost.tasks);
        let back = failed.regain_agent(among(&tasks), &mut mint(10)).unwrap();
        assert_eq!(back.says(), ["task:updated", "session:updated"]);
        assert_eq!(back.tasks[0].session_status("s"), Some("working"));
        let alive = back.session.unwrap();
        assert_eq!(alive.head.status, "working");
        assert!(alive.head.failure.is_absent() && alive.regain_agent(among(&[]), &mut mint(11)).is_none());
        assert_eq!(last_entry(&alive)["message"], "Agent is back");
        // What somebody said of the task meanwhile stays.
        tasks[0] = {
            let mut task = (*tasks[0]).clone();
            task.note_session("s".into(), "skipped".into());
            Arc::new(task)
        };
        let back = failed.regain_agent(among(&tasks), &mut mint(10)).unwrap();
        assert!(back.tasks.is_empty());
    }

    #[test]
    fn a_status_that_somebody_sets_afterwards_stands() {
        let (session, tasks) = at_work();
        let failed = session
            .lose_agent(Loss::Crashed, among(&tasks), &mut mint(9))
            .unwrap();
        let wish = SessionWish {
            status: Some("stopped".into()),
            ..SessionWish::default()
        };
        let stopped = failed
            .session
            .unwrap()
            .update(wish, among(&tasks), mint(10).id(), at(10));
        let stopped = stopped.session.unwrap();
        assert!(stopped.regain_agent(among(&tasks), &mut mint(11)).is_none());
    }
}
