//! What a session's histories grow by: events of hooks, entries of the timeline, documents.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::{Change, DocId, EntryId, Event, Log, Maybe, Millis, Mint, SessionId};

use super::{Question, Session};

/// What a caller says for the timeline.
#[derive(Clone, Debug, Default)]
pub struct NewEntry {
    /// `progress`, `needs_input`, … or any other text (quirk 11).
    pub kind: String,
    /// For people.
    pub message: String,
    /// About which task; not checked.
    pub task_id: Maybe<String>,
    /// As given.
    pub metadata: Maybe<Value>,
}

/// What a caller says of a document. The file itself is not read.
#[derive(Clone, Debug, Default)]
pub struct NewDoc {
    /// Shown to people.
    pub title: String,
    /// Where it lies on the machine of the session.
    pub file_path: String,
    /// As given.
    pub content: Maybe<String>,
    /// About which task; not checked.
    pub task_id: Maybe<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: EntryId,
    #[serde(rename = "type")]
    kind: String,
    timestamp: Millis,
    message: String,
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    task_id: Maybe<String>,
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    metadata: Maybe<Value>,
}

#[derive(Serialize)]
struct HookEvent {
    id: EntryId,
    timestamp: Millis,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    data: Maybe<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Doc<'a> {
    id: &'a DocId,
    title: &'a str,
    file_path: &'a str,
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    content: &'a Maybe<String>,
    #[serde(skip_serializing_if = "Maybe::is_absent")]
    task_id: &'a Maybe<String>,
    added_at: Millis,
    added_by: &'a SessionId,
}

impl NewEntry {
    /// An entry of the hub itself.
    pub(super) fn said(kind: &str, message: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            message: message.to_owned(),
            ..Self::default()
        }
    }

    /// The entry, about `task`.
    pub fn on(mut self, task: &str) -> Self {
        self.task_id = Maybe::Value(task.to_owned());
        self
    }
}

impl Session {
    /// The session after a hook reported something.
    pub fn add_event(&self, kind: String, data: Maybe<Value>, mint: &mut Mint) -> Change {
        let mut next = self.active_at(mint.now());
        let event = HookEvent {
            id: mint.id(),
            timestamp: mint.now(),
            kind,
            data,
        };
        append(&mut next.events, &event);
        next.updated()
    }

    /// The session after somebody wrote in its timeline. A question makes it wait for an answer.
    pub fn add_entry(&self, entry: NewEntry, mint: &mut Mint) -> Change {
        let mut next = self.active_at(mint.now());
        if entry.kind == "needs_input" {
            let question = Question {
                active: true,
                message: Maybe::Value(entry.message.clone()),
                since: Maybe::Value(mint.now()),
                extra: Map::new(),
            };
            next.ask(question, mint.id(), mint.now());
        }
        next.note(entry.clone(), mint);
        let mut change = next.clone().updated();
        let NewEntry {
            kind,
            message,
            task_id,
            ..
        } = entry;
        match kind.as_str() {
            "progress" => change.events.push(Event::NotifyProgress {
                session: next,
                task: task_id.into_value(),
                message,
            }),
            "needs_input" => change.events.push(Event::NotifyNeedsInput {
                request: next.head.request_id().cloned(),
                session: next,
                message: Some(message),
            }),
            _ => {}
        }
        change
    }

    /// The session after it showed a document, which its timeline mentions.
    pub fn add_doc(&self, doc: NewDoc, mint: &mut Mint) -> Change {
        let mut next = self.active_at(mint.now());
        let id = mint.id();
        let stored = Doc {
            id: &id,
            title: &doc.title,
            file_path: &doc.file_path,
            content: &doc.content,
            task_id: &doc.task_id,
            added_at: mint.now(),
            added_by: &self.head.id,
        };
        append(&mut next.docs, &stored);
        let mut entry = NewEntry::said("doc_added", &format!("Doc added: {}", doc.title));
        entry.metadata = Maybe::Value(json!({"docId": id, "filePath": doc.file_path, "title": doc.title}));
        entry.task_id = doc.task_id;
        next.note(entry, mint);
        next.updated()
    }

    /// Appends to the timeline.
    pub(super) fn note(&mut self, entry: NewEntry, mint: &mut Mint) {
        let entry = Entry {
            id: mint.id(),
            kind: entry.kind,
            timestamp: mint.now(),
            message: entry.message,
            task_id: entry.task_id,
            metadata: entry.metadata,
        };
        append(&mut self.timeline, &entry);
    }

    /// A copy that was active at `now`.
    pub(super) fn active_at(&self, now: Millis) -> Self {
        let mut next = self.clone();
        next.head_mut().last_activity = now;
        next
    }

    /// The change to this session, with its announcement.
    pub(super) fn updated(self) -> Change {
        Change {
            tasks: Vec::new(),
            events: vec![Event::SessionUpdated(self.clone())],
            session: Some(self),
        }
    }
}

