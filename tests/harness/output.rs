//! What a command told, and how it ended.

use std::process::Output;

use serde_json::Value;

/// Standard output and standard error.
pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// How it exited.
///
/// # Panics
/// If a signal ended it.
pub fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

/// Standard output, read as JSON.
///
/// # Panics
/// If it is none, with all that was said.
pub fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}
