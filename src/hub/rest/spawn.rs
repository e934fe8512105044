//! `POST /api/sessions/spawn` (API.md section 8).

use std::borrow::Cow;

use axum::{Extension, extract::State, http::StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::Value;

use crate::app::App;
use crate::domain::{Caller, Session, SessionId, SpawnWish};

use super::super::{
    body::{Body, falsy},
    describe::{does, post},
    reply::{Answer, Render, Wanted},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    let says = does("Starts an agent: a desktop opens its terminal")
        .body::<Spawn>()
        .created::<Announced<'_>>()
        .may(StatusCode::FORBIDDEN, "This agent is not who it says")
        .may(
            StatusCode::NOT_FOUND,
            "There is no such project, task or parent session",
        );
    Routes::new().route("/api/sessions/spawn", post(spawn, says))
}

/// What has a check and a code of its own in the contract is read as any JSON value here and judged there.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["projectId", "taskIds"]))]
struct Spawn {
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    project_id: Option<String>,
    #[schemars(with = "Vec<String>")]
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

async fn spawn(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    wanted: Wanted,
    Body(body): Body<Spawn>,
) -> Answer {
    let spawned = app.spawn_session(&caller, body.into()).await?;
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

impl JsonSchema for Announced<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Spawned".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        /// An agent was asked for.
        #[derive(JsonSchema)]
        #[serde(rename_all = "camelCase")]
        #[allow(dead_code, reason = "only its shape is wanted")]
        struct Written {
            success: bool,
            session_id: SessionId,
            manifest_path: String,
            message: String,
            session: Session,
        }
        Written::json_schema(generator)
    }
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
