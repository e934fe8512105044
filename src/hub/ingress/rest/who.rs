//! The device behind a request, and what it can reach: what lies in a project that is not its own is not there.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::domain::{Caller, Device, Id, Kind, Rendered, SessionHead, SessionId, Task, TaskId};
use crate::hub::phone::refusal::Refused;

use super::super::Phone;

/// The device that the lock of the route has let in.
pub struct Who(pub Arc<Device>);

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let caller = parts.extensions.get::<Caller>();
        let device = caller.and_then(Caller::device);
        // No lock, no device: a route that is open has no business asking.
        device.cloned().map(Self).ok_or_else(|| Refused::missing("page"))
    }
}

impl Who {
    /// As whom it acts.
    pub fn caller(&self) -> Caller {
        Caller::Device(self.0.clone())
    }

    /// Nothing, if `project` is not its own to see.
    pub fn reaches<T>(&self, project: &str, thing: T) -> Option<T> {
        self.0.reaches(Some(project)).then_some(thing)
    }

    /// The session of this id.
    pub fn session(&self, phone: &Phone, id: &str) -> Result<Arc<Rendered<SessionHead>>, Refused> {
        let missing = || Refused::missing("session");
        let id: SessionId = named(id).ok_or_else(missing)?;
        let head = phone.hub.app().view().session_head(&id).ok_or_else(missing)?;
        let project = head.project_id.clone();
        self.reaches(project.as_str(), head).ok_or_else(missing)
    }

    /// The task of this id.
    pub fn task(&self, phone: &Phone, id: &str) -> Result<Arc<Task>, Refused> {
        let missing = || Refused::missing("task");
        let id: TaskId = named(id).ok_or_else(missing)?;
        let task = phone.hub.app().view().task(&id).ok_or_else(missing)?;
        let project = task.project_id.clone();
        self.reaches(project.as_str(), task).ok_or_else(missing)
    }

    /// The project a request names, which it must.
    pub fn project<K: Kind>(&self, text: Option<&str>) -> Result<Id<K>, Refused> {
        let text = text.ok_or_else(|| Refused::invalid("projectId is required"))?;
        let id = named(text).and_then(|id| self.reaches(text, id));
        id.ok_or_else(|| Refused::missing("project"))
    }
}

fn named<K: Kind>(text: &str) -> Option<Id<K>> {
    Id::parse(text).ok()
}
