//! Compares what the server said with what was recorded, in which generated values are placeholders.
//!
//! A placeholder stands for the same value everywhere, bound where it first appears; absent is not null; the order of
//! keys does not count, the order of list entries does.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

/// What the placeholders stand for so far.
#[derive(Default)]
pub struct Bindings {
    known: BTreeMap<String, String>,
}

impl Bindings {
    pub fn bind(&mut self, placeholder: &str, value: impl Into<String>) {
        self.known.insert(placeholder.to_owned(), value.into());
    }

    /// `text` with every placeholder replaced.
    ///
    /// # Panics
    /// When one has not appeared yet.
    pub fn fill_text(&self, text: &str) -> String {
        pieces(text)
            .map(|piece| match piece {
                Piece::Literal(literal) => literal.to_owned(),
                Piece::Placeholder(name) => self
                    .known
                    .get(name)
                    .unwrap_or_else(|| panic!("{name} has not appeared before \"{text}\""))
                    .clone(),
            })
            .collect()
    }

    /// A recorded request with every placeholder replaced; times become the time of now.
    pub fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text == "<ts>" => Value::from(now_ms()),
            Value::String(text) => Value::from(self.fill_text(text)),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(map) => map
                .iter()
                .map(|(key, item)| (key.clone(), self.fill(item)))
                .collect(),
            plain => plain.clone(),
        }
    }

    /// Every difference between `expected` and `got`, one line each, beginning with the place `at`.
    pub fn differences(&mut self, at: &str, expected: &Value, got: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.compare(at, expected, got, &mut found);
        found
    }

    fn compare(&mut self, at: &str, expected: &Value, got: &Value, found: &mut Vec<String>) {
        match (expected, got) {
            (Value::String(template), _) => {
                if !self.matches_template(template, got) {
                    let meant = self.known_part(template);
                    found.push(format!("{at}: expected {meant}, got {got}"));
                }
            }
            (Value::Array(wanted), Value::Array(items)) => {
                for (index, (wanted, item)) in wanted.iter().zip(items).enumerate() {
                    self.compare(&format!("{at}[{index}]"), wanted, item, found);
                }
                for (index, wanted) in wanted.iter().enumerate().skip(items.len()) {
                    found.push(format!("{at}[{index}]: expected {wanted}, got nothing"));
                }
                for (index, item) in items.iter().enumerate().skip(wanted.len()) {
                    found.push(format!("{at}[{index}]: expected nothing, got {item}"));
                }
            }
            (Value::Object(wanted), Value::Object(fields)) => {
                for (key, wanted) in wanted {
                    match fields.get(key) {
                        Some(field) => self.compare(&format!("{at}.{key}"), wanted, field, found),
                        None => found.push(format!("{at}.{key}: expected {wanted}, but it is absent")),
                    }
                }
                for (key, field) in fields.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
                    found.push(format!("{at}.{key}: expected to be absent, got {field}"));
                }
            }
            _ if expected == got => {}
            _ => found.push(format!("{at}: expected {expected}, got {got}")),
        }
    }

    fn matches_template(&mut self, template: &str, got: &Value) -> bool {
        match (template, got) {
            ("<ts>", _) => is_timestamp(got),
            ("<num>", _) => got.as_f64().is_some_and(|seconds| seconds >= 0.0),
            ("<iso>", Value::String(text)) => is_iso_time(text),
            ("<text>", Value::String(text)) => !text.is_empty(),
            (_, Value::String(text)) => self.matches_text(template, text),
            _ => false,
        }
    }

    /// Walks the template along the text; what is not bound yet takes the longest run of id characters.
    fn matches_text(&mut self, template: &str, text: &str) -> bool {
        let mut rest = text;
        let mut new = Vec::new();
        for piece in pieces(template) {
            let expected = match piece {
                Piece::Literal(literal) => literal,
                Piece::Placeholder(name) => match self.known.get(name) {
                    Some(bound) => bound,
                    None => {
                        let end = rest.find(|c: char| !is_id_char(c)).unwrap_or(rest.len());
                        new.push((name, &rest[..end]));
                        &rest[..end]
                    }
                },
            };
            match rest.strip_prefix(expected) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        let sound = rest.is_empty() && new.iter().all(|(name, value)| self.may_mean(name, value));
        if sound {
            for (name, value) in new {
                self.bind(name, value);
            }
        }
        sound
    }

    /// A generated id has the form of its kind and is nobody else's.
    fn may_mean(&self, name: &str, value: &str) -> bool {
        let kind = name
            .trim_start_matches('<')
            .split(['_', '>'])
            .next()
            .unwrap_or_default();
        let formed = match kind {
            "proj" | "task" | "sess" | "evt" | "doc" | "tm" | "mail" => is_generated_id(kind, value),
            "letters" => !value.is_empty() && value.bytes().all(|b| b.is_ascii_lowercase()),
            _ => !value.is_empty(),
        };
        formed && self.known.values().all(|other| other != value)
    }

    /// The template for a message: what is bound is shown with its value.
    fn known_part(&self, template: &str) -> String {
        let shown: String = pieces(template)
            .map(|piece| match piece {
                Piece::Literal(literal) => literal.to_owned(),
                Piece::Placeholder(name) => match self.known.get(name) {
                    Some(value) => format!("{name}={value}"),
                    None => format!("{name} (new)"),
                },
            })
            .collect();
        format!("\"{shown}\"")
    }
}

