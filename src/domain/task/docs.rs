//! The documents of a task are those of its sessions.

use serde_json::{Map, Value};

use crate::domain::{Session, TaskId};

/// A document with the session it comes from: `{…document, sessionId, sessionName}`.
pub type TaskDoc = Map<String, Value>;

/// Documents that `sessions` added for `task` or for none in particular, oldest first.
///
/// Fails if a stored document cannot be read.
pub fn docs_of_task(task: &TaskId, sessions: &[Session]) -> Result<Vec<TaskDoc>, serde_json::Error> {
    let mut found = Vec::new();
    for session in sessions {
        for doc in session.docs.values()? {
            let Value::Object(mut doc) = doc else { continue };
            match doc.get("taskId").and_then(Value::as_str) {
                Some(other) if other != task.as_str() && !other.is_empty() => {}
                _ => {
                    doc.insert("sessionId".into(), session.head.id.as_str().into());
                    doc.insert("sessionName".into(), session.head.name.as_str().into());
                    found.push(doc);
                }
            }
        }
    }
    // Stable: documents of one instant stay in the order of their sessions.
    found.sort_by_key(|doc| doc.get("addedAt").and_then(Value::as_i64));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::samples::session;

    use super::*;

    #[test]
    fn a_task_lists_its_own_documents_and_those_for_no_task_oldest_first() {
        let with = |id: &str, docs: &[Value]| {
            let mut session = session(id, &[]);
            docs.iter().for_each(|doc| session.docs.append(doc).unwrap());
            session
        };
        let one = with(
            "one",
            &[
                json!({"id": "late", "taskId": "t", "addedAt": 30}),
                json!({"id": "foreign", "taskId": "u", "addedAt": 1}),
                json!({"id": "loose", "addedAt": 10}),
            ],
        );
        let two = with("two", &[json!({"id": "null", "taskId": null, "addedAt": 20})]);
        let docs = docs_of_task(&TaskId::parse("t").unwrap(), &[one, two]).unwrap();
        let listed: Vec<_> = docs
            .iter()
            .map(|doc| (doc["id"].as_str().unwrap(), &doc["sessionName"]))
            .collect();
        assert_eq!(
            listed,
            [
                ("loose", &"one".into()),
                ("null", &"two".into()),
                ("late", &"one".into())
            ]
        );
    }
}
