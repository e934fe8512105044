//! `/api/tasks/:id/claim`: who does which task (DESIGN section 7; not in the replaced server).

use std::time::Duration;

use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::domain::{SessionId, TaskKind};

use super::super::{
    body::{Body, One},
    error::RouteError,
    reply::{self, Answer, Wanted},
    routes::{Routes, get},
};

pub(super) fn routes() -> Routes {
    Routes::new().route("/api/tasks/{id}/claim", get(show).post(claim).delete(release))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wish {
    session_id: Option<SessionId>,
    /// Milliseconds.
    ttl: Option<u64>,
}

impl Wish {
    fn session(&self) -> Result<SessionId, RouteError> {
        self.session_id
            .clone()
            .ok_or_else(|| RouteError::check("sessionId is required"))
    }
}

async fn claim(
    State(app): State<App>,
    wanted: Wanted,
    One(task): One<TaskKind>,
    Body(wish): Body<Wish>,
) -> Answer {
    let session = wish.session()?;
    let claim = app
        .claim_task(task, session, wish.ttl.map(Duration::from_millis))
        .await?;
    Ok(wanted.ok(&json!({"claimed": true, "claim": claim})))
}

async fn show(State(app): State<App>, One(task): One<TaskKind>) -> Answer {
    let claim = app.task_claim(task).await?;
    Ok(reply::ok(&json!({"claimed": claim.is_some(), "claim": claim})))
}

async fn release(
    State(app): State<App>,
    wanted: Wanted,
    One(task): One<TaskKind>,
    Body(wish): Body<Wish>,
) -> Answer {
    let released = app.release_task(task, wish.session()?).await?;
    Ok(wanted.ok(&json!({"released": released})))
}
