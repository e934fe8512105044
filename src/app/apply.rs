//! The one way to change something: a rule in a transaction. The store commits, then publishes, in that order.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinError;

use crate::domain::{Change, Session};
use crate::ports::{CommitError, StoreError, Tx};

use super::{App, AppError};

/// Does in a transaction what a rule decided. Gives back the session that changed, if one did.
pub(super) fn carry_out(tx: &mut dyn Tx, change: Change) -> Option<Session> {
    for task in change.tasks {
        tx.put_task(task);
    }
    if let Some(session) = &change.session {
        tx.put_session(session.clone());
    }
    for event in change.events {
        tx.emit(event);
    }
    change.session
}

/// Runs to its end even if the caller goes away: what is stored must be announced too.
pub(super) async fn unbroken<T: Send + 'static>(
    work: impl Future<Output = Result<T, AppError>> + Send + 'static,
) -> Result<T, AppError> {
    let broken = |error: JoinError| StoreError::Engine(error.to_string().into());
    tokio::spawn(work).await.map_err(broken)?
}

impl App {
    /// Runs `rule` alone on the newest state; its changes and events are committed together, then published.
    pub(super) async fn apply<R: Send + 'static>(
        &self,
        rule: impl FnOnce(&mut dyn Tx) -> Result<R, CommitError> + Send + 'static,
    ) -> Result<R, AppError> {
        let slot = Arc::new(Mutex::new(None));
        let answer = slot.clone();
        self.store
            .commit(Box::new(move |tx| {
                let result = rule(tx)?;
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                Ok(())
            }))
            .await?;
        let result = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A commit that succeeded has run the rule, and the rule has filled the slot.
        result.ok_or_else(|| StoreError::Engine("a commit was acknowledged without its rule".into()).into())
    }
}
