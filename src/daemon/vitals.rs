//! What systemd is told about us while we run: that we live, and how we are doing.

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::service::{memory, notify::Notifier};
use crate::sqlite::Database;

use super::{Beat, operator::Operator};

/// How often the status is looked at, besides whenever a child changes.
const GLANCE: std::time::Duration = std::time::Duration::from_secs(5);

/// How often memory that nobody uses any more is given back.
const TIDY: std::time::Duration = std::time::Duration::from_secs(60);

/// Gives memory back that was needed once, until `stop`.
pub async fn give_memory_back(stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(TIDY)).await.is_some() {
        // Beside the runtime: it takes a while.
        let _done = tokio::task::spawn_blocking(memory::give_back).await;
    }
}

/// True once everything has answered that would hang if the daemon hung: the runtime, the main loop, which carries out
/// what operators want, and the writer of the store. Redis and the tunnel may be in any trouble.
pub async fn alive(main_loop: &mpsc::Sender<Beat>, store: &Database) -> bool {
    let (beat, turned) = oneshot::channel();
    main_loop.send(beat).await.is_ok() && turned.await.is_ok() && store.comes_round().await
}

/// Keeps the line in `systemctl status` true, until `stop`.
pub async fn tell_status(notifier: Notifier, operator: Operator, stop: CancellationToken) {
    if !notifier.is_on() {
        return;
    }
    let mut changes = operator.glance_changes();
    let mut told = String::new();
    loop {
        let line = operator.glance();
        if line != told {
            notifier.status(&line);
            told = line;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(GLANCE) => {}
        }
    }
}
