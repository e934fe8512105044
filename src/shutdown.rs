//! Every long-lived task is born in a [`TaskGroup`], so that none is forgotten at the stop.

use std::{future::Future, time::Duration};

use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info_span};

/// Tasks that are told to stop together and waited for together. Clones share the group.
#[derive(Clone, Debug, Default)]
pub struct TaskGroup {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl TaskGroup {
    /// Spawns `task`, handing it the token that says when to stop.
    pub fn spawn<F>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks
            .spawn(task(self.stop.child_token()).instrument(info_span!("task", name)));
    }

    /// The token that is cancelled when the group closes.
    pub fn token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// How many tasks are still running.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// True if no task is running.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Tells every task to stop, without waiting for it.
    pub fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
    }

    /// Asks, then waits; `false` if some task ignored us for the whole grace period.
    pub async fn close(&self, grace: Duration) -> bool {
        self.stop();
        timeout(grace, self.tasks.wait()).await.is_ok()
    }
}
