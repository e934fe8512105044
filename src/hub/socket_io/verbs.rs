//! What phones can ask for: parse, check the scope with the device as it is now, ask the application. No rules here.

mod asking;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

use std::sync::Arc;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::access::{AuditError, Denied};
use crate::app::{AppError, SpawnError};
use crate::domain::{self, ProjectId, Scope, SessionId};
use crate::hub::{
    Hub,
    deed::{About, Deed},
    error,
    phone::refusal::Refused,
};

use super::{Shared, lists, peer::Peer, sync};

use self::asking::Asking;

pub use asking::reached;

/// Longest request id, in bytes.
const ID: usize = 128;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `mail:send`
    Mail,
    /// `session:reply-input`
    Reply,
    /// `session:prompt`
    Prompt,
    /// `session:spawn`
    Spawn,
    /// `session:subscribe`
    Subscribe,
    /// `session:timeline`
    Timeline,
    /// `agents:list`
    Agents,
    /// `team:list`
    Team,
    /// `mail:thread`
    Thread,
    /// `state:sync`
    Sync,
    /// `focus`
    Focus,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Mail,
        Self::Reply,
        Self::Prompt,
        Self::Spawn,
        Self::Subscribe,
        Self::Timeline,
        Self::Agents,
        Self::Team,
        Self::Thread,
        Self::Sync,
        Self::Focus,
    ];

    /// The one of this name.
    pub fn called(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail:send",
            Self::Reply => "session:reply-input",
            Self::Prompt => "session:prompt",
            Self::Spawn => "session:spawn",
            Self::Subscribe => "session:subscribe",
            Self::Timeline => "session:timeline",
            Self::Agents => "agents:list",
            Self::Team => "team:list",
            Self::Thread => "mail:thread",
            Self::Sync => "state:sync",
            Self::Focus => "focus",
        }
    }
}

/// Why something asked for is not done.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// How things stand instead, if that helps: an object.
    pub facts: Value,
}

impl Refusal {
    /// With this code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            facts: Value::Null,
        }
    }

    /// The request itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid", message)
    }

    /// The device lacks a scope.
    pub fn scope(scope: Scope) -> Self {
        Self::new(
            "scope",
            format!("this device may not do that: it lacks the scope {scope}"),
        )
    }

    fn unknown(what: &str, id: &str) -> Self {
        Self::new("not_found", format!("{what} with id '{id}' not found"))
    }

    /// The acknowledgement.
    pub fn told(&self) -> Value {
        let told = [
            ("success", false.into()),
            ("error", self.message.as_str().into()),
            ("code", self.code.into()),
        ];
        let mut told = object(told);
        if let Value::Object(facts) = &self.facts {
            told.extend(facts.clone());
        }
        told.into()
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        let (code, message) = error::acknowledged(&error);
        let facts = match &error {
            AppError::Refused(domain::Refusal::TooLate(late)) => error::late_facts(late),
            _ => Value::Null,
        };
        Self { code, message, facts }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let facts = match denied {
            Denied::TooMany { retry_after_s } => json!({"retryAfter": retry_after_s}),
            _ => Value::Null,
        };
        Self {
            facts,
            ..Self::new(denied.code(), denied.to_string())
        }
    }
}

/// What nobody could look up later is not done.
impl From<AuditError> for Refusal {
    fn from(error: AuditError) -> Self {
        Self::new("unavailable", Refused::from(error).message)
    }
}

impl From<SpawnError> for Refusal {
    fn from(error: SpawnError) -> Self {
        let (code, message) = error::spawn_acknowledged(&error);
        Self::new(code, message)
    }
}

