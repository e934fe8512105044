//! What a client knows of the hub from what it was told: it must end up knowing what is so.

use std::collections::BTreeMap;

use serde_json::Value;

/// Tasks and sessions as a client believes them to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Titles, by id.
    pub tasks: BTreeMap<String, String>,
    /// Status and length of the timeline, by id.
    pub sessions: BTreeMap<String, (String, u64)>,
}

impl State {
    /// From lists of records, in the contract's or in the phone's shape.
    pub fn of(tasks: &Value, sessions: &Value) -> Self {
        let mut state = Self::default();
        for task in tasks.as_array().into_iter().flatten() {
            state.task(task);
        }
        for session in sessions.as_array().into_iter().flatten() {
            state.session(session);
        }
        state
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &str, data: &Value) {
        let id = || data["id"].as_str().unwrap_or_default();
        match event {
            "task:created" | "task:updated" => self.task(data),
            "task:deleted" => drop(self.tasks.remove(id())),
            "session:created" | "session:updated" => match data.get("session") {
                Some(session) => self.session(session),
                None => self.session(data),
            },
            "session:deleted" => drop(self.sessions.remove(id())),
            _ => {}
        }
    }

    fn task(&mut self, task: &Value) {
        let text = |key: &str| task[key].as_str().unwrap_or_default().to_owned();
        self.tasks.insert(text("id"), text("title"));
    }

    fn session(&mut self, session: &Value) {
        let text = |key: &str| session[key].as_str().unwrap_or_default().to_owned();
        let length = match &session["timeline"] {
            Value::Array(entries) => u64::try_from(entries.len()).expect("a length"),
            _ => session["timelineLength"].as_u64().unwrap_or_default(),
        };
        self.sessions.insert(text("id"), (text("status"), length));
    }

    /// How it differs from what is so; `None` if it does not.
    pub fn differs(&self, truth: &Self) -> Option<String> {
        let tasks = self
            .tasks
            .iter()
            .find(|(id, title)| truth.tasks.get(*id) != Some(title));
        let sessions = self
            .sessions
            .iter()
            .find(|(id, told)| truth.sessions.get(*id) != Some(told));
        let task = truth.tasks.keys().find(|id| !self.tasks.contains_key(*id));
        let session = truth.sessions.keys().find(|id| !self.sessions.contains_key(*id));
        if let Some((id, title)) = tasks {
            return Some(format!(
                "{id} is {title:?} there and {:?} here",
                truth.tasks.get(id)
            ));
        }
        if let Some((id, told)) = sessions {
            return Some(format!(
                "{id} is {told:?} there and {:?} here",
                truth.sessions.get(id)
            ));
        }
        task.or(session).map(|id| format!("{id} is not known there"))
    }
}

/// Numbers of the events one connection hears: each once, and upwards.
#[derive(Clone, Debug, Default)]
pub struct Order {
    last: Option<u64>,
}

impl Order {
    /// # Errors
    /// It was heard before, or one is missing where all are told (`whole`).
    pub fn hear(&mut self, seq: u64, whole: bool) -> Result<(), String> {
        match self.last.replace(seq) {
            Some(last) if seq <= last => Err(format!("event {seq} came after {last}")),
            Some(last) if whole && seq != last + 1 => Err(format!("event {seq} came right after {last}")),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_client_that_heard_all_agrees_and_one_that_missed_something_does_not() {
    use serde_json::json;

    let truth = State::of(
        &json!([{"id": "t", "title": "new"}]),
        &json!([{"id": "s", "status": "idle", "timeline": [1, 2]}]),
    );
    let mut told = State::default();
    told.apply("task:created", &json!({"id": "t", "title": "old"}));
    told.apply("task:created", &json!({"id": "u", "title": "gone"}));
    told.apply(
        "session:created",
        &json!({"id": "s", "status": "idle", "timeline": [1]}),
    );
    assert!(told.differs(&truth).is_some());
    told.apply("task:updated", &json!({"id": "t", "title": "new"}));
    told.apply("task:deleted", &json!({"id": "u"}));
    let phone = json!({"session": {"id": "s", "status": "idle", "timelineLength": 2}, "newTimeline": []});
    told.apply("session:updated", &phone);
    assert_eq!(told.differs(&truth), None);
    assert!(State::default().differs(&truth).is_some());

    let mut order = Order::default();
    assert!(order.hear(5, true).is_ok() && order.hear(6, true).is_ok());
    assert!(order.hear(8, false).is_ok());
    assert!(order.hear(8, false).is_err());
    assert!(order.hear(10, true).is_err());
}
