//! Claims: who does which task. A claim is a lease; it says nothing about the task's own record.

use std::time::{Duration, Instant};

use tracing::warn;

use crate::domain::{Claim, Millis, Refusal, SessionId, TaskId};
use crate::ports::{Lease, LockError};

use super::{App, AppError, ClaimCounts, claim_counts::Ending};

/// A claim lasts this long unless the caller says otherwise.
const DEFAULT_TTL: Duration = Duration::from_secs(60);
/// Shorter claims lapse between two heartbeats of a busy machine.
const SHORTEST_TTL: Duration = Duration::from_secs(1);
/// Longer claims outlive the reason they were made for.
const LONGEST_TTL: Duration = Duration::from_secs(3600);

impl App {
    /// Claims `task` for `session`, or prolongs the claim if it holds it. Exactly one of any number of concurrent
    /// callers wins; the others get [`crate::ports::LockError::Held`] with the holder.
    pub async fn claim_task(
        &self,
        task: TaskId,
        session: SessionId,
        ttl: Option<Duration>,
    ) -> Result<Claim, AppError> {
        let ttl = ttl.unwrap_or(DEFAULT_TTL);
        if !(SHORTEST_TTL..=LONGEST_TTL).contains(&ttl) {
            return Err(Refusal::invalid("ttl must be between 1000 and 3600000 milliseconds").into());
        }
        let view = self.view();
        view.task(&task).ok_or_else(|| Refusal::unknown(&task))?;
        view.session_head(&session)
            .ok_or_else(|| Refusal::unknown(&session))?;
        let name = lock_name(&task);
        let given = self.locks.acquire(&name, session.as_str(), ttl).await;
        match &given {
            Ok(lease) => self.claims.given(&name, lease, Instant::now()),
            Err(LockError::Held(_)) => self.claims.refused(),
            Err(_) => {}
        }
        let lease = given?;
        Ok(claim(task, session, &lease, self.now()))
    }

    /// Who holds `task`.
    pub async fn task_claim(&self, task: TaskId) -> Result<Option<Claim>, AppError> {
        self.view().task(&task).ok_or_else(|| Refusal::unknown(&task))?;
        let Some(lease) = self.locks.holder(&lock_name(&task)).await? else {
            return Ok(None);
        };
        // Only sessions take these names; anything else would be another program's doing.
        let Ok(session) = SessionId::parse(&lease.owner) else {
            return Ok(None);
        };
        Ok(Some(claim(task, session, &lease, self.now())))
    }

    /// Gives `task` back; false if `session` did not hold it.
    pub async fn release_task(&self, task: TaskId, session: SessionId) -> Result<bool, AppError> {
        let name = lock_name(&task);
        let released = self.locks.release(&name, session.as_str()).await?;
        if released {
            self.claims.released(&name);
        }
        Ok(released)
    }

    /// Gives back everything a session holds: it, or its agent, has ended.
    pub(super) async fn release_claims(&self, session: &SessionId, ending: Ending) -> Result<(), AppError> {
        let names = self.locks.release_all(session.as_str()).await?;
        self.claims.ended(&names, ending);
        Ok(())
    }

    /// How claims went since the start.
    pub fn claim_counts(&self) -> ClaimCounts {
        self.claims.counts(Instant::now())
    }

    /// As [`App::release_claims`] for a session whose end is committed: nothing that goes wrong here undoes it. What
    /// cannot be given back now lapses.
    pub(super) async fn end_claims(&self, session: &SessionId) {
        if let Err(error) = self.release_claims(session, Ending::Session).await {
            warn!(%session, %error, "the claims of an ended session were not released; they will lapse");
        }
    }
}

fn lock_name(task: &TaskId) -> String {
    format!("task:{task}")
}

fn claim(task_id: TaskId, session_id: SessionId, lease: &Lease, now: Millis) -> Claim {
    let left = i64::try_from(lease.left.as_millis()).unwrap_or(i64::MAX);
    Claim {
        task_id,
        session_id,
        fence: lease.fence,
        expires_at: Millis(now.0.saturating_add(left)),
    }
}