/// Does what a phone asks for. The answer is an object.
pub async fn carry_out(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    verb: Verb,
    data: Value,
) -> Result<Value, Refusal> {
    let hub = &shared.hub;
    if !peer.follow(hub.devices()) {
        return Err(Refusal::new("revoked", "this device was revoked"));
    }
    let caller = peer.caller();
    if let Some(device) = caller.device() {
        hub.devices().may_send(&device.id, hub.app().now())?;
    }
    let scope = match verb {
        Verb::Subscribe => return sync::subscribe(hub, peer, sync::listed(data)?),
        Verb::Timeline => return sync::timeline(hub, peer, read(data)?).await,
        Verb::Agents => return lists::agents(hub, &caller, read(data)?),
        Verb::Team => return lists::team(hub, &caller, read(data)?),
        Verb::Thread => return lists::thread(hub, &caller, read(data)?).await,
        Verb::Sync => return sync::state(hub, peer, read(data)?).await,
        Verb::Focus => return focus(hub, peer, read(data)?),
        Verb::Mail => Scope::Mail,
        Verb::Reply => Scope::Answer,
        Verb::Prompt => Scope::Prompt,
        Verb::Spawn => Scope::Spawn,
    };
    let id = match verb {
        // The question has an id, and its first answer wins: that is the application's to decide.
        Verb::Reply => None,
        _ => data.get("requestId").and_then(Value::as_str).map(str::to_owned),
    };
    let deed = caller.device().map(|device| Deed {
        device: device.clone(),
        from: peer.origin(),
        scope,
        request: None,
    });
    let (hub, body, project) = (hub.clone(), data.clone(), peer.project());
    let asking = Asking {
        hub: hub.clone(),
        caller: caller.clone(),
    };
    let sender = asking.sender();
    let work = async move {
        let act = act(asking, verb, data, project);
        match deed {
            Some(deed) => {
                let told = |(about, answer): &Done| {
                    let refused = answer.as_ref().err().map(|refusal| refusal.code.to_owned());
                    (about.clone(), refused)
                };
                deed.on_record(&hub, act, told).await?.1
            }
            None => act.await.1,
        }
    };
    to_its_end(shared, &sender, id, &body, work).await
}

/// What a page shows at this moment.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Focus {
    /// For now nothing follows from which session it is: who looks at one sees all others as well.
    #[serde(rename = "sessionId")]
    _session: Option<SessionId>,
    visible: bool,
}

/// Whether the page can be seen: who sees it is not notified.
fn focus(hub: &Hub, peer: &Peer, focus: Focus) -> Result<Value, Refusal> {
    if let (Some(push), Some(device)) = (hub.push(), peer.device()) {
        peer.looks(focus.visible, || push.watching().look(device));
    }
    Ok(json!({"visible": focus.visible}))
}

type Done = (About, Result<Value, Refusal>);

/// Does something, and says what it was about whatever came of it.
async fn act(asking: Asking, verb: Verb, data: Value, project: Option<ProjectId>) -> Done {
    let mut about = About::default();
    let answer = match verb {
        Verb::Mail => asking.mail(data, project, &mut about).await,
        Verb::Reply => asking.reply(data, &mut about).await,
        Verb::Prompt => asking.prompt(data, &mut about).await,
        Verb::Spawn => asking.spawn(data, &mut about).await,
        Verb::Subscribe
        | Verb::Timeline
        | Verb::Agents
        | Verb::Team
        | Verb::Thread
        | Verb::Sync
        | Verb::Focus => {
            Err(Refusal::new("internal", "this changes nothing")) // never led to
        }
    };
    (about, answer)
}

/// Once under its request id, if it has one; and to its end, even if nobody waits any more.
async fn to_its_end(
    shared: &Shared,
    sender: &str,
    id: Option<String>,
    body: &Value,
    work: impl Future<Output = Result<Value, Refusal>> + Send + 'static,
) -> Result<Value, Refusal> {
    let tasks = shared.hub.sockets();
    let Some(id) = id else {
        let (told, done) = oneshot::channel();
        tasks.spawn("request", move |_| async move {
            let _nobody_waits = told.send(work.await);
        });
        // If nobody told it, the work panicked; the panic hook has logged where and why.
        let broke = |_| Refusal::new("internal", "The hub made a mistake. Its log says more.");
        return done.await.map_err(broke)?;
    };
    check_id(&id)?;
    shared.ledger.once(sender, &id, body, tasks, work).await
}

/// A request id is remembered: it is bounded.
fn check_id(id: &str) -> Result<(), Refusal> {
    match (1..=ID).contains(&id.len()) {
        true => Ok(()),
        false => Err(Refusal::invalid("requestId must be a text of 1 to 128 bytes")),
    }
}

/// Reads a payload, or says which field is wrong and how.
fn read<T: DeserializeOwned>(data: Value) -> Result<T, Refusal> {
    // Without this a list would pass for its fields in the order in which they happen to be declared.
    if !data.is_object() {
        return Err(Refusal::invalid("an object is expected"));
    }
    serde_path_to_error::deserialize(data).map_err(|error| match error.path().iter().next() {
        Some(_) => Refusal::invalid(format!("{}: {}", error.path(), error.inner())),
        None => Refusal::invalid(error.inner().to_string()),
    })
}

/// What an answer is made of.
pub fn object(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
