//! How the rest of the daemon speaks to a child's task: wishes in, news out, nothing shared.

use std::time::Duration;

use tokio::{
    sync::{broadcast, mpsc, watch},
    time::timeout,
};

use super::{
    clock,
    event::{Nudge, State},
    output::Output,
    status::{ChildStatus, Health, Transition},
};

/// Wishes that may wait at once; whoever makes more waits until the child's task has read one.
pub(super) const INBOX: usize = 32;

/// What can be asked of a child.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wish {
    Start,
    Stop {
        kill_after: Option<Duration>,
    },
    Restart,
    Nudge(Nudge),
    /// Stop, and end the task once the child is gone.
    Shutdown {
        kill_after: Duration,
    },
}

/// The child's task has ended: it was shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the supervisor of this child has ended")]
pub struct Ended;

/// Remote control of one child. Clones speak to the same child.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) wishes: mpsc::Sender<Wish>,
    pub(super) status: watch::Receiver<ChildStatus>,
    pub(super) health: watch::Receiver<Health>,
    pub(super) transitions: broadcast::Sender<Transition>,
    pub(super) output: Output,
}

impl Handle {
    /// It shall run. Returns when the wish is taken, not when it is fulfilled (see [`Handle::wait`]).
    pub async fn start(&self) -> Result<(), Ended> {
        self.wish(Wish::Start).await
    }

    /// It shall stop, politely first.
    pub async fn stop(&self) -> Result<(), Ended> {
        self.wish(Wish::Stop { kill_after: None }).await
    }

    /// It shall end now, if need be by KILL.
    pub async fn kill(&self) -> Result<(), Ended> {
        self.wish(Wish::Stop {
            kill_after: Some(Duration::ZERO),
        })
        .await
    }

    /// It shall end and run afresh; failures are forgotten, a blocked child is tried at once.
    pub async fn restart(&self) -> Result<(), Ended> {
        self.wish(Wish::Restart).await
    }

    /// The machine woke up or the network changed: a likely moment for one retry.
    pub async fn nudge(&self, nudge: Nudge) -> Result<(), Ended> {
        self.wish(Wish::Nudge(nudge)).await
    }

    /// Stops the child and its task; KILL comes early enough to be done within `limit`. Returns whether it
    /// is gone.
    pub async fn shutdown(&self, limit: Duration) -> bool {
        let kill_after = limit.mul_f64(0.8);
        if self.wish(Wish::Shutdown { kill_after }).await.is_err() {
            return true;
        }
        self.wait(limit, |status| status.state == State::Stopped)
            .await
            .is_some()
    }

    /// The same without waiting for it: the task ends by itself, KILL comes within `limit`.
    pub async fn shut_down_soon(&self, limit: Duration) {
        let kill_after = limit.mul_f64(0.8);
        // A task that has ended has no child left.
        let _ended = self.wish(Wish::Shutdown { kill_after }).await;
    }

    async fn wish(&self, wish: Wish) -> Result<(), Ended> {
        self.wishes.send(wish).await.map_err(|_| Ended)
    }

    /// How it is now.
    pub fn status(&self) -> ChildStatus {
        let mut status = self.status.borrow().clone();
        status.count_restarts(clock::wall_ms());
        status
    }

    /// Waits until the status is as wished; `None` if it was not within `limit`.
    pub async fn wait(
        &self,
        limit: Duration,
        wished: impl FnMut(&ChildStatus) -> bool,
    ) -> Option<ChildStatus> {
        let mut status = self.status.clone();
        match timeout(limit, status.wait_for(wished)).await {
            Ok(Ok(status)) => Some(status.clone()),
            _ => None,
        }
    }

    /// Up or down, for those that stand on this child.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// The status as it changes (facts alone do not wake the receiver).
    pub fn watch(&self) -> watch::Receiver<ChildStatus> {
        self.status.clone()
    }

    /// Changes of state from now on, of every child that was started with the same channel. A receiver that
    /// lags is told how many it missed; the status says where things stand.
    pub fn transitions(&self) -> broadcast::Receiver<Transition> {
        self.transitions.subscribe()
    }

    /// Its output files, for `logs` and `logs -f`.
    pub fn output(&self) -> &Output {
        &self.output
    }
}
