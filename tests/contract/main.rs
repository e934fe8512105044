//! Holds the server to the recorded behaviour of the one it replaces; what we decided to do differently is one table.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a test fails

#[path = "../harness/mod.rs"]
mod harness;

mod additive;
mod any_manifest;
mod cli_manifest;
mod decided;
mod files;
mod http_details;
mod manifest_schema;
mod matching;
mod quirks;
mod recording;
mod replay;
mod restart;
mod rules;
mod scene;
mod sockets;
