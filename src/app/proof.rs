//! Agents that prove which session is theirs: the token each was started with, who has shown one lately, and texts that
//! must not show one.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use thiserror::Error;

use crate::domain::{AgentKey, Millis, SessionId};
use crate::ports::View;

use super::App;

/// An agent that has shown its token within this time is called verified, in milliseconds. Agents think for minutes
/// between two requests.
const LATELY: i64 = 60 * 60 * 1000;

/// The token is none of this hub's, or its session is gone.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "this agent's token is not known here: its session was deleted, or belongs to another hub. Start the agent anew \
     with `maestro session spawn`"
)]
pub struct UnknownAgent;

/// When each agent last showed its token. Only sessions that exist are in it, and only since the hub started.
#[derive(Clone, Debug, Default)]
pub(super) struct Proofs(Arc<Mutex<HashMap<SessionId, Millis>>>);

impl Proofs {
    fn note(&self, session: &SessionId, now: Millis) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(session) {
            Some(at) => *at = now,
            None => drop(seen.insert(session.clone(), now)),
        }
    }

    fn since(&self, session: &SessionId, earliest: Millis) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(session).is_some_and(|at| *at >= earliest)
    }

    pub(super) fn forget(&self, session: &SessionId) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.remove(session);
    }
}

impl App {
    /// Whose agent shows this token.
    pub fn agent_of(&self, token: &str) -> Result<SessionId, UnknownAgent> {
        let view = self.view();
        let session = self.facts.agent_key.owner(token, |id| began(&*view, id));
        let session = session.ok_or(UnknownAgent)?;
        self.proofs.note(&session, self.now());
        Ok(session)
    }

    /// True if the session's agent has lately proved that it is its own.
    pub fn is_verified(&self, session: &SessionId) -> bool {
        let earliest = Millis(self.now().0.saturating_sub(LATELY));
        self.proofs.since(session, earliest)
    }

    /// `text` without agents' tokens: a URL of the hub becomes the plain one.
    pub fn without_tokens<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let view = self.view();
        let key: &AgentKey = &self.facts.agent_key;
        key.scrub(text, |id| began(&*view, id))
    }
}

fn began(view: &dyn View, session: &SessionId) -> Option<Millis> {
    Some(view.session_head(session)?.started_at)
}
