//! `/health`, `/ready`, `/ws-status` (API.md section 4; `/ready` is ours).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;

use crate::bus::Kind;
use crate::domain::Millis;

use super::{
    Hub,
    describe::{does, get, shape},
    reply,
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    let ready_says = does("Whether everything required is there").ok::<Ready>().told(
        StatusCode::SERVICE_UNAVAILABLE,
        "Not yet, or not any more",
        Some(shape::<Ready>),
    );
    Routes::new()
        .route("/health", get(health, does("A sign of life").ok::<Health>()))
        .route("/ready", get(ready, ready_says))
        .route(
            "/ws-status",
            get(ws_status, does("How many sockets are connected").ok::<Sockets>()),
        )
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

/// A sign of life.
#[derive(Serialize, JsonSchema)]
struct Health {
    status: &'static str,
    /// Now.
    timestamp: Millis,
    /// Seconds since the start.
    uptime: f64,
}

async fn health(State(hub): State<Hub>) -> Response {
    reply::ok(&Health {
        status: "ok",
        timestamp: hub.app().now(),
        uptime: hub.uptime().as_secs_f64(),
    })
}

/// Whether the hub is ready.
#[derive(Serialize, JsonSchema)]
struct Ready {
    /// `ready`, `starting`, `stopping`.
    status: &'static str,
    /// What is missing, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    missing: BTreeMap<&'static str, String>,
}

async fn ready(State(hub): State<Hub>) -> Response {
    if hub.stopping().is_cancelled() {
        let missing = BTreeMap::new();
        return not_yet(&Ready {
            status: "stopping",
            missing,
        });
    }
    let missing = hub.readiness().missing();
    if missing.is_empty() {
        return reply::ok(&Ready {
            status: "ready",
            missing,
        });
    }
    not_yet(&Ready {
        status: "starting",
        missing,
    })
}

fn not_yet(so: &Ready) -> Response {
    let mut response = reply::json(StatusCode::SERVICE_UNAVAILABLE, so);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Connected sockets.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Sockets {
    /// On the raw WebSocket.
    connected_clients: usize,
    clients: Vec<Open>,
    ui: usize,
    mobile: usize,
    raw: usize,
}

/// A raw WebSocket. Every connection we count is open: one that is not is not counted.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Open {
    ready_state: u8,
    ready_state_text: &'static str,
}

async fn ws_status(State(hub): State<Hub>) -> Response {
    let count = hub.bus().count(Kind::Raw);
    let open = Open {
        ready_state: 1,
        ready_state_text: "OPEN",
    };
    reply::ok(&Sockets {
        connected_clients: count,
        clients: vec![open; count],
        ui: hub.clients().ui(),
        mobile: hub.clients().mobile(),
        raw: count,
    })
}
