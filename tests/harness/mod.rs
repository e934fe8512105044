//! What a story needs: the real daemon with directories of its own, and clients that speak to it as agents, pages
//! and scripts do. Included with `#[path = "../harness/mod.rs"] mod harness;`.
//!
//! ```ignore
//! let daemon = Setup::new().env("LOG_LEVEL", "debug").start().await;
//! let mut socket = daemon.listen().await;
//! let project = daemon.post("/api/projects", json!({"name": "Demo"})).await.expect(201);
//! assert_eq!(socket.arrived().await[0]["event"], "project:created");
//! ```
//!
//! Nothing here sleeps a guess: conditions are waited for with a deadline, and "nothing more came" is shown by a ping
//! whose answer travels behind everything sent before it.
#![allow(
    dead_code,
    unused_imports,
    reason = "every test binary that includes this module uses its own part of it"
)]

pub mod caller;
pub mod daemon;
pub mod dice;
pub mod http;
pub mod output;
pub mod page;
pub mod place;
pub mod push_service;
pub mod redis;
pub mod socket;
pub mod tunnel;
pub mod vitals;
pub mod wire;

pub use caller::{Caller, Reply};
pub use daemon::{Daemon, Setup};
pub use dice::Dice;
pub use http::{Answer, Ask};
pub use place::Place;
pub use push_service::PushService;
pub use redis::Redis;
pub use socket::Socket;
pub use tunnel::Edge;

use std::{future::Future, time::Duration};

/// Longest wait for anything that should come at once; generous, because test machines are slow and shared.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `probe` until it answers, at most [`PATIENCE`] long.
///
/// # Panics
/// When the time is up, naming `what`.
pub async fn eventually<T, F>(what: &str, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "waited in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
