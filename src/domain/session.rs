//! A session: one run of one agent, with everything it told us. The record is here; the rules are below.

mod agent;
mod answer;
mod create;
mod environment;
mod history;
mod identity;
mod link;
mod prompt;
mod question;
mod update;

use std::{borrow::Cow, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Log, Maybe, Millis, ProjectId, Rendered, SessionId};

pub use agent::Failure;
pub use answer::{Answer, Answerer, AnswererKind, How, InputAnswer, Outcome};
pub use create::{Machine, NewSession};
pub use environment::is_provider_key;
pub use history::{NewDoc, NewEntry};
pub use prompt::{Prompt, PromptMode};
pub use question::{InputState, NeedsInput, Question};
pub use update::{Ending, SessionWish};

/// A session: a small record that changes, and three histories that only grow. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Session {
    /// Everything but the histories.
    pub head: Arc<Rendered<SessionHead>>,
    /// What the agent's hooks reported: `{id, timestamp, type, data?}`.
    pub events: Log,
    /// What happened, for people: `{id, type, timestamp, message?, taskId?, metadata?}`.
    pub timeline: Log,
    /// Documents: `{id, title, filePath, content?, taskId?, addedAt, addedBy}`.
    pub docs: Log,
}

/// The small part of a session, in the contract's shape (API.md section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionHead {
    /// Its name among all sessions; may be chosen by the client.
    pub id: SessionId,
    /// The project it works in.
    pub project_id: ProjectId,
    /// Tasks it works on. Texts: deleted tasks stay, and a client may store anything here.
    #[serde(default)]
    pub task_ids: Vec<String>,
    /// Shown to people.
    pub name: String,
    /// The agent program's own name for it.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub agent_id: Maybe<String>,
    /// Spawn environment, without the providers' keys: those are never stored (quirk 18).
    #[serde(default)]
    pub env: Map<String, Value>,
    /// `spawning idle working completed failed stopped needs_input`, or any other text.
    pub status: String,
    /// When it was made.
    pub started_at: Millis,
    /// When it last changed.
    pub last_activity: Millis,
    /// When it last ended; kept when it works again (quirk 14).
    #[serde(default)]
    pub completed_at: Option<Millis>,
    /// Of the hub's machine.
    pub hostname: String,
    /// `linux`, `darwin`, `win32`: of the hub's machine.
    pub platform: String,
    /// Whatever the client gave.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub metadata: Maybe<Value>,
    /// The session that spawned it.
    #[serde(default)]
    pub parent_session_id: Option<String>,
    /// The question it waits on; as clients sent it, and what the hub knows of it.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub needs_input: Maybe<NeedsInput>,
    /// What people answered to its last questions, oldest first; not in the replaced server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// The one identity it has.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub team_member_id: Maybe<String>,
    /// What that identity looked like at the start.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub team_member_snapshot: Maybe<Snapshot>,
    /// All identities it has.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub team_member_ids: Maybe<Vec<String>>,
    /// What those looked like at the start.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub team_member_snapshots: Maybe<Vec<Snapshot>>,
    /// Why the hub itself failed it; not in the replaced server.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub failure: Maybe<Failure>,
}

/// A team member as it was when a session took on its identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The member's name.
    pub name: String,
    /// The member's picture character.
    pub avatar: String,
    /// The member's role.
    pub role: String,
    /// The member's model.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub model: Maybe<String>,
    /// The member's agent program.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub agent_tool: Maybe<String>,
}

/// What [`Session::write_json`] writes.
impl JsonSchema for Session {
    fn schema_name() -> Cow<'static, str> {
        "Session".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        /// A session, whole. Entries of its histories may have been given by clients, with whatever fields.
        #[derive(JsonSchema)]
        #[allow(dead_code, reason = "only its shape is wanted")]
        struct Whole {
            #[serde(flatten)]
            head: SessionHead,
            /// What the agent's hooks reported: `{id, timestamp, type, data?}`.
            events: Vec<Map<String, Value>>,
            /// What happened, for people: `{id, type, timestamp, message?, taskId?, metadata?}`.
            timeline: Vec<Map<String, Value>>,
            /// Documents: `{id, title, filePath, content?, taskId?, addedAt, addedBy}`.
            docs: Vec<Map<String, Value>>,
        }
        Whole::json_schema(generator)
    }
}

impl Session {
    /// Writes the session as one JSON object in the contract's shape.
    ///
    /// Fails only if a client-given value cannot be written as JSON, which serde_json's own values always can.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let head = self.head.json()?.as_bytes();
        let histories = [&self.events, &self.timeline, &self.docs];
        out.reserve(head.len() + histories.iter().map(|log| log.bytes() + 16).sum::<usize>());
        out.extend_from_slice(&head[..head.len() - 1]); // without its closing brace: the histories go on inside
        for (key, log) in ["events", "timeline", "docs"].into_iter().zip(histories) {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"\":");
            log.write_json(out);
        }
        out.push(b'}');
        Ok(())
    }

    /// The record, to be changed.
    pub fn head_mut(&mut self) -> &mut SessionHead {
        &mut *Arc::make_mut(&mut self.head)
    }
}