/// Appends what can always be written.
#[allow(clippy::expect_used)]
pub(super) fn append(log: &mut Log, entry: &impl Serialize) {
    // Writing JSON to memory fails only for maps without text keys and for a `Serialize` that says no: an entry is made
    // of texts, integers and values that were JSON before.
    log.append(entry)
        .expect("an entry of texts, integers and JSON values can be written");
}

#[cfg(test)]
mod tests {
    use crate::domain::samples::{at, mint, session};

    use super::*;

    fn entry(kind: &str, message: &str) -> NewEntry {
        NewEntry::said(kind, message)
    }

    fn json_of(change: Change) -> Value {
        let mut text = Vec::new();
        change.session.unwrap().write_json(&mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn progress_is_told_after_the_update_with_the_task_it_is_about() {
        let change = session("s", &[]).add_entry(entry("progress", "half way").on("t"), &mut mint(9));
        assert_eq!(change.says(), ["session:updated", "notify:progress"]);
        match &change.events[1] {
            Event::NotifyProgress { task, message, .. } => {
                assert_eq!((task.as_deref(), message.as_str()), (Some("t"), "half way"));
            }
            other => panic!("{other:?}"),
        }
        let json = json_of(change);
        assert_eq!(json["lastActivity"], 9);
        let last = json["timeline"].as_array().unwrap().last().unwrap();
        assert!(last["id"].as_str().unwrap().starts_with("evt_9_"), "{last}");
        assert_eq!(
            (&last["taskId"], &last["timestamp"], last.get("metadata")),
            (&"t".into(), &9.into(), None)
        );
    }

    #[test]
    fn every_question_is_told_even_while_one_is_open() {
        let mut it = session("s", &[]);
        for (question, now) in [("which one?", 9), ("still?", 10)] {
            let change = it.add_entry(entry("needs_input", question), &mut mint(now));
            assert_eq!(change.says(), ["session:updated", "notify:needs_input"]);
            it = change.session.unwrap();
            let needs = it.head.needs_input.value().unwrap();
            assert!(needs.active);
            assert_eq!(
                (needs.message.value().unwrap().as_str(), needs.since.value()),
                (question, Some(&at(now)))
            );
        }
    }

    #[test]
    fn an_entry_of_any_other_kind_only_updates_the_session() {
        for kind in ["milestone", "task_status_changed", "whatever"] {
            let change = session("s", &[]).add_entry(entry(kind, "m"), &mut mint(9));
            assert_eq!(change.says(), ["session:updated"], "{kind}");
            assert!(change.session.unwrap().head.needs_input.is_absent());
        }
    }

    #[test]
    fn a_null_that_a_client_sent_stays_a_null_and_what_it_left_out_stays_out() {
        let mut wish = entry("note", "m");
        wish.task_id = Maybe::Null;
        wish.metadata = Maybe::Null;
        let json = json_of(session("s", &[]).add_entry(wish, &mut mint(9)));
        let last = json["timeline"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (last.get("taskId"), last.get("metadata")),
            (Some(&Value::Null), Some(&Value::Null))
        );
    }

    #[test]
    fn a_document_is_listed_and_mentioned_in_the_timeline() {
        let doc = NewDoc {
            title: "Plan".into(),
            file_path: "/p.md".into(),
            content: Maybe::Value("# Plan".into()),
            task_id: Maybe::Value("t".into()),
        };
        let change = session("s", &[]).add_doc(doc, &mut mint(9));
        assert_eq!(change.says(), ["session:updated"]);
        let json = json_of(change);
        let doc = &json["docs"][0];
        assert!(doc["id"].as_str().unwrap().starts_with("doc_9_"), "{doc}");
        assert_eq!(
            (&doc["addedBy"], &doc["addedAt"], &doc["content"]),
            (&"s".into(), &9.into(), &"# Plan".into())
        );
        let last = json["timeline"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["type"], &last["message"]),
            (&"doc_added".into(), &"Doc added: Plan".into())
        );
        assert_eq!(
            last["metadata"],
            json!({"docId": doc["id"], "filePath": "/p.md", "title": "Plan"})
        );
        assert_eq!(last["taskId"], "t");
    }

    #[test]
    fn a_hook_s_event_is_kept_with_its_data_as_sent() {
        let data = Maybe::Value(json!({"file": "/a.rs"}));
        let change = session("s", &[]).add_event("file_modified".into(), data, &mut mint(9));
        assert_eq!(change.says(), ["session:updated"]);
        let event = json_of(change)["events"][0].clone();
        assert_eq!(
            (&event["type"], &event["data"]["file"]),
            (&"file_modified".into(), &"/a.rs".into())
        );
    }

    #[test]
    fn the_thousandth_entry_leaves_only_itself_to_be_stored() {
        let mut it = session("s", &[]);
        for n in 0..1000 {
            let change = it.add_entry(entry("progress", &n.to_string()), &mut mint(n));
            it = change.session.unwrap();
            assert_eq!(it.timeline.unsaved().len(), 1);
            it.timeline.mark_saved();
        }
        assert_eq!(it.timeline.len(), 1001);
    }
}
