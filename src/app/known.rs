//! What a caller names must be there: lookups that refuse in the contract's words.

use std::sync::Arc;

use crate::domain::{Project, ProjectId, Refusal, Rendered, Session, SessionHead, SessionId, Task, TaskId};
use crate::ports::{CommitError, View};

/// The project that `text` names.
pub(super) fn project(view: &dyn View, text: &str) -> Result<Arc<Project>, Refusal> {
    let id = ProjectId::named(text)?;
    view.project(&id).ok_or_else(|| Refusal::unknown(&id))
}

/// The task that `id` names.
pub(super) fn task(view: &dyn View, id: &TaskId) -> Result<Arc<Task>, Refusal> {
    view.task(id).ok_or_else(|| Refusal::unknown(id))
}

/// The task that `text` names, if it names one.
pub(super) fn task_named(view: &dyn View, text: &str) -> Option<Arc<Task>> {
    view.task(&TaskId::parse(text).ok()?)
}

/// The session that `id` names, with its histories.
pub(super) fn session(view: &dyn View, id: &SessionId) -> Result<Session, CommitError> {
    Ok(view.session(id)?.ok_or_else(|| Refusal::unknown(id))?)
}

/// The session that `id` names, without its histories.
pub(super) fn session_head(view: &dyn View, id: &SessionId) -> Result<Arc<Rendered<SessionHead>>, Refusal> {
    view.session_head(id).ok_or_else(|| Refusal::unknown(id))
}
