//! Mailboxes of tests, which do one thing in their own way and hand on the rest.

use std::sync::Arc;

use crate::domain::{Letter, Mail, MailId, Millis, ProjectId, SessionId};
use crate::ports::{MailError, Mailbox, Once, Pending, Sending, Sent};

/// Stands before a mailbox. What is not written anew is its.
pub(crate) trait StandIn: Send + Sync + 'static {
    /// The mailbox behind.
    fn mailbox(&self) -> &dyn Mailbox;

    /// [`Mailbox::send`].
    fn on_send(&self, sending: Sending) -> Pending<'_, Result<Sent, MailError>> {
        self.mailbox().send(sending)
    }

    /// [`Mailbox::inbox`].
    fn on_inbox<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        since: Millis,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        self.mailbox().inbox(project, session, since)
    }
}

impl<T: StandIn> Mailbox for T {
    fn send(&self, sending: Sending) -> Pending<'_, Result<Sent, MailError>> {
        self.on_send(sending)
    }
    fn sent<'a>(
        &'a self,
        letter: &'a Letter,
        once: &'a Once,
    ) -> Pending<'a, Result<Option<Vec<Arc<Mail>>>, MailError>> {
        self.mailbox().sent(letter, once)
    }
    fn get<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>> {
        self.mailbox().get(id)
    }
    fn inbox<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        since: Millis,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        self.on_inbox(project, session, since)
    }
    fn written<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        self.mailbox().written(project, session, most)
    }
    fn thread<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        self.mailbox().thread(id)
    }
    fn delete<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>> {
        self.mailbox().delete(id)
    }
}
