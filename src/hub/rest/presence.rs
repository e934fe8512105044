//! `/api/agents` and `/api/sessions/:id/heartbeat`: who is alive (DESIGN section 6; not in the replaced server).

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::{Agent, App, Heartbeat};
use crate::domain::{Beat, Millis, SessionKind};

use super::super::{
    body::{Body, One},
    describe::{does, get, post},
    reply::{self, Answer, Wanted},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/api/agents",
            get(
                list,
                does("Who should be at work, and who is alive").ok::<Vec<Agent>>(),
            ),
        )
        .route(
            "/api/sessions/{id}/heartbeat",
            post(
                beat,
                does("A session's agent says that it lives, or is looked after by its `pid`")
                    .body::<Sign>()
                    .ok::<Heartbeat>()
                    .may(StatusCode::CONFLICT, "The process cannot be watched"),
            )
            .delete(leave, does("A session's agent leaves by itself").ok::<Left>()),
        )
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct Sign {
    pid: Option<i32>,
    host: Option<String>,
    /// Milliseconds since the epoch.
    started_at: Option<i64>,
    /// Milliseconds.
    ttl: Option<u64>,
    watch: Option<bool>,
}

/// Whether it had given a sign.
#[derive(Serialize, JsonSchema)]
struct Left {
    success: bool,
    known: bool,
}

async fn list(State(app): State<App>) -> Answer {
    Ok(reply::ok(&app.agents()))
}

async fn beat(
    State(app): State<App>,
    wanted: Wanted,
    One(session): One<SessionKind>,
    Body(sign): Body<Sign>,
) -> Answer {
    let beat = Beat {
        session,
        pid: sign.pid,
        host: sign.host.filter(|host| !host.is_empty()),
        started_at: sign.started_at.map(Millis),
        ttl: sign.ttl.map(Duration::from_millis),
        watch: sign.watch.unwrap_or(false),
    };
    Ok(wanted.ok(&app.heartbeat(beat).await?))
}

async fn leave(State(app): State<App>, wanted: Wanted, One(session): One<SessionKind>) -> Answer {
    let known = app.end_heartbeat(&session).await?;
    Ok(wanted.ok(&Left { success: true, known }))
}