enum Piece<'a> {
    Literal(&'a str),
    Placeholder(&'a str),
}

/// The text cut into literal pieces and placeholders such as `<task_1>`. HTML is not mistaken for one: `<b>` is a
/// literal because no placeholder is a single letter.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = match placeholder_at_start(rest) {
            Some(end) => (Piece::Placeholder(&rest[..end]), &rest[end..]),
            None => {
                let end = (1..rest.len())
                    .find(|&i| rest.is_char_boundary(i) && placeholder_at_start(&rest[i..]).is_some())
                    .unwrap_or(rest.len());
                (Piece::Literal(&rest[..end]), &rest[end..])
            }
        };
        rest = after;
        Some(piece)
    })
}

fn placeholder_at_start(text: &str) -> Option<usize> {
    let inner = &text.strip_prefix('<')?[..text.find('>')? - 1];
    let plausible = inner.len() > 1 && inner.chars().all(is_id_char);
    plausible.then_some(inner.len() + 2)
}

fn is_id_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// `<prefix>_<milliseconds>_<random>` with up to nine characters of `[a-z0-9]`.
pub fn is_generated_id(prefix: &str, id: &str) -> bool {
    let parts: Vec<&str> = id.split('_').collect();
    let [kind, millis, random] = parts[..] else {
        return false;
    };
    kind == prefix
        && millis.parse::<u64>().is_ok_and(is_recent)
        && (1..=9).contains(&random.len())
        && random
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn is_timestamp(value: &Value) -> bool {
    value.as_u64().is_some_and(is_recent)
}

/// Within the last day, or as good as now.
fn is_recent(millis: u64) -> bool {
    let now = now_ms();
    (now - 24 * 3600 * 1000..=now + 1000).contains(&millis)
}

/// `2026-02-19T12:34:56.789Z`, all digits where there are digits.
pub fn is_iso_time(text: &str) -> bool {
    const FORM: &str = "dddd-dd-ddTdd:dd:dd.dddZ";
    text.len() == FORM.len()
        && text.chars().zip(FORM.chars()).all(|(c, form)| match form {
            'd' => c.is_ascii_digit(),
            literal => c == literal,
        })
}

fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    u64::try_from(since.as_millis()).expect("milliseconds fit")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(expected: Value, got: Value) -> Vec<String> {
        Bindings::default().differences("body", &expected, &got)
    }

    #[test]
    fn null_is_not_absent_and_more_is_not_equal() {
        assert_eq!(
            differences(json!({"a": null}), json!({})),
            ["body.a: expected null, but it is absent"]
        );
        assert_eq!(
            differences(json!({}), json!({"a": null})),
            ["body.a: expected to be absent, got null"]
        );
        assert_eq!(
            differences(json!([1]), json!([1, 2])),
            ["body[1]: expected nothing, got 2"]
        );
        assert_eq!(differences(json!([1, 2]), json!([2])).len(), 2);
    }

    #[test]
    fn a_placeholder_means_one_value_and_two_placeholders_two() {
        let first = format!("task_{}_abc123xyz", now_ms());
        let second = format!("task_{}_def456uvw", now_ms());
        let mut bindings = Bindings::default();
        assert!(
            bindings
                .differences("", &json!("<task_1>"), &json!(first))
                .is_empty()
        );
        assert!(
            bindings
                .differences("", &json!("<task_1>"), &json!(first))
                .is_empty()
        );
        assert_eq!(
            bindings.differences("", &json!("<task_1>"), &json!(second)).len(),
            1
        );
        assert_eq!(
            bindings.differences("", &json!("<task_2>"), &json!(first)).len(),
            1,
            "already task_1"
        );
        assert!(
            bindings
                .differences("", &json!("/x/<task_2>/y"), &json!(format!("/x/{second}/y")))
                .is_empty()
        );
        assert_eq!(bindings.fill_text("<task_2>?a=<b>"), format!("{second}?a=<b>"));
    }

    #[test]
    fn types_of_generated_values_are_checked() {
        assert_eq!(differences(json!("<ts>"), json!("2026-02-19")).len(), 1);
        assert_eq!(differences(json!("<ts>"), json!(now_ms() as f64 + 0.5)).len(), 1);
        assert_eq!(differences(json!("<iso>"), json!(now_ms())).len(), 1);
        assert!(differences(json!("<iso>"), json!("2026-02-19T12:34:56.789Z")).is_empty());
        assert_eq!(
            differences(json!("<iso>"), json!("2026-02-19T12:34:56Z")).len(),
            1
        );
        assert_eq!(
            differences(json!("<sess_1>"), json!("sess_1_a")).len(),
            1,
            "a time of 1970"
        );
        assert_eq!(differences(json!("<text>"), json!("")).len(), 1);
    }
}
