//! maestro keeps a computer full of coding agents a dependable hub.
//!
//! This page is the table of contents, in reading order; docs/ARCHITECTURE.md is the map with the invariants.
//! `tests/layering.rs` holds which room may name which.

pub mod config; // TOML, environment and flags become one checked Config with origins
pub mod service;
pub mod shutdown; // tasks that are stopped and waited for together
pub mod supervisor; // keeps a child process running; knows nothing of redis or tunnels // us and the init system: signals, sd_notify, journald, sleep
