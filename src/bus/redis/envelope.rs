//! What travels: one JSON object per event, on the channel `<prefix>events:<event>`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::{Published, Remote};

/// Longest name of an event that is listened to.
const LONGEST_NAME: usize = 128;

/// An event on its way. Only `data` is needed: other programs may publish too.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'a> {
    /// Which run of which hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// Numbers are counted within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    /// The event's number at its hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Number of the event that this hub published before this one; 0 if none. Numbers may be left out: a hub does not
    /// publish what it heard itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<u64>,
    /// Its name; else what the channel says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The payload.
    #[serde(borrow)]
    pub data: &'a RawValue,
    /// When it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<f64>,
    /// By the raw protocol's filtering rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
}

/// Writes an event of ours. Environments do not travel. `None` if it cannot be written, which no record of ours can
/// lead to.
pub(super) fn write(event: &Published, prev: u64, source: &str, epoch: &str) -> Option<Vec<u8>> {
    let bare = event.event.without_env();
    let data = Published::new(event.seq, event.at, bare);
    let envelope = Envelope {
        source_id: Some(source.to_owned()),
        epoch: Some(epoch.to_owned()),
        seq: Some(event.seq),
        prev: Some(prev),
        event: Some(event.event.name().to_owned()),
        data: serde_json::from_slice(data.data()).ok()?,
        // Milliseconds since 1970 are exact in a double for the next 285,000 years.
        timestamp: Some(event.at.0 as f64),
        session_id: event.event.filter_id().map(ToOwned::to_owned),
        project_id: event.event.project().map(ToOwned::to_owned),
    };
    serde_json::to_vec(&envelope).ok()
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

    use super::*;

    fn remote(channel: &str, envelope: &Value) -> Option<Remote> {
        read(envelope.to_string().as_bytes())?.into_remote(channel)
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
