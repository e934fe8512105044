// The example of docs/PROTOCOL.md as it lies there, compiled once more so that a test can run it.

include!("../../examples/events.rs");

/// Runs it.
pub async fn run(hub: &str, session: &str) {
    listen(hub, session).await.expect("the example works");
}
