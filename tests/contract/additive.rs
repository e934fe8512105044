//! What maestro says beyond the recording wherever it occurs: the names and ends of questions (docs/CONTRACT.md). Each is
//! held to its form here and then left out of the comparison; anything else that is new is a difference.

use serde_json::{Map, Value};

/// What is known of questions beside what clients said.
const OF_QUESTIONS: [&str; 3] = ["requestId", "answeredBy", "answeredAt"];

/// `value` as the replaced server would have said it.
///
/// # Panics
/// When an addition has not the form that is promised.
pub fn without_additions(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_additions).collect(),
        Value::Object(fields) => Value::Object(fields_without(fields)),
        plain => plain.clone(),
    }
}

fn fields_without(fields: &Map<String, Value>) -> Map<String, Value> {
    let is_notice = fields
        .get("event")
        .is_some_and(|name| name == "notify:needs_input");
    let each = fields.iter().map(|(key, value)| {
        let mut value = without_additions(value);
        if key == "needsInput" || (is_notice && key == "data") {
            leave_out(&mut value);
        }
        (key.clone(), value)
    });
    each.collect()
}

fn leave_out(question: &mut Value) {
    let Some(question) = question.as_object_mut() else {
        return;
    };
    let request = question.get("requestId").and_then(Value::as_str);
    assert!(
        request.is_some_and(|id| id.starts_with("req_")),
        "a question without a name: {question:?}"
    );
    if let Some(by) = question.get("answeredBy") {
        assert!(by["kind"].is_string() && by["name"].is_string(), "{by}");
        assert!(question["answeredAt"].is_i64(), "{question:?}");
        assert_eq!(
            question["active"], false,
            "answered, and still open: {question:?}"
        );
    }
    for key in OF_QUESTIONS {
        question.remove(key);
    }
}
