//! What a phone may do to sessions: answer, prompt, start one. Fields that nobody asked for are refused, not ignored: who
//! tries to choose a program, a directory or an environment should hear that he cannot (SECURITY rule 8).

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{StatusCode, header},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use crate::domain::{MemberStatus, Prompt, PromptMode, SpawnWish};
use crate::hub::{
    body::{self, Texts},
    phone::{
        SessionView,
        refusal::{Answer, Refused},
    },
    reply,
    routes::{Routes, post},
};

use super::super::Phone;
use super::who::Who;

/// Longest text for an agent, in bytes.
const TEXT: usize = 32 << 10;

pub(super) fn routes() -> Routes<Phone> {
    Routes::new()
        .route("/api/sessions/{id}/reply-input", post(reply_input))
        .route("/api/sessions/{id}/prompt", post(prompt))
        .route("/api/sessions/spawn", post(spawn))
}

/// A JSON body, read strictly.
pub struct Said<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Phone> for Said<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, phone: &Phone) -> Result<Self, Refused> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let message = "The request body must be sent as application/json";
            return Err(Refused::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "invalid",
                message,
            ));
        }
        // The lock of the route has read it, and knows how long it may be.
        let bytes = Bytes::from_request(request, phone)
            .await
            .map_err(|_| Refused::invalid("The request body could not be read"))?;
        body::parse(&bytes).map(Self).map_err(Refused::of_request)
    }
}

fn text(text: String, what: &str) -> Result<String, Refused> {
    match text.len() {
        0 => Err(Refused::invalid(format!("{what} must not be empty"))),
        1..=TEXT => Ok(text),
        _ => Err(Refused::invalid(format!("{what} is longer than {TEXT} bytes"))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reply {
    #[serde(default)]
    request_id: Option<String>,
    text: String,
}

async fn reply_input(
    State(phone): State<Phone>,
    who: Who,
    Texts(id): Texts<String>,
    Said(said): Said<Reply>,
) -> Answer {
    let head = who.session(&phone, &id)?;
    let _ = (said.request_id, text(said.text, "text")?, head, who.caller());
    Err(Refused::busy("Answers are not taken yet"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    content: String,
}

async fn prompt(
    State(phone): State<Phone>,
    who: Who,
    Texts(id): Texts<String>,
    Said(said): Said<Text>,
) -> Answer {
    let head = who.session(&phone, &id)?;
    let prompt = Prompt {
        content: text(said.content, "content")?,
        mode: PromptMode::Send,
        sender_session_id: None,
    };
    phone.hub.app().prompt(head.id.clone(), prompt).await?;
    Ok(reply::ok(&json!({"success": true})))
}

/// A preset, a task, and what to say to it first.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spawn {
    task_id: String,
    team_member_id: String,
    #[serde(default)]
    text: Option<String>,
}

async fn spawn(State(phone): State<Phone>, who: Who, Said(said): Said<Spawn>) -> Answer {
    let app = phone.hub.app();
    let task = who.task(&phone, &said.task_id)?;
    let member = crate::domain::MemberId::parse(&said.team_member_id)
        .ok()
        .and_then(|id| app.member(&task.project_id, &id).ok())
        .filter(|member| member.status == MemberStatus::Active)
        .ok_or_else(|| Refused::missing("team member"))?;
    let wish = SpawnWish {
        project_id: task.project_id.to_string(),
        task_ids: Some(vec![task.id.to_string()]),
        spawn_source: Some("ui".to_owned()),
        team_member_ids: vec![member.id.to_string()],
        ..SpawnWish::default()
    };
    let spawned = app.spawn_session(wish).await?;
    Ok(reply::json(
        StatusCode::CREATED,
        &json!({"success": true, "session": SessionView::of(&spawned.session)}),
    ))
}
