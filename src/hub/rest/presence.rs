//! `/api/agents` and `/api/sessions/:id/heartbeat`: who is alive (DESIGN section 6; not in the replaced server).

use std::time::Duration;

use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::domain::{Beat, Millis, SessionKind};

use super::super::{
    body::{Body, One},
    reply::{self, Answer, Wanted},
    routes::{Routes, get, post},
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/agents", get(list))
        .route("/api/sessions/{id}/heartbeat", post(beat).delete(leave))
}

#[derive(Default, Deserialize)]
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
    Ok(wanted.ok(&json!({"success": true, "known": known})))
}
