//! `/health`, `/ready`, `/ws-status` (API.md section 4; `/ready` is ours).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::{json, value::RawValue};
use tokio::sync::watch;

use crate::bus::Kind;

use super::{
    Hub, reply,
    routes::{Routes, get},
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/ws-status", get(ws_status))
}

/// What must be there before the hub is ready, and what is still missing. Clones share it.
#[derive(Clone, Debug)]
pub struct Readiness {
    missing: Arc<watch::Sender<BTreeMap<&'static str, String>>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            missing: Arc::new(watch::Sender::new(BTreeMap::new())),
        }
    }
}

impl Readiness {
    /// Says that `part` is missing, and why, for people.
    pub fn lacks(&self, part: &'static str, why: impl Into<String>) {
        let why = why.into();
        self.missing
            .send_if_modified(|missing| missing.insert(part, why.clone()).as_ref() != Some(&why));
    }

    /// Says that `part` is there.
    pub fn has(&self, part: &str) {
        self.missing
            .send_if_modified(|missing| missing.remove(part).is_some());
    }

    /// Missing parts and why.
    pub fn missing(&self) -> BTreeMap<&'static str, String> {
        self.missing.borrow().clone()
    }

    /// True if nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.missing.borrow().is_empty()
    }

    /// Waits until nothing is missing.
    pub async fn complete(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.missing.subscribe().wait_for(BTreeMap::is_empty).await;
    }
}

async fn health(State(hub): State<Hub>) -> Response {
    reply::ok(&json!({
        "status": "ok",
        "timestamp": hub.app().now(),
        "uptime": hub.uptime().as_secs_f64(),
    }))
}

async fn ready(State(hub): State<Hub>) -> Response {
    if hub.stopping().is_cancelled() {
        return not_yet(&json!({"status": "stopping"}));
    }
    let missing = hub.readiness().missing();
    if missing.is_empty() {
        return reply::ok(&json!({"status": "ready"}));
    }
    not_yet(&json!({"status": "starting", "missing": missing}))
}

fn not_yet(body: &serde_json::Value) -> Response {
    let mut response = reply::json(StatusCode::SERVICE_UNAVAILABLE, body);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

async fn ws_status(State(hub): State<Hub>) -> Response {
    let count = hub.bus().count(Kind::Raw);
    // Every connection we count is open: one that is not is not counted.
    let open = RawValue::from_string(r#"{"readyState":1,"readyStateText":"OPEN"}"#.to_owned()).ok();
    reply::ok(&json!({
        "connectedClients": count,
        "clients": vec![open; count],
        "ui": hub.clients().ui(),
        "mobile": hub.clients().mobile(),
        "raw": count,
    }))
}
