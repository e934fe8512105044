//! `/api/tasks/:id/claim`: who does which task (DESIGN section 7; not in the replaced server).

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::{Claim, SessionId, TaskKind};

use super::super::{
    body::{Body, One},
    describe::{does, get},
    error::RouteError,
    reply::{self, Answer, Wanted},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    const TAKEN: &str = "Another session holds it: `holder`";
    Routes::new().route(
        "/api/tasks/{id}/claim",
        get(show, does("Who holds a task, if anybody does").ok::<Claimed>())
            .post(
                claim,
                does("Claims a task for a session, or holds on to it; `ttl` is in milliseconds")
                    .body::<Wish>()
                    .ok::<Claimed>()
                    .may(StatusCode::CONFLICT, TAKEN),
            )
            .delete(
                release,
                does("Gives a task back")
                    .body::<Wish>()
                    .ok::<Released>()
                    .may(StatusCode::CONFLICT, TAKEN),
            ),
    )
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["sessionId"]))]
struct Wish {
    #[schemars(required)]
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

/// Who holds a task.
#[derive(Serialize, JsonSchema)]
struct Claimed {
    claimed: bool,
    claim: Option<Claim>,
}

impl Claimed {
    fn by(claim: Option<Claim>) -> Self {
        Self {
            claimed: claim.is_some(),
            claim,
        }
    }
}

/// Whether there was anything to give back.
#[derive(Serialize, JsonSchema)]
struct Released {
    released: bool,
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
    Ok(wanted.ok(&Claimed::by(Some(claim))))
}

async fn show(State(app): State<App>, One(task): One<TaskKind>) -> Answer {
    let claim = app.task_claim(task).await?;
    Ok(reply::ok(&Claimed::by(claim)))
}

async fn release(
    State(app): State<App>,
    wanted: Wanted,
    One(task): One<TaskKind>,
    Body(wish): Body<Wish>,
) -> Answer {
    let released = app.release_task(task, wish.session()?).await?;
    Ok(wanted.ok(&Released { released }))
}
