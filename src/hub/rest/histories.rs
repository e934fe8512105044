//! `/api/sessions/:id/{events,timeline,docs,prompt}`: what sessions tell and are told (API.md section 7).

use axum::{Extension, extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::app::{App, AppError};
use crate::domain::{Caller, Maybe, NewDoc, NewEntry, Prompt, PromptMode, Refusal, Session, SessionKind};

use super::super::{
    body::{Body, One, falsy},
    describe::{does, get, post},
    error::RouteError,
    reply::{self, Answer, Wanted},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/api/sessions/{id}/events",
            post(
                add_event,
                does("Adds what a hook of the agent reports")
                    .body::<Event>()
                    .ok::<Session>(),
            ),
        )
        .route(
            "/api/sessions/{id}/timeline",
            post(
                add_entry,
                does("Adds an entry to the timeline. Of type `needs_input` it asks a question")
                    .body::<Entry>()
                    .ok::<Session>(),
            ),
        )
        .route(
            "/api/sessions/{id}/docs",
            get(
                docs,
                does("A session's documents").ok::<Vec<Map<String, Value>>>(),
            )
            .post(add_doc, does("Adds a document").body::<Doc>().ok::<Session>()),
        )
        .route(
            "/api/sessions/{id}/prompt",
            post(
                prompt,
                does("Types a text into a session's terminal")
                    .body::<Text>()
                    .ok::<Done>()
                    .may(StatusCode::FORBIDDEN, "This agent is not who it says")
                    .may(StatusCode::CONFLICT, "The session is not active"),
            ),
        )
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["type"]))]
struct Event {
    #[schemars(required)]
    #[serde(rename = "type", deserialize_with = "falsy")]
    kind: Option<String>,
    data: Maybe<Value>,
}

async fn add_event(
    State(app): State<App>,
    wanted: Wanted,
    One(id): One<SessionKind>,
    Body(body): Body<Event>,
) -> Answer {
    let kind = body.kind.ok_or_else(|| RouteError::check("type is required"))?;
    Ok(wanted.ok(&app.add_event(id, kind, body.data).await?))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["message"]))]
struct Entry {
    #[serde(rename = "type", deserialize_with = "falsy")]
    kind: Option<String>,
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    message: Option<String>,
    task_id: Maybe<String>,
    metadata: Maybe<Value>,
}

async fn add_entry(
    State(app): State<App>,
    wanted: Wanted,
    One(id): One<SessionKind>,
    Body(body): Body<Entry>,
) -> Answer {
    let entry = NewEntry {
        kind: body.kind.unwrap_or_else(|| "progress".to_owned()),
        message: body
            .message
            .ok_or_else(|| RouteError::check("message is required"))?,
        task_id: body.task_id,
        metadata: body.metadata,
    };
    Ok(wanted.ok(&app.add_entry(id, entry).await?))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["title", "filePath"]))]
struct Doc {
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    title: Option<String>,
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    file_path: Option<String>,
    content: Maybe<String>,
    task_id: Maybe<String>,
}

async fn add_doc(
    State(app): State<App>,
    wanted: Wanted,
    One(id): One<SessionKind>,
    Body(body): Body<Doc>,
) -> Answer {
    let doc = NewDoc {
        title: body.title.ok_or_else(|| RouteError::check("title is required"))?,
        file_path: body
            .file_path
            .ok_or_else(|| RouteError::check("filePath is required"))?,
        content: body.content,
        task_id: body.task_id,
    };
    Ok(wanted.ok(&app.add_doc(id, doc).await?))
}

async fn docs(State(app): State<App>, One(id): One<SessionKind>) -> Answer {
    let mut text = Vec::new();
    app.docs(&id)?.write_json(&mut text);
    Ok(reply::bytes(StatusCode::OK, text))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["content"]))]
struct Text {
    #[schemars(with = "String")]
    content: Value,
    mode: Maybe<Value>,
    #[serde(deserialize_with = "falsy")]
    sender_session_id: Option<String>,
}

/// It was done.
#[derive(Serialize, JsonSchema)]
struct Done {
    success: bool,
}

/// Refusals of this route are form D.
fn refused(status: StatusCode, text: &str) -> RouteError {
    RouteError::Text(status, text.to_owned())
}

fn prompt_mode(mode: &Maybe<Value>) -> Option<PromptMode> {
    match mode {
        Maybe::Absent => Some(PromptMode::default()),
        Maybe::Null => None,
        Maybe::Value(mode) => match mode.as_str()? {
            "send" => Some(PromptMode::Send),
            "paste" => Some(PromptMode::Paste),
            _ => None,
        },
    }
}

async fn prompt(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    wanted: Wanted,
    One(id): One<SessionKind>,
    Body(body): Body<Text>,
) -> Answer {
    let bad = |text| refused(StatusCode::BAD_REQUEST, text);
    let content = match body.content {
        Value::String(content) if !content.is_empty() => content,
        _ => return Err(bad("content is required and must be a string")),
    };
    let mode = prompt_mode(&body.mode).ok_or_else(|| bad("mode must be \"send\" or \"paste\""))?;
    let prompt = Prompt {
        content,
        mode,
        sender_session_id: body.sender_session_id,
        sender: None,
    };
    match app.prompt(&caller, id, prompt).await {
        Ok(()) => Ok(wanted.ok(&Done { success: true })),
        Err(AppError::Refused(Refusal::Conflict(text))) => Err(refused(StatusCode::CONFLICT, &text)),
        Err(error) => Err(error.into()),
    }
}
