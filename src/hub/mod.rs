//! Everything clients see. Handlers parse, ask the application, and write the contract's JSON; they hold no rules.

pub mod body;
pub mod error;
pub mod query;
pub mod reply;
mod rest;

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::FromRef};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// What every handler can reach. Cloning is cheap; clones share everything.
#[derive(Clone)]
pub struct Hub {
    app: App,
    shared: Arc<Shared>,
}

struct Shared {
    limits: Limits,
    stopping: CancellationToken,
}

/// How much a client may ask of us at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest request body, in bytes.
    pub body_bytes: usize,
    /// Longest time a request body may take to arrive.
    pub body_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            body_time: Duration::from_secs(30),
        }
    }
}

impl Hub {
    /// A hub over `app`. `stopping` is cancelled when the daemon begins to stop.
    pub fn new(app: App, limits: Limits, stopping: CancellationToken) -> Self {
        let shared = Arc::new(Shared { limits, stopping });
        Self { app, shared }
    }

    /// What can be asked.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// How much a client may ask of us at once.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Cancelled when the daemon begins to stop: long polls answer at once with what they have.
    pub fn stopping(&self) -> &CancellationToken {
        &self.shared.stopping
    }
}

impl FromRef<Hub> for App {
    fn from_ref(hub: &Hub) -> Self {
        hub.app.clone()
    }
}

/// Everything that is reached by a path.
pub fn router(hub: Hub) -> Router {
    rest::routes().with_state(hub)
}
