//! What travels: one JSON object per event, on the channel `<prefix>events:<event>`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::{Published, Remote};

/// Longest name of an event that is listened to.
const LONGEST_NAME: usize = 128;

/// An event that arrives. Only `data` is needed: other programs may publish too.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'a> {
    /// Which run of which hub.
    #[serde(default)]
    pub source_id: Option<String>,
    /// Numbers are counted within it.
    #[serde(default)]
    pub epoch: Option<String>,
    /// The event's number at its hub.
    #[serde(default)]
    pub seq: Option<u64>,
    /// Number of the event that this hub published before this one; 0 if none. Numbers may be left out: a hub does not
    /// publish what it heard itself.
    #[serde(default)]
    pub prev: Option<u64>,
    /// Its name; else what the channel says.
    #[serde(default)]
    pub event: Option<String>,
    /// The payload.
    #[serde(borrow)]
    pub data: &'a RawValue,
    /// By the raw protocol's filtering rule.
    #[serde(default)]
    pub session_id: Option<String>,
    /// Its project.
    #[serde(default)]
    pub project_id: Option<String>,
}

/// All of an event that leaves but its payload, which may be large and is written behind it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    source_id: &'a str, // first: see `beginning`
    epoch: &'a str,
    seq: u64,
    prev: u64,
    event: &'a str,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<&'a str>,
}

/// Writes an event of ours. Environments do not travel. `None` if it cannot be written, which no record of ours can
/// lead to.
pub(super) fn write(event: &Published, prev: u64, source: &str, epoch: &str) -> Option<Vec<u8>> {
    let head = Head {
        source_id: source,
        epoch,
        seq: event.seq,
        prev,
        event: event.event.name(),
        timestamp: event.at.0,
        session_id: event.event.filter_id(),
        project_id: event.event.project(),
    };
    let mut text = serde_json::to_vec(&head).ok()?;
    text.pop(); // the brace: one more key comes
    text.extend_from_slice(b",\"data\":");
    event.event.without_env().append_data(&mut text);
    text.push(b'}');
    Some(text)
}

/// What everything begins with that this source writes: its echo is known by that, without reading all of it.
pub(super) fn beginning(source: &str) -> Vec<u8> {
    let source = serde_json::Value::from(source);
    format!("{{\"sourceId\":{source},").into_bytes()
}

/// The envelope in `payload`, if there is one.
pub(super) fn read(payload: &[u8]) -> Option<Envelope<'_>> {
    serde_json::from_slice(payload).ok()
}

impl Envelope<'_> {
    /// The event for our clients; `None` if its name is none.
    pub fn into_remote(self, from_channel: &str) -> Option<Remote> {
        let name = self.event.unwrap_or_else(|| from_channel.to_owned());
        let data = self.data.get();
        Some(Remote {
            session: self.session_id.or_else(|| session_of(&name, data)),
            project: self.project_id.or_else(|| field(data, "projectId")),
            data: Bytes::copy_from_slice(data.as_bytes()),
            // It is written into frames as it is.
            name: is_name(&name).then_some(name)?,
        })
    }
}

/// What a hub says of itself is nobody else's to say.
const OWN: &str = "hub:";

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-' | '.');
    !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(plain) && !text.starts_with(OWN)
}

/// EVENTS.md section 3, for those who do not say it themselves.
fn session_of(name: &str, data: &str) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Hints {
        session_id: Option<serde_json::Value>,
        id: Option<serde_json::Value>,
        status: Option<serde_json::Value>,
        session: Option<serde_json::Value>,
    }
    let nobodys = ["team_member:", "mail:", "project:"];
    if nobodys.iter().any(|begin| name.starts_with(begin)) {
        return None;
    }
    let hints: Hints = serde_json::from_str(data).ok()?;
    let text = |value: &serde_json::Value| Some(value.as_str()?.to_owned());
    if let Some(id) = hints
        .session_id
        .as_ref()
        .and_then(text)
        .filter(|id| !id.is_empty())
    {
        return Some(id);
    }
    if hints.status.is_some_and(|status| status.is_string()) && hints.id.is_some() {
        return hints.id.as_ref().and_then(text);
    }
    hints
        .session
        .as_ref()
        .and_then(|session| text(session.get("id")?))
}

fn field(data: &str, name: &str) -> Option<String> {
    let data: serde_json::Value = serde_json::from_str(data).ok()?;
    Some(data.get(name)?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::domain::{Event, Millis};

    use super::*;

    fn remote(channel: &str, envelope: &Value) -> Option<Remote> {
        read(envelope.to_string().as_bytes())?.into_remote(channel)
    }

    #[test]
    fn what_one_hub_writes_another_reads_and_itself_knows_by_its_beginning() {
        let said = Remote {
            name: "task:created".into(),
            data: Bytes::from_static(br#"{"id":"t","text":"}\",\"data\":"}"#),
            session: Some("s".into()),
            project: None,
        };
        let event = Published::new(7, Millis(1_795_782_308_180), Event::Remote(said.into()));
        let text = write(&event, 5, "hub-\"a\"", "e").unwrap();
        assert!(text.starts_with(&beginning("hub-\"a\"")) && !text.starts_with(&beginning("hub-\"a")));
        let heard = read(&text).unwrap();
        assert_eq!(heard.source_id.as_deref(), Some("hub-\"a\""));
        assert_eq!(
            (heard.epoch.as_deref(), heard.seq, heard.prev),
            (Some("e"), Some(7), Some(5))
        );
        let heard = heard.into_remote("another").unwrap();
        assert_eq!((heard.name.as_str(), &heard.data), ("task:created", event.data()));
        assert_eq!(heard.session.as_deref(), event.event.filter_id());
    }

    #[test]
    fn another_program_need_say_no_more_than_the_payload() {
        let heard = remote("task:created", &json!({"data": {"id": "t", "projectId": "p"}})).unwrap();
        assert_eq!(
            (heard.name.as_str(), heard.session, heard.project.as_deref()),
            ("task:created", None, Some("p"))
        );
        assert_eq!(&heard.data[..], br#"{"id":"t","projectId":"p"}"#);
        assert!(remote("task:created", &json!({"event": "task:created"})).is_none());
        assert!(read(b"no json").is_none());
    }

    #[test]
    fn a_name_that_would_break_a_frame_is_not_listened_to() {
        for name in ["", "hub:resync", "a\",\"x\":\"", "a b", &"x".repeat(129)] {
            assert!(remote(name, &json!({"data": 1})).is_none(), "{name}");
        }
    }

    #[test]
    fn whose_session_it_is_follows_from_the_payload_if_nobody_says_so() {
        for (name, data, session) in [
            (
                "x",
                json!({"sessionId": "s", "id": "t", "status": "todo"}),
                Some("s"),
            ),
            (
                "x",
                json!({"sessionId": "", "id": "t", "status": "todo"}),
                Some("t"),
            ),
            (
                "x",
                json!({"id": "t", "status": 1, "session": {"id": "u"}}),
                Some("u"),
            ),
            ("x", json!({"id": "t"}), None),
            ("mail:received", json!({"sessionId": "s"}), None),
            ("x", json!(7), None),
        ] {
            let heard = remote(name, &json!({"data": data})).unwrap();
            assert_eq!(heard.session.as_deref(), session, "{name} {data}");
        }
    }
}
