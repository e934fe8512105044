//! Socket.IO as its real clients see it: npm `socket.io-client` over every transport, `python-socketio`, npm `ws`
//! beside them, and clients of our own that misbehave. `tests/install-deps.sh clients` installs what is needed.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a test fails

#[path = "../harness/mod.rs"]
mod harness;

mod client;
mod engine;

mod crowd;
mod desktop;
mod phone;
mod scene;
mod stop;
mod sync;
mod transports;
mod traps;
