//! `POST /api/sessions/spawn` (API.md section 8).

use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use crate::app::App;
use crate::domain::{Session, SpawnWish};

use super::super::{
    body::{Body, falsy},
    reply::{Answer, Render, Wanted},
    routes::{Routes, post},
};

pub(super) fn routes() -> Routes {
    Routes::new().route("/api/sessions/spawn", post(spawn))
}

/// What has a check and a code of its own in the contract is read as any JSON value here and judged there.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spawn {
    #[serde(deserialize_with = "falsy")]
    project_id: Option<String>,
    task_ids: Value,
    #[serde(deserialize_with = "falsy")]
    spawn_source: Option<Value>,
    #[serde(deserialize_with = "falsy")]
    session_id: Option<String>,
    #[serde(deserialize_with = "falsy")]
    mode: Option<Value>,
    #[serde(deserialize_with = "falsy")]
    session_name: Option<String>,
    skills: Value,
    #[serde(deserialize_with = "falsy")]
    team_member_ids: Option<Vec<String>>,
    #[serde(deserialize_with = "falsy")]
    team_member_id: Option<String>,
    #[serde(deserialize_with = "falsy")]
    delegate_team_member_ids: Option<Vec<String>>,
    #[serde(deserialize_with = "falsy")]
    model: Option<String>,
    #[serde(deserialize_with = "falsy")]
    agent_tool: Option<String>,
    #[serde(deserialize_with = "falsy")]
    context: Option<Value>,
}

impl From<Spawn> for SpawnWish {
    fn from(body: Spawn) -> Self {
        /// A text, or for anything else one that is surely none of the known ones.
        fn word(value: Value) -> String {
            match value {
                Value::String(text) => text,
                other => other.to_string(),
            }
        }
        let several = body.team_member_ids.filter(|ids| !ids.is_empty());
        Self {
            project_id: body.project_id.unwrap_or_default(),
            task_ids: serde_json::from_value(body.task_ids).ok(),
            spawn_source: body.spawn_source.map(word),
            session_id: body.session_id,
            mode: body.mode.map(word),
            session_name: body.session_name,
            skills: serde_json::from_value(body.skills).unwrap_or_default(),
            team_member_ids: several.unwrap_or_else(|| body.team_member_id.into_iter().collect()),
            delegate_ids: body.delegate_team_member_ids.unwrap_or_default(),
            model: body.model,
            agent_tool: body.agent_tool,
            context: body.context,
        }
    }
}

async fn spawn(State(app): State<App>, wanted: Wanted, Body(body): Body<Spawn>) -> Answer {
    let spawned = app.spawn_session(body.into()).await?;
    Ok(wanted.created(&Announced {
        session: &spawned.session,
        manifest_path: &spawned.manifest_path,
    }))
}

/// The answer: the session is written by its own hand, because its histories are text already.
struct Announced<'a> {
    session: &'a Session,
    manifest_path: &'a str,
}

impl Render for Announced<'_> {
    fn render(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        out.extend_from_slice(b"{\"success\":true,\"sessionId\":");
        serde_json::to_writer(&mut *out, &self.session.head.id)?;
        out.extend_from_slice(b",\"manifestPath\":");
        serde_json::to_writer(&mut *out, self.manifest_path)?;
        out.extend_from_slice(b",\"message\":\"Spawn request sent to Agent Maestro\",\"session\":");
        self.session.write_json(out)?;
        out.push(b'}');
        Ok(())
    }
}
