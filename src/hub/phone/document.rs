//! Documents of a session as phones see them: read from what is stored, field by field. Where one lies stays on the
//! machine.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::view::cut;

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

impl DocView {
    /// What may be seen of a stored document; `None` if it is none.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
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
    fn a_document_is_a_title_not_a_place() {
        let stored = json!({"id": "doc_1", "title": "Plan", "filePath": "/home/anna/plan.md", "content": "x",
                            "addedAt": 9, "addedBy": "s"});
        let view: DocView = serde_json::from_value(stored).unwrap();
        let text = serde_json::to_string(&view).unwrap();
        assert_eq!(text, r#"{"id":"doc_1","title":"Plan","addedAt":9,"addedBy":"s"}"#);
    }
}
