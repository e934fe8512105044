//! Entries of a session's histories as phones see them: read from what is stored, field by field. What is not named here
//! stays on the machine, above all where a document lies.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::view::cut;

/// An entry of a timeline.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryView {
    #[serde(default, deserialize_with = "plain")]
    id: Value,
    #[serde(default, rename = "type", deserialize_with = "plain")]
    kind: Value,
    #[serde(default, deserialize_with = "plain")]
    timestamp: Value,
    #[serde(default, deserialize_with = "plain")]
    message: Value,
    #[serde(default, deserialize_with = "plain", skip_serializing_if = "Value::is_null")]
    task_id: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Aside>,
}

/// Of what was said beside an entry: what it is about.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", from = "Value")]
struct Aside {
    #[serde(skip_serializing_if = "Value::is_null")]
    doc_id: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    title: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    request_id: Value,
}

impl From<Value> for Aside {
    fn from(said: Value) -> Self {
        let field = |name: &str| scalar(said.get(name).cloned().unwrap_or_default());
        Self {
            doc_id: field("docId"),
            title: field("title"),
            request_id: field("requestId"),
        }
    }
}

/// A document, without its text and its place.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocView {
    #[serde(default, deserialize_with = "plain")]
    id: Value,
    #[serde(default, deserialize_with = "plain")]
    title: Value,
    #[serde(default, deserialize_with = "plain", skip_serializing_if = "Value::is_null")]
    task_id: Value,
    #[serde(default, deserialize_with = "plain")]
    added_at: Value,
    #[serde(default, deserialize_with = "plain")]
    added_by: Value,
}

/// A text (not too long), a number or a truth value; anything else is null. Clients may store whatever they like.
fn scalar(value: Value) -> Value {
    match value {
        Value::String(text) => cut(&text).into(),
        Value::Bool(_) | Value::Number(_) => value,
        Value::Null | Value::Array(_) | Value::Object(_) => Value::Null,
    }
}

fn plain<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Value::deserialize(deserializer).map(scalar)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_says_what_happened_and_not_where() {
        let stored = json!({
            "id": "evt_1", "type": "doc_added", "timestamp": 9, "message": "Doc added: Plan", "taskId": "t",
            "metadata": {"docId": "doc_1", "filePath": "/home/anna/plan.md", "title": "Plan", "env": {"KEY": "secret"}},
            "env": {"KEY": "secret"},
        });
        let view: EntryView = serde_json::from_value(stored).unwrap();
        assert_eq!(
            serde_json::to_value(view).unwrap(),
            json!({
                "id": "evt_1", "type": "doc_added", "timestamp": 9, "message": "Doc added: Plan", "taskId": "t",
                "metadata": {"docId": "doc_1", "title": "Plan"},
            })
        );
    }

    #[test]
    fn whatever_a_client_stored_as_an_entry_can_be_shown() {
        for stored in [
            json!({}),
            json!({"message": {"deep": [1]}, "metadata": "text", "type": 5}),
        ] {
            let view: EntryView = serde_json::from_value(stored).unwrap();
            assert!(!serde_json::to_string(&view).unwrap().contains("deep"));
        }
    }

    #[test]
    fn a_document_is_a_title_not_a_place() {
        let stored = json!({"id": "doc_1", "title": "Plan", "filePath": "/home/anna/plan.md", "content": "x",
                            "addedAt": 9, "addedBy": "s"});
        let view: DocView = serde_json::from_value(stored).unwrap();
        let text = serde_json::to_string(&view).unwrap();
        assert_eq!(text, r#"{"id":"doc_1","title":"Plan","addedAt":9,"addedBy":"s"}"#);
    }
}
