//! What a device does from outside, on the record: refused if it could not be written down, and on disk before it is
//! acknowledged. One rule for whatever it comes by.

use std::sync::Arc;

use crate::access::{Action, AuditError, Entry, Origin};
use crate::domain::{Device, Millis, ProjectId, Scope, SessionId};

use super::Hub;

/// Something that changes something, asked for by a device.
pub struct Deed {
    /// Whose it is.
    pub device: Arc<Device>,
    /// Where that came from.
    pub from: Origin,
    /// What it takes.
    pub scope: Scope,
    /// The request's id in the log, if it has one of its own.
    pub request: Option<String>,
}

/// What it was about, as far as that became known.
#[derive(Clone, Debug, Default)]
pub struct About {
    pub session: Option<SessionId>,
    pub project: Option<ProjectId>,
    /// Only its hash and its length are written down.
    pub text: Option<String>,
}

impl Deed {
    /// Does `work`, and writes down what `told` says of it: what it was about, and the code of the refusal if it was
    /// one. Whoever may hang up meanwhile is not to be waited with: run this in a task.
    ///
    /// # Errors
    /// When it cannot be written down. Known before, nothing is done.
    pub async fn on_record<T>(
        self,
        hub: &Hub,
        work: impl Future<Output = T>,
        told: impl FnOnce(&T) -> (About, Option<String>),
    ) -> Result<T, AuditError> {
        let audit = hub.devices().audit();
        audit.check()?;
        let done = work.await;
        let (about, refused) = told(&done);
        let line = self.line(about, refused, hub.app().now());
        audit.record(line).await?;
        Ok(done)
    }

    fn line(self, about: About, refused: Option<String>, now: Millis) -> Entry {
        let mut line = Entry::new(action(self.scope), now)
            .by_device(&self.device)
            .from(&self.from)
            .scope(self.scope);
        if let Some(code) = refused {
            line = line.refused(&code);
        }
        if let Some(request) = &self.request {
            line = line.request(request);
        }
        if let Some(session) = &about.session {
            line = line.session(session);
        }
        if let Some(project) = &about.project {
            line = line.project(project);
        }
        match &about.text {
            Some(text) => line.text(text),
            None => line,
        }
    }
}

fn action(scope: Scope) -> Action {
    match scope {
        Scope::View => Action::View,
        Scope::Answer => Action::Answer,
        Scope::Mail => Action::Mail,
        Scope::Prompt => Action::Prompt,
        Scope::Spawn => Action::Spawn,
        Scope::Admin => Action::Other,
    }
}
