//! The committed state at one instant.

use std::sync::Arc;

use crate::domain::{
    Member, MemberId, Ordering, OrderingKind, Project, ProjectId, Rendered, Session, SessionHead, SessionId,
    Task, TaskId,
};
use crate::ports::{StoreError, View};

use super::{
    embedded::Shared,
    model::{Model, SessionEntry, view_of_model},
};

/// Holds the model of its instant; histories are read when asked for, as they were then.
pub(super) struct Snapshot {
    pub(super) model: Arc<Model>,
    pub(super) shared: Arc<Shared>,
}

impl View for Snapshot {
    view_of_model!();

    fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let Some(entry) = self.model.sessions.get(id) else {
            return Ok(None);
        };
        if let Some(session) = self.read(entry)? {
            return Ok(Some(session));
        }
        // It was removed or replaced since: the newest state knows.
        let newest = self.shared.committed();
        match newest.sessions.get(id) {
            Some(entry) => self.read(entry),
            None => Ok(None),
        }
    }

    fn session_at_hand(&self, id: &SessionId) -> Option<Session> {
        let entry = self.model.sessions.get(id)?;
        let logs = entry.histories.cached()?;
        self.shared.cache.used(&entry.histories);
        Some(logs.with(entry.head.clone()))
    }

    fn sessions(&self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        let entries = ids.iter().filter_map(|id| self.model.sessions.get(id));
        let mut missing = entries
            .filter(|entry| entry.histories.cached().is_none())
            .peekable();
        if missing.peek().is_some() {
            self.shared.db.read_blocking(|db| {
                missing.try_for_each(|entry| {
                    entry.histories.load(db)?;
                    self.shared.cache.used(&entry.histories);
                    Ok(())
                })
            })?;
        }
        let found = ids.iter().map(|id| self.session(id));
        found.filter_map(Result::transpose).collect()
    }
}

impl Snapshot {
    fn read(&self, entry: &SessionEntry) -> Result<Option<Session>, StoreError> {
        let logs = match entry.histories.cached() {
            Some(logs) => Some(logs),
            None => self.shared.db.read_blocking(|db| entry.histories.load(db))?,
        };
        self.shared.cache.used(&entry.histories);
        Ok(logs.map(|logs| logs.with(entry.head.clone())))
    }
}
