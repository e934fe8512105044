//! What a phone may do to sessions: answer, prompt, start one. Fields that nobody asked for are refused, not ignored: who
//! tries to choose a program, a directory or an environment should hear that he cannot (SECURITY rule 8).

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{StatusCode, header},
    response::Response,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, json};
use tracing::warn;

use crate::domain::{
    Caller, Device, HUMAN, InputAnswer, MemberId, MemberStatus, NewMail, Prompt, PromptMode, RequestId,
    Scope, SessionHead, SpawnWish,
};
use crate::hub::{
    afar,
    body::{self, Texts},
    deed::About,
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
/// How much of the first words for a new agent is their subject, in characters.
const SUBJECT: usize = 120;

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

/// An action's answer, with what it was about for the audit.
pub fn noted(mut answer: Response, about: About) -> Response {
    answer.extensions_mut().insert(about);
    answer
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reply {
    request_id: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    choice: Option<String>,
}

/// Answers a session that waits. The first answer to a question counts; who is late is told who was first.
async fn reply_input(
    State(phone): State<Phone>,
    who: Who,
    Texts(id): Texts<String>,
    Said(said): Said<Reply>,
) -> Answer {
    let head = who.session(&phone, &id)?;
    let request = RequestId::parse(&said.request_id)
        .map_err(|error| Refused::invalid(format!("requestId is invalid: {error}")))?;
    let about = About {
        session: Some(head.id.clone()),
        project: Some(head.project_id.clone()),
        text: Some(match &said.choice {
            Some(choice) => format!("{choice}\n{}", said.text),
            None => said.text.clone(),
        }),
    };
    let answer = InputAnswer {
        session: head.id.clone(),
        request: Some(request),
        text: said.text,
        choice: said.choice,
        key: None, // repetitions are caught by the lock
    };
    let answered = phone.hub.app().answer_input(&who.caller(), answer).await?;
    let told = json!({
        "success": true, "requestId": answered.request, "how": answered.how, "at": answered.at,
    });
    Ok(noted(reply::ok(&told), about))
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
    let content = text(said.content, "content")?;
    let about = About {
        session: Some(head.id.clone()),
        project: Some(head.project_id.clone()),
        text: Some(content.clone()),
    };
    let prompt = Prompt {
        content,
        mode: PromptMode::Send,
        sender_session_id: None,
        sender: None,
    };
    let app = phone.hub.app();
    app.prompt(&who.caller(), head.id.clone(), prompt).await?;
    Ok(noted(reply::ok(&json!({"success": true})), about))
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
    let member = MemberId::parse(&said.team_member_id)
        .ok()
        .and_then(|id| app.member(&task.project_id, &id).ok())
        .filter(|member| member.status == MemberStatus::Active)
        .ok_or_else(|| Refused::missing("team member"))?;
    let first = said.text.filter(|said| !said.is_empty());
    let first = first.map(|said| text(said, "text")).transpose()?;
    // Held until the session is there to be counted.
    let _place = afar::place(&phone.hub)?;
    let mut context = Map::new();
    afar::mark(&mut context, &who.0.id);
    let wish = SpawnWish {
        project_id: task.project_id.to_string(),
        task_ids: Some(vec![task.id.to_string()]),
        spawn_source: Some("ui".to_owned()),
        team_member_ids: vec![member.id.to_string()],
        context: Some(context.into()),
        ..SpawnWish::default()
    };
    let spawned = app.spawn_session(&who.caller(), wish).await?;
    let session = &spawned.session.head;
    let mut told = json!({"success": true, "session": SessionView::of(&spawned.session)});
    if let Some(first) = &first {
        // The session is there whatever becomes of its first mail.
        told["textSent"] = greet(&phone, &who, session, first).await.into();
    }
    let about = About {
        session: Some(session.id.clone()),
        project: Some(session.project_id.clone()),
        text: first,
    };
    Ok(noted(reply::json(StatusCode::CREATED, &told), about))
}

/// What is to be said to a new agent lies in its inbox before it looks there; true if it does. Who may start an agent may
/// say what for, even if it may not write mail otherwise.
async fn greet(phone: &Phone, who: &Who, session: &SessionHead, text: &str) -> bool {
    let mut device = Device::clone(&who.0);
    device.scopes = device.scopes.iter().chain([Scope::Mail]).collect();
    let caller = Caller::Device(Arc::new(device));
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or(text);
    let subject: String = line.trim().chars().take(SUBJECT).collect();
    let wish = json!({
        "projectId": session.project_id, "fromSessionId": HUMAN, "toSessionId": session.id,
        "type": "directive", "subject": subject, "body": {"message": text},
    });
    let sent = match NewMail::read(Some(wish)) {
        Ok(wish) => phone.hub.app().send_mail(&caller, wish, None).await,
        Err(refusal) => Err(refusal.into()),
    };
    if let Err(error) = &sent {
        warn!(session = %session.id, "the first words for a new agent were not sent: {error}");
    }
    sent.is_ok()
}
