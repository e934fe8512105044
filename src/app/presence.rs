//! Agents: who is alive, and what follows for a session when its agent is gone or back.

use std::{collections::HashMap, sync::Arc};

use schemars::JsonSchema;
use serde::Serialize;
use tracing::warn;

use crate::domain::{
    Beat, Loss, Millis, NeedsInput, ProjectId, Rendered, SessionHead, SessionId, Sighting, Task, Verdict,
};
use crate::ports::View;

use super::{App, AppError, apply::carry_out, claim_counts::Ending, known};

/// What the sender of a heartbeat learns.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// Whose agent.
    pub session_id: SessionId,
    /// The session's status as it was just before.
    pub status: String,
    /// False if this hub does not keep heartbeats.
    pub enabled: bool,
    /// What is known of the agent now.
    #[serde(flatten)]
    pub sighting: Option<Sighting>,
}

/// An agent and its session.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// The session's name.
    pub name: String,
    /// The project it works in.
    pub project_id: ProjectId,
    /// The session's status.
    pub status: String,
    /// When the session last changed.
    pub last_activity: Millis,
    /// True if the agent has lately proved that the session is its own.
    pub verified: bool,
    /// What it waits for, if it waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs_input: Option<NeedsInput>,
    /// What is known of the agent.
    #[serde(flatten)]
    pub sighting: Sighting,
}

impl App {
    /// Takes a sign of life of a session's agent.
    pub async fn heartbeat(&self, beat: Beat) -> Result<Heartbeat, AppError> {
        beat.check()?;
        let head = known::session_head(&*self.view(), &beat.session)?;
        let sighting = match &self.presence {
            Some(presence) => Some(presence.beat(beat).await?),
            None => None,
        };
        Ok(Heartbeat {
            session_id: head.id.clone(),
            status: head.status.clone(),
            enabled: self.presence.is_some(),
            sighting,
        })
    }

    /// A session's agent leaves by itself. False if it was not there.
    pub async fn end_heartbeat(&self, id: &SessionId) -> Result<bool, AppError> {
        known::session_head(&*self.view(), id)?;
        match &self.presence {
            Some(presence) => Ok(presence.leave(id).await?),
            None => Ok(false),
        }
    }

    /// What is known of a session's agent.
    pub fn presence(&self, id: &SessionId) -> Option<Sighting> {
        self.presence.as_ref()?.of(id)
    }

    /// Agents that are known, and those that sessions at work should have, in the order of their sessions.
    pub fn agents(&self) -> Vec<Agent> {
        let mut known = self.sightings();
        let heads = self.view().session_heads(None);
        let agents = heads.iter().filter_map(|head| {
            let sighting = known.remove(&head.id);
            let sighting =
                sighting.or_else(|| expects_agent(head).then(|| Sighting::none(head.id.clone())))?;
            Some(Agent {
                name: head.name.clone(),
                project_id: head.project_id.clone(),
                status: head.status.clone(),
                last_activity: head.last_activity,
                verified: self.is_verified(&head.id),
                needs_input: question_of(head),
                sighting,
            })
        });
        agents.collect()
    }

    /// How many known agents there are of each verdict.
    pub fn agent_counts(&self) -> HashMap<Verdict, usize> {
        let mut counts = HashMap::new();
        for sighting in self.sightings().into_values() {
            *counts.entry(sighting.verdict).or_default() += 1;
        }
        counts
    }

    /// How many sessions wait for a person, and since when the one that waits longest.
    pub fn waiting_for_people(&self) -> (usize, Option<Millis>) {
        let heads = self.view().session_heads(None);
        let waiting: Vec<_> = heads.iter().filter_map(|head| question_of(head)).collect();
        let since = waiting
            .iter()
            .filter_map(|question| question.since.value().copied());
        (waiting.len(), since.min())
    }

    fn sightings(&self) -> HashMap<SessionId, Sighting> {
        let all = self.presence.iter().flat_map(|presence| presence.all());
        all.map(|sighting| (sighting.session_id.clone(), sighting))
            .collect()
    }

    /// A session without its histories, if there is one.
    pub fn session_head(&self, id: &SessionId) -> Option<Arc<Rendered<SessionHead>>> {
        self.view().session_head(id)
    }

    /// A session's agent is dead: the session is failed if it expected one, and what it held is free again. False if
    /// nothing was changed.
    pub async fn agent_lost(&self, id: SessionId, loss: Loss) -> Result<bool, AppError> {
        let session = id.clone();
        let changed = self.apply(move |tx| {
            let Some(session) = tx.session(&session)? else {
                return Ok(false);
            };
            let tasks = tasks_named(&*tx, &session.head.task_ids);
            let change = session.lose_agent(loss, |task| tasks.get(task).cloned(), tx.mint());
            let changed = change.is_some();
            carry_out(tx, change.unwrap_or_default());
            Ok(changed)
        });
        let changed = changed.await?;
        // Leases: should this fail they lapse by themselves.
        if let Err(error) = self.release_claims(&id, Ending::Agent).await {
            warn!(session = %id, "claims of a dead agent stay until they lapse: {error}");
        }
        Ok(changed)
    }

    /// A session's agent is back: what its loss did is taken back. False if there was nothing to take back.
    pub async fn agent_returned(&self, id: SessionId) -> Result<bool, AppError> {
        let lost = self
            .session_head(&id)
            .is_some_and(|head| !head.failure.is_absent());
        if !lost {
            return Ok(false);
        }
        self.apply(move |tx| {
            let Some(session) = tx.session(&id)? else {
                return Ok(false);
            };
            let failed = session.head.failure.value().map(|failure| failure.tasks.keys());
            let tasks = tasks_named(&*tx, failed.into_iter().flatten());
            let change = session.regain_agent(|task| tasks.get(task).cloned(), tx.mint());
            let changed = change.is_some();
            carry_out(tx, change.unwrap_or_default());
            Ok(changed)
        })
        .await
    }
}

fn expects_agent(head: &SessionHead) -> bool {
    let at_work = matches!(
        head.status.as_str(),
        "spawning" | "idle" | "working" | "needs_input"
    );
    at_work || head.is_waiting()
}

fn question_of(head: &SessionHead) -> Option<NeedsInput> {
    head.needs_input.value().filter(|_| head.is_waiting()).cloned()
}

/// Those of the tasks that exist.
fn tasks_named<'a>(
    view: &dyn View,
    names: impl IntoIterator<Item = &'a String>,
) -> HashMap<String, Arc<Task>> {
    let found = names.into_iter();
    found
        .filter_map(|name| Some((name.clone(), known::task_named(view, name)?)))
        .collect()
}
