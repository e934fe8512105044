//! Which team members sessions turn out to be.

use std::sync::Arc;

use crate::domain::{MemberId, Millis, ProjectId, Rendered, SessionHead, SessionId, Snapshot};
use crate::ports::View;

use super::{App, AppError, members::find_member};

impl App {
    /// Lets sessions take on the members that their metadata names, silently (quirk 19): from then on mail to the
    /// member finds them. True if one of them did.
    pub(super) async fn enrich(&self, heads: &[Arc<Rendered<SessionHead>>]) -> Result<bool, AppError> {
        let (view, now) = (self.view(), self.now());
        let ready = |head: &&Arc<Rendered<SessionHead>>| {
            let pending = head.pending_identities();
            pending
                .iter()
                .any(|id| snapshot(&*view, &head.project_id, id, now).is_some())
        };
        let ready: Vec<SessionId> = heads.iter().filter(ready).map(|head| head.id.clone()).collect();
        if ready.is_empty() {
            return Ok(false);
        }
        self.apply(move |tx| {
            for id in ready {
                let Some(mut session) = tx.session(&id)? else {
                    continue;
                };
                let (project, now) = (session.head.project_id.clone(), tx.now());
                if session.head_mut().enrich(|id| snapshot(&*tx, &project, id, now)) {
                    tx.put_session(session);
                }
            }
            Ok(true)
        })
        .await
    }
}

/// What the member of `project` that `id` names looks like.
fn snapshot(view: &dyn View, project: &ProjectId, id: &str, now: Millis) -> Option<Snapshot> {
    let member = find_member(view, project, &MemberId::parse(id).ok()?, now)?;
    Some(Snapshot::of(&member))
}
