//! What sessions tell of themselves, and what they are told: events, timeline, documents, prompts.

use crate::domain::{Caller, Log, Maybe, NewDoc, NewEntry, Prompt, Scope, Session, SessionId, TaskId};

use serde_json::Value;

use super::{App, AppError, apply::carry_out, known};

impl App {
    /// Keeps what a hook reported.
    pub async fn add_event(
        &self,
        id: SessionId,
        kind: String,
        data: Maybe<Value>,
    ) -> Result<Session, AppError> {
        self.change_session(id, move |session, tx| {
            Ok(session.add_event(kind, data, tx.mint()))
        })
        .await
    }

    /// Writes in a session's timeline.
    pub async fn add_entry(&self, id: SessionId, entry: NewEntry) -> Result<Session, AppError> {
        self.change_session(id, move |session, tx| Ok(session.add_entry(entry, tx.mint())))
            .await
    }

    /// Writes in the timeline of the session that `session` names, about a task. They need not be linked.
    pub async fn add_entry_for_task(
        &self,
        task: TaskId,
        session: String,
        entry: NewEntry,
    ) -> Result<(), AppError> {
        self.apply(move |tx| {
            known::task(&*tx, &task)?;
            let session = known::session(&*tx, &SessionId::named(&session)?)?;
            let change = session.add_entry(entry.on(task.as_str()), tx.mint());
            carry_out(tx, change);
            Ok(())
        })
        .await
    }

    /// Keeps a document that a session shows.
    pub async fn add_doc(&self, id: SessionId, doc: NewDoc) -> Result<Session, AppError> {
        self.change_session(id, move |session, tx| Ok(session.add_doc(doc, tx.mint())))
            .await
    }

    /// Documents of a session, in order of arrival.
    pub fn docs(&self, id: &SessionId) -> Result<Log, AppError> {
        let session = known::session(&*self.view(), id).map_err(AppError::from)?;
        Ok(session.docs)
    }

    /// Hands a text on to whoever owns the session's terminal.
    /// Who sends it is who `caller` has proved to be.
    pub async fn prompt(&self, caller: &Caller, id: SessionId, prompt: Prompt) -> Result<(), AppError> {
        let head = known::session_head(&*self.view(), &id)?;
        caller.permit(Scope::Prompt, Some(head.project_id.as_str()))?;
        let prompt = prompt.signed(caller)?;
        self.change_session(id, move |session, tx| session.prompt(prompt, tx.mint()))
            .await?;
        Ok(())
    }
}
