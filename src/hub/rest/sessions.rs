//! `/api/sessions`: the sessions themselves and their tasks (API.md section 7).

use std::io;

use axum::{
    body::{Body as Streamed, Bytes},
    extract::State,
    http::StatusCode,
};
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::app::{App, FoundSessions};
use crate::domain::{
    Maybe, NewSession, Question, Refusal, Session, SessionHead, SessionId, SessionKind, SessionWish, TaskKind,
};

use super::super::{
    body::{Body, One, TextMap, Two, falsy, given},
    describe::{does, get, post, text},
    error::RouteError,
    query::{Filter, Param, Params},
    reply::{self, Answer, Gone, List, Wanted},
    routes::Routes,
};
use super::tasks::project_of;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/api/sessions",
            get(
                list,
                does("All sessions, in order of creation")
                    .query("projectId", "Only of this project", text())
                    .query("status", "Only with this status", text())
                    .query(
                        "parentSessionId",
                        "Only those that this session has spawned",
                        text(),
                    )
                    .query("taskId", "Only those that work on this task", text())
                    .query("active", "`true`: without those that are completed", text())
                    .ok::<Vec<Session>>(),
            )
            .post(
                create,
                does("Makes a session. A session of the same id is replaced")
                    .body::<Create>()
                    .created::<Session>()
                    .may(StatusCode::NOT_FOUND, "There is no such project or task"),
            ),
        )
        .route(
            "/api/sessions/{id}",
            get(show, does("One session, with its histories").ok::<Session>())
                .patch(
                    update,
                    does("Changes a session; `events` and `timeline` are appended")
                        .body::<Update>()
                        .ok::<Session>(),
                )
                .delete(remove, does("Deletes a session").ok::<Gone>()),
        )
        .route(
            "/api/sessions/{id}/tasks/{task}",
            post(link, does("Gives a session a task").ok::<Session>())
                .delete(unlink, does("Takes a task from a session").ok::<Session>()),
        )
}

async fn list(State(app): State<App>, query: Params) -> Answer {
    let (project, status) = (query.filter("projectId"), query.filter("status"));
    let (parent, task) = (query.filter("parentSessionId"), query.filter("taskId"));
    let active = query.get("active") == Param::One("true");
    let keep = |head: &SessionHead| {
        project.passes(head.project_id.as_str())
            && status.passes(&head.status)
            && parent.passes(head.parent_session_id.as_deref().unwrap_or_default())
            && has_task(task, head)
            && !(active && head.status == "completed")
    };
    let mut found = app.sessions(project_of(project).as_ref(), keep).await?;
    let mut first = found.take_at_hand();
    if first.is_empty() {
        first = found.take_some().await?.unwrap_or_default();
    }
    if found.is_exhausted() {
        return Ok(reply::ok(&List(&first)));
    }
    // The rest is read while it is sent, as fast as the client takes it.
    let mut pages = Pages {
        found,
        written: 0,
        ended: false,
    };
    let first = pages.write(&first);
    let rest = stream::try_unfold(pages, Pages::next);
    let body = stream::once(async { first }).chain(rest);
    Ok(reply::bytes(StatusCode::OK, Streamed::from_stream(body)))
}

/// A JSON array of sessions, written piece by piece.
struct Pages {
    found: FoundSessions,
    written: usize,
    ended: bool,
}

impl Pages {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        if self.ended {
            return Ok(None);
        }
        // It is too late for a refusal: the connection ends, and the client sees that the answer is not whole.
        let piece = match self.found.take_some().await.map_err(io::Error::other)? {
            Some(sessions) => self.write(&sessions)?,
            None => {
                self.ended = true;
                Bytes::from_static(if self.written == 0 { b"[]" } else { b"]" })
            }
        };
        Ok(Some((piece, self)))
    }

    /// Some of them may be gone since they were found, so a piece may be empty.
    fn write(&mut self, sessions: &[Session]) -> io::Result<Bytes> {
        let mut out = Vec::new();
        for session in sessions {
            out.push(if self.written == 0 { b'[' } else { b',' });
            session.write_json(&mut out)?;
            self.written += 1;
        }
        Ok(out.into())
    }
}

