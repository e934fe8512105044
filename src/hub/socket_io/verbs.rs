//! What phones can ask for: parse, check the scope with the device as it is now, ask the application. No rules here.

mod asking;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::app::{AppError, SpawnError};
use crate::domain::{self, Scope};
use crate::hub::error;

use super::{Shared, peer::Peer, sync};

use self::asking::{Asking, PromptWish, Reply, Spawn};

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
    /// `state:sync`
    Sync,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Mail,
        Self::Reply,
        Self::Prompt,
        Self::Spawn,
        Self::Subscribe,
        Self::Timeline,
        Self::Sync,
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail:send",
            Self::Reply => "session:reply-input",
            Self::Prompt => "session:prompt",
            Self::Spawn => "session:spawn",
            Self::Subscribe => "session:subscribe",
            Self::Timeline => "session:timeline",
            Self::Sync => "state:sync",
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

    fn scope(scope: Scope) -> Self {
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
    if !peer.follow(shared.hub.devices()) {
        return Err(Refusal::new("revoked", "this device was revoked"));
    }
    let asking = Asking {
        hub: shared.hub.clone(),
        caller: peer.caller(),
    };
    let sender = asking.sender();
    match verb {
        Verb::Subscribe => sync::subscribe(&shared.hub, peer, sync::listed(data)?),
        Verb::Timeline => sync::timeline(&shared.hub, peer, read(data)?).await,
        Verb::Sync => sync::state(&shared.hub, peer, read(data)?).await,
        Verb::Mail => {
            let body = data.clone();
            let (id, wish) = asking.mail(data, peer.project())?;
            let key = id.clone();
            once(shared, &sender, id, &body, async move {
                asking.send_mail(wish, key).await
            })
            .await
        }
        Verb::Prompt => {
            let body = data.clone();
            let wish: PromptWish = read(data)?;
            let id = wish.request_id.clone();
            once(
                shared,
                &sender,
                id,
                &body,
                async move { asking.prompt(wish).await },
            )
            .await
        }
        Verb::Spawn => {
            let body = data.clone();
            let wish: Spawn = read(data)?;
            let id = Some(wish.request_id.clone());
            once(
                shared,
                &sender,
                id,
                &body,
                async move { asking.spawn(wish).await },
            )
            .await
        }
        // The question has an id, and its first answer wins: that is the application's to decide.
        Verb::Reply => asking.reply(read::<Reply>(data)?).await,
    }
}

/// Under its request id, if it has one.
async fn once(
    shared: &Shared,
    sender: &str,
    id: Option<String>,
    body: &Value,
    work: impl Future<Output = Result<Value, Refusal>> + Send + 'static,
) -> Result<Value, Refusal> {
    let Some(id) = id else { return work.await };
    check_id(&id)?;
    let tasks = shared.hub.sockets();
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
