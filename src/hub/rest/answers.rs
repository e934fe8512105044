//! `/api/sessions/:id/{input,reply-input}`: an agent waits for a person's answer, and a person gives it (PHONE 3.4; not
//! in the replaced server).

use std::time::Duration;

use axum::{Extension, extract::State, http::HeaderMap};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::domain::{Caller, InputAnswer, InputState, RequestId, SessionKind};

use super::super::{
    Hub,
    body::{Body, One, falsy},
    error::RouteError,
    query::{Param, Params},
    reply::{self, Answer, Wanted},
    routes::{Routes, get, post},
};
use super::mail::idempotency_key;

/// How long a wait lasts if the agent does not say, in milliseconds; as for mail.
const PATIENCE_MS: u64 = 30_000;
/// How long it may last, in milliseconds.
const MOST_PATIENCE_MS: u64 = 120_000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/sessions/{id}/input", get(wait))
        .route("/api/sessions/{id}/reply-input", post(reply_input))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Reply {
    #[serde(deserialize_with = "falsy")]
    request_id: Option<String>,
    #[serde(deserialize_with = "falsy")]
    text: Option<String>,
    #[serde(deserialize_with = "falsy")]
    choice: Option<String>,
}

async fn reply_input(
    State(app): State<App>,
    wanted: Wanted,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    One(session): One<SessionKind>,
    Body(body): Body<Reply>,
) -> Answer {
    let answer = InputAnswer {
        session,
        request: body.request_id.as_deref().map(request_id).transpose()?,
        text: body.text.unwrap_or_default(),
        choice: body.choice,
        key: idempotency_key(&headers)?,
    };
    let answered = app.answer_input(&caller, answer).await?;
    Ok(wanted.ok(&json!({
        "success": true, "requestId": answered.request, "how": answered.how, "at": answered.at,
    })))
}

async fn wait(State(hub): State<Hub>, One(session): One<SessionKind>, query: Params) -> Answer {
    let request = query.text("requestId").map(request_id).transpose()?;
    let patience = patience(query.get("timeout"))?;
    let state = tokio::select! {
        biased; // what was answered is told even now
        state = hub.app().wait_for_input(&session, request.as_ref(), patience) => state?,
        // As if the time were up: the agent asks again, and finds the next hub.
        () = hub.stopping().cancelled() => InputState::Waiting(request),
    };
    Ok(reply::ok(&told(state)))
}

fn request_id(text: &str) -> Result<RequestId, RouteError> {
    RequestId::parse(text).map_err(|error| RouteError::check(format!("requestId is invalid: {error}")))
}

/// Milliseconds; 0 only looks.
fn patience(given: Param<'_>) -> Result<Duration, RouteError> {
    let millis = match given {
        Param::Absent => Some(PATIENCE_MS),
        Param::One(text) => text.parse().ok().filter(|millis| *millis <= MOST_PATIENCE_MS),
        Param::Many => None,
    };
    let wrong = || {
        RouteError::check(format!(
            "timeout must be between 0 and {MOST_PATIENCE_MS} milliseconds"
        ))
    };
    millis.map(Duration::from_millis).ok_or_else(wrong)
}

fn told(state: InputState) -> Value {
    match state {
        InputState::Answered(answer) => json!({
            "state": "answered", "requestId": answer.request_id, "text": answer.text, "choice": answer.choice,
            "answeredBy": answer.answered_by, "answeredAt": answer.answered_at,
        }),
        InputState::Waiting(request) => json!({"state": "waiting", "requestId": request}),
        InputState::Over { current, by, at } => {
            json!({"state": "over", "requestId": current, "answeredBy": by, "answeredAt": at})
        }
    }
}