fn has_task(filter: Filter<'_>, head: &SessionHead) -> bool {
    match filter {
        Filter::Any => true,
        Filter::Is(task) => head.task_ids.iter().any(|id| id == task),
        Filter::Nothing => false,
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["projectId"]))]
struct Create {
    #[serde(deserialize_with = "falsy")]
    id: Option<String>,
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    project_id: Option<String>,
    #[serde(deserialize_with = "falsy")]
    task_ids: Option<Vec<String>>,
    #[serde(deserialize_with = "falsy")]
    task_id: Option<String>,
    #[serde(deserialize_with = "falsy")]
    name: Option<String>,
    #[serde(deserialize_with = "falsy")]
    status: Option<String>,
    #[serde(deserialize_with = "falsy")]
    env: Option<TextMap>,
    agent_id: Maybe<String>,
    metadata: Maybe<Value>,
    #[serde(deserialize_with = "falsy")]
    parent_session_id: Option<String>,
    #[serde(rename = "_suppressCreatedEvent")]
    quiet: Value,
}

async fn create(State(app): State<App>, wanted: Wanted, Body(body): Body<Create>) -> Answer {
    let tasks = body.task_ids.or(body.task_id.map(|task| vec![task]));
    let task_ids = tasks.ok_or_else(|| RouteError::check("taskIds is required"))?;
    let id = body.id.as_deref().map(SessionId::parse).transpose();
    let wish = NewSession {
        id: id.map_err(|error| Refusal::invalid(format!("Session ID is invalid: {error}")))?,
        task_ids,
        name: body.name,
        status: body.status,
        env: body.env.unwrap_or_default().0,
        agent_id: body.agent_id,
        metadata: body.metadata,
        parent_session_id: body.parent_session_id,
        quiet: body.quiet == true,
    };
    let project = body.project_id.unwrap_or_default();
    Ok(wanted.created(&app.create_session(project, wish).await?))
}

async fn show(State(app): State<App>, One(id): One<SessionKind>) -> Answer {
    Ok(reply::ok(&app.session(&id).await?))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct Update {
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<String>")]
    task_ids: Option<Vec<String>>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    status: Option<String>,
    agent_id: Maybe<String>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "TextMap")]
    env: Option<TextMap>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<Map<String, Value>>")]
    events: Option<Vec<Map<String, Value>>>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<Map<String, Value>>")]
    timeline: Option<Vec<Map<String, Value>>>,
    needs_input: Maybe<Question>,
}

impl From<Update> for SessionWish {
    fn from(body: Update) -> Self {
        let entries = |list: Vec<Map<String, Value>>| list.into_iter().map(Value::Object).collect();
        Self {
            task_ids: body.task_ids,
            status: body.status,
            agent_id: body.agent_id,
            env: body.env.map(|env| env.0),
            events: body.events.map(entries),
            timeline: body.timeline.map(entries),
            needs_input: body.needs_input,
        }
    }
}

async fn update(
    State(app): State<App>,
    wanted: Wanted,
    One(id): One<SessionKind>,
    Body(body): Body<Update>,
) -> Answer {
    Ok(wanted.ok(&app.update_session(id, body.into()).await?))
}

async fn remove(State(app): State<App>, wanted: Wanted, One(id): One<SessionKind>) -> Answer {
    app.delete_session(id.clone()).await?;
    Ok(wanted.ok(&Gone::of(&id)))
}

async fn link(State(app): State<App>, wanted: Wanted, Two(id, task): Two<SessionKind, TaskKind>) -> Answer {
    Ok(wanted.ok(&app.link_session(id, task).await?))
}

async fn unlink(State(app): State<App>, wanted: Wanted, Two(id, task): Two<SessionKind, TaskKind>) -> Answer {
    Ok(wanted.ok(&app.unlink_session(id, task).await?))
}
