//! What can be seen of a running hub from outside: its metrics, the description of its API, its documentation, its status
//! on a terminal. Each with the tools that people use for it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a test fails

#[path = "../harness/mod.rs"]
mod harness;

mod docs;
#[allow(dead_code)] // its `main`
mod example;
mod metrics;
mod openapi;
mod watch;

use std::path::{Path, PathBuf};

/// A file of this repository.
fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Its text.
fn text_of(path: &str) -> String {
    std::fs::read_to_string(repo(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
