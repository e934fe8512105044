//! Timelines as phones see them: what is new along with an event, the rest page by page. Never what an agent attached
//! to an entry: that may hold paths.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::Log;

use super::view::cut;

/// Most of a timeline that is sent along with an event, in bytes.
const NEW: usize = 16 << 10;

/// One entry.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryView<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    timestamp: Value,
    #[serde(default, borrow)]
    message: Option<Cow<'a, str>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    task_id: Option<Cow<'a, str>>,
}

/// Some entries, newest first.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entries {
    /// What may be seen of them.
    pub entries: Vec<Value>,
    /// True if older ones did not fit.
    pub truncated: bool,
}

impl Entries {
    /// What this change appended to `timeline`.
    pub fn new_in(timeline: &Log) -> Self {
        Self::fitting(timeline.unsaved().iter().rev().map(|text| &**text), NEW)
    }

    /// The first of `texts` whose views are not longer than `bytes` together; the first always fits. What is no entry
    /// is left out: clients may have stored anything.
    pub fn fitting<'a>(texts: impl Iterator<Item = &'a str>, bytes: usize) -> Self {
        let mut found = Self::default();
        let mut used = 0;
        for text in texts {
            let Some((entry, length)) = view(text) else {
                continue;
            };
            used += length;
            if used > bytes && !found.entries.is_empty() {
                found.truncated = true;
                break;
            }
            found.entries.push(entry);
        }
        found
    }
}

/// What may be seen of an entry, and how long that is as text.
pub fn view(text: &str) -> Option<(Value, usize)> {
    let mut entry: EntryView<'_> = serde_json::from_str(text).ok()?;
    if !entry.timestamp.is_number() {
        entry.timestamp = Value::Null;
    }
    entry.id = cut(&entry.id).to_owned().into();
    entry.kind = cut(&entry.kind).to_owned().into();
    entry.message = entry.message.map(|text| cut(&text).to_owned().into());
    let value = serde_json::to_value(&entry).ok()?;
    let length = value.to_string().len();
    Some((value, length))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(n: usize, message: &str) -> Value {
        json!({"id": format!("evt_{n}"), "type": "progress", "timestamp": n, "message": message,
               "metadata": {"filePath": "/home/me/secret"}})
    }

    #[test]
    fn only_what_was_appended_is_new_and_its_metadata_stays_here() {
        let mut log = Log::default();
        log.append(&entry(1, "old")).unwrap();
        log.mark_saved();
        log.append(&entry(2, "a")).unwrap();
        log.append(&entry(3, "b")).unwrap();
        let new = Entries::new_in(&log);
        assert_eq!(
            serde_json::to_value(&new).unwrap(),
            json!({"entries": [
                {"id": "evt_3", "type": "progress", "timestamp": 3, "message": "b"},
                {"id": "evt_2", "type": "progress", "timestamp": 2, "message": "a"},
            ], "truncated": false})
        );
    }

    #[test]
    fn a_flood_of_entries_is_cut_at_the_old_end_and_says_so() {
        let mut log = Log::default();
        for n in 0..100 {
            log.append(&entry(n, &"x".repeat(1000))).unwrap();
        }
        let new = Entries::new_in(&log);
        assert!(new.truncated);
        assert_eq!(new.entries[0]["id"], "evt_99");
        assert!(serde_json::to_vec(&new).unwrap().len() < NEW + 1000);
    }

    #[test]
    fn one_huge_entry_is_shortened_and_nonsense_is_left_out() {
        let mut log = Log::default();
        log.append(&json!(["no entry"])).unwrap();
        log.append(&entry(1, &"ü".repeat(1 << 20))).unwrap();
        let new = Entries::new_in(&log);
        assert_eq!((new.entries.len(), new.truncated), (1, false));
        assert!(serde_json::to_vec(&new).unwrap().len() < 5000);
    }
}
