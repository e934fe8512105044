//! `/api/sessions/:id/{input,reply-input}`: an agent waits for a person's answer, and a person gives it (PHONE 3.4; not
//! in the replaced server).

use std::time::Duration;

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::{Answerer, Caller, How, InputAnswer, InputState, Millis, RequestId, SessionKind};

use super::super::{
    Hub,
    body::{Body, One, falsy},
    describe::{does, get, id, number, post},
    error::RouteError,
    query::{Param, Params},
    reply::{self, Answer, Wanted},
    routes::Routes,
};
use super::mail::idempotency_key;

/// How long a wait lasts if the agent does not say, in milliseconds; as for mail.
const PATIENCE_MS: u64 = 30_000;
/// How long it may last, in milliseconds.
const MOST_PATIENCE_MS: u64 = 120_000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/api/sessions/{id}/input",
            get(
                wait,
                does("Waits for a person's answer")
                    .query("requestId", "To this question", id())
                    .query(
                        "timeout",
                        "How long, in milliseconds; 0 only looks",
                        number(0, MOST_PATIENCE_MS.cast_signed()),
                    )
                    .ok::<Input>(),
            ),
        )
        .route(
            "/api/sessions/{id}/reply-input",
            post(
                reply_input,
                does("Answers a session's question; the first answer counts")
                    .body::<Reply>()
                    .repeatable()
                    .ok::<Replied>()
                    .may(StatusCode::FORBIDDEN, "This agent may not answer")
                    .may(
                        StatusCode::CONFLICT,
                        "It was answered by somebody else, or is not asked any more",
                    )
                    .may(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        "The key was used for something else",
                    ),
            ),
        )
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct Reply {
    #[serde(deserialize_with = "falsy")]
    request_id: Option<String>,
    #[serde(deserialize_with = "falsy")]
    text: Option<String>,
    #[serde(deserialize_with = "falsy")]
    choice: Option<String>,
}

/// The answer counts.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Replied {
    success: bool,
    request_id: RequestId,
    how: How,
    at: Millis,
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
    Ok(wanted.ok(&Replied {
        success: true,
        request_id: answered.request,
        how: answered.how,
        at: answered.at,
    }))
}

async fn wait(State(hub): State<Hub>, One(session): One<SessionKind>, query: Params) -> Answer {
    let request = query.text("requestId").map(request_id).transpose()?;
    let patience = patience(query.get("timeout"))?;
    // When we stop it is as if the time were up: the agent asks again, and finds the next hub.
    let stopping = hub.stopping().cancelled();
    let state = hub
        .app()
        .wait_for_input(&session, request.as_ref(), patience, stopping);
    Ok(reply::ok(&Input::from(state.await?)))
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

/// How a question stands.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "lowercase", rename_all_fields = "camelCase")]
enum Input {
    /// It was answered.
    Answered {
        request_id: RequestId,
        text: String,
        choice: Option<String>,
        answered_by: Answerer,
        answered_at: Millis,
    },
    /// Nobody has answered yet.
    Waiting { request_id: Option<RequestId> },
    /// No answer will come: another question is open, or somebody went on at the terminal.
    Over {
        request_id: Option<RequestId>,
        answered_by: Option<Answerer>,
        answered_at: Option<Millis>,
    },
}

impl From<InputState> for Input {
    fn from(state: InputState) -> Self {
        match state {
            InputState::Answered(answer) => Self::Answered {
                request_id: answer.request_id,
                text: answer.text,
                choice: answer.choice,
                answered_by: answer.answered_by,
                answered_at: answer.answered_at,
            },
            InputState::Waiting(request_id) => Self::Waiting { request_id },
            InputState::Over { current, by, at } => Self::Over {
                request_id: current,
                answered_by: by,
                answered_at: at,
            },
        }
    }
}
