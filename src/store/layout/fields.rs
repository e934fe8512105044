//! A JSON object whose fields are brought into shape one by one: what is missing gets its default, what has the wrong
//! shape is repaired or dropped, so that in the end the record's own reader accepts it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::domain::{Id, Millis};

/// An object under repair.
pub(super) struct Fields {
    map: Map<String, Value>,
}

impl Fields {
    pub(super) fn new(map: Map<String, Value>) -> Self {
        Self { map }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.map.insert(key.into(), value.into());
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key)
    }

    /// The id in the file counts; one that is missing is the file's name.
    pub(super) fn id<K>(&mut self, key: &str, otherwise: &str) -> Result<Id<K>, String> {
        let text = self.map.get(key).and_then(Value::as_str).unwrap_or(otherwise);
        let id = Id::parse(text).map_err(|error| format!("`{key}` is {text:?}, but {error}"))?;
        self.set(key, id.as_str());
        Ok(id)
    }

    /// An id, or null. What cannot be an id refers to nothing.
    pub(super) fn id_or_null<K>(&mut self, key: &str) {
        let id = self.map.get(key).and_then(Value::as_str);
        if id.is_none_or(|text| Id::<K>::parse(text).is_err()) {
            self.set(key, Value::Null);
        }
    }

    /// A text; numbers and the like become one.
    pub(super) fn text(&mut self, key: &str, otherwise: &str) {
        match self.map.get(key) {
            Some(Value::String(_)) => {}
            Some(other @ (Value::Number(_) | Value::Bool(_))) => self.set(key, other.to_string()),
            _ => self.set(key, otherwise),
        }
    }

    /// A text, or null.
    pub(super) fn text_or_null(&mut self, key: &str) {
        if !self.map.get(key).is_some_and(Value::is_string) {
            self.set(key, Value::Null);
        }
    }

    /// One of these words.
    pub(super) fn word(&mut self, key: &str, words: &[&str], otherwise: &str) {
        let word = self.map.get(key).and_then(Value::as_str);
        if !word.is_some_and(|word| words.contains(&word)) {
            self.set(key, otherwise);
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &str) {
        let list = match self.map.get_mut(key) {
            Some(Value::Array(list)) => std::mem::take(list),
            _ => Vec::new(),
        };
        let texts = list.into_iter().filter(Value::is_string).collect::<Vec<_>>();
        self.set(key, texts);
    }

    /// An object.
    pub(super) fn object(&mut self, key: &str) {
        if !self.map.get(key).is_some_and(Value::is_object) {
            self.set(key, Map::new());
        }
    }

    /// A list, taken out.
    pub(super) fn take_list(&mut self, key: &str) -> Vec<Value> {
        match self.take(key) {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        }
    }

    /// An instant.
    pub(super) fn millis(&mut self, key: &str, otherwise: Millis) -> Millis {
        let at = self.map.get(key).and_then(whole).map_or(otherwise, Millis);
        self.set(key, at.0);
        at
    }

    /// An instant, or null.
    pub(super) fn millis_or_null(&mut self, key: &str) {
        let at = self.map.get(key).and_then(whole);
        self.set(key, at);
    }

    /// A field that may be absent or null, and goes if it has another shape.
    pub(super) fn keep_if(&mut self, key: &str, fits: impl Fn(&Value) -> bool) {
        if self
            .map
            .get(key)
            .is_some_and(|value| !value.is_null() && !fits(value))
        {
            self.take(key);
        }
    }

    /// Takes out what the record has no field for, and counts it.
    pub(super) fn drop_unknown(
        &mut self,
        kind: &'static str,
        known: &[&str],
        count: &mut BTreeMap<(&'static str, String), u64>,
    ) {
        self.map.retain(|key, _| {
            let kept = known.contains(&key.as_str());
            if !kept {
                *count.entry((kind, key.clone())).or_default() += 1;
            }
            kept
        });
    }

    pub(super) fn into_record<R: DeserializeOwned>(self) -> Result<R, String> {
        serde_json::from_value(Value::Object(self.map)).map_err(|error| error.to_string())
    }

    pub(super) fn into_map(self) -> Map<String, Value> {
        self.map
    }
}

fn whole(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|float| float as i64))
}

/// The instant in an id such as `task_1700000000000_abc`; 0 if there is none.
pub(super) fn instant_in(id: &str) -> Millis {
    Millis(
        id.split('_')
            .nth(1)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0),
    )
}
