//! Strict reading of a request, field by field: every problem is collected, and what nobody asked for is refused.
//! Only mail is read like this (API.md section 10); everywhere else the contract is permissive.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::domain::{DeviceId, Id, Maybe, Refusal};

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The field; empty for the request as a whole and for unknown fields.
    pub path: &'static str,
    /// For people.
    pub message: String,
}

/// How a field may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
    /// May be null as well.
    Nullable,
}

/// A request being read. Each field is taken out once; what is left at the end was not asked for.
pub(super) struct Form {
    whole: &'static str,
    fields: Map<String, Value>,
    problems: Vec<Problem>,
}

impl Form {
    /// A request body; `None` if there was none. `whole` names this part of the request in a refusal.
    pub(super) fn of_body(whole: &'static str, body: Option<Value>) -> Result<Self, Refusal> {
        match body {
            Some(Value::Object(fields)) => Ok(Self {
                whole,
                fields,
                problems: Vec::new(),
            }),
            other => Err(Refusal::Malformed {
                message: whole,
                details: vec![Problem {
                    path: "",
                    message: format!("expected an object, received {}", kind(other.as_ref())),
                }],
            }),
        }
    }

    /// A query string. A repeated key is a list, and so never what was expected.
    pub(super) fn of_query(whole: &'static str, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut fields = Map::new();
        for (name, text) in pairs {
            let text = Value::String(text);
            let value = match fields.remove(&name) {
                None => text,
                Some(Value::Array(mut list)) => {
                    list.push(text);
                    list.into()
                }
                Some(first) => vec![first, text].into(),
            };
            fields.insert(name, value);
        }
        Self {
            whole,
            fields,
            problems: Vec::new(),
        }
    }

    fn wrong<T>(&mut self, path: &'static str, message: impl Into<String>) -> Option<T> {
        self.problems.push(Problem {
            path,
            message: message.into(),
        });
        None
    }

    /// Takes a field and reads it. `Absent` also stands for "wrong, and said so": [`Form::end`] then refuses.
    fn field<T>(
        &mut self,
        name: &'static str,
        need: Need,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Maybe<T> {
        match self.fields.remove(name) {
            None if need == Need::Required => self.wrong(name, "required, but absent").into(),
            None => Maybe::Absent,
            Some(Value::Null) if need == Need::Nullable => Maybe::Null,
            Some(value) => match read(value) {
                Ok(value) => Maybe::Value(value),
                Err(message) => self.wrong(name, message).into(),
            },
        }
    }

    pub(super) fn id<K>(&mut self, name: &'static str, need: Need) -> Maybe<Id<K>> {
        self.field(name, need, |value| {
            let text = value
                .as_str()
                .ok_or_else(|| format!("expected an id, received {}", kind(Some(&value))))?;
            Id::parse(text).map_err(|error| error.to_string())
        })
    }

    /// One of a closed set of words; `words` are for the message.
    pub(super) fn word<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        need: Need,
        words: &str,
    ) -> Maybe<T> {
        self.field(name, need, |value| {
            // An enum could also be read from an object, which is no word.
            let word = Some(value).filter(Value::is_string);
            word.and_then(|word| serde_json::from_value(word).ok())
                .ok_or_else(|| format!("expected one of: {words}"))
        })
    }

    /// A text of 1 to `most` UTF-16 units: so the clients' language counts.
    pub(super) fn text(&mut self, name: &'static str, need: Need, most: usize) -> Maybe<String> {
        self.field(name, need, |value| match value {
            Value::String(text) if text.is_empty() => Err("must not be empty".into()),
            Value::String(text) if text.len() > most && text.encode_utf16().count() > most => {
                Err(format!("longer than {most} characters"))
            }
            Value::String(text) => Ok(text),
            other => Err(format!("expected a text, received {}", kind(Some(&other)))),
        })
    }

    pub(super) fn object(&mut self, name: &'static str, need: Need) -> Maybe<Map<String, Value>> {
        self.field(name, need, |value| match value {
            Value::Object(map) => Ok(map),
            other => Err(format!("expected an object, received {}", kind(Some(&other)))),
        })
    }

    /// A number written as text, whole or not, rounded down; within `range`.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        need: Need,
        range: std::ops::RangeInclusive<i64>,
    ) -> Maybe<i64> {
        self.field(name, need, |value| {
            let number = value.as_str().and_then(|text| text.parse::<f64>().ok());
            let number = number
                .filter(|number| number.is_finite())
                .ok_or("expected a number")?;
            // Compared before rounding, so that 120000.5 is above 120000. Casting saturates.
            if number < *range.start() as f64 || number > *range.end() as f64 {
                return Err(format!("must lie within {} and {}", range.start(), range.end()));
            }
            Ok(number.floor() as i64)
        })
    }

    /// The end of the form: refuses if anything was wrong or is left over. `value` is `None` only if a required field
    /// was wrong.
    pub(super) fn end<T>(mut self, value: Option<T>) -> Result<T, Refusal> {
        if !self.fields.is_empty() {
            let message = unknown_keys(&self.fields);
            self.wrong::<()>("", message);
        }
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(Refusal::Malformed {
                message: self.whole,
                details: self.problems,
            }),
        }
    }
}

/// Names the unknown keys, within reason: a request may bring thousands of them, each as long as the body allows.
fn unknown_keys(left: &Map<String, Value>) -> String {
    const SHOWN: usize = 10;
    let names: Vec<String> = left
        .keys()
        .take(SHOWN)
        .map(|key| format!("{:?}", key.chars().take(64).collect::<String>()))
        .collect();
    let more = match left.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("unknown keys: {}{more}", names.join(", "))
}

fn kind(value: Option<&Value>) -> &'static str {
    match value {
        None => "nothing",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(_)) => "a text",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    }
}

/// The key under which a sender repeats a sending without sending twice: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SendKey(String);

/// Why a text is no [`SendKey`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct SendKeyError;

impl SendKey {
    /// The key written as `text`.
    pub fn parse(text: &str) -> Result<Self, SendKeyError> {
        match text.len() {
            1..=255 if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Self(text.to_owned())),
            _ => Err(SendKeyError),
        }
    }

    /// The same key among those of one device: devices all write as one sender.
    pub fn of_device(&self, device: &DeviceId) -> Self {
        Self(format!("{device}:{}", self.0))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
