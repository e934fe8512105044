//! Where mail is kept now: a mailbox that can be closed while mail is moved into it, so that nobody sees half of it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{RwLock, RwLockReadGuard, watch},
    time::timeout,
};

use crate::domain::{Letter, Mail, MailId, Millis, ProjectId, SessionId};
use crate::ports::{MailArchive, MailError, Mailbox, Once, Pending, Sending, Sent};

use super::moving::{Place, carry};

/// How long somebody waits for a mailbox that is closed before being told to come back.
const PATIENCE: Duration = Duration::from_secs(2);

/// A place and its door. It begins closed: what was kept elsewhere comes first.
pub struct Home {
    place: Arc<dyn Place>,
    /// Shared by those who use the place, held alone by those who move.
    door: RwLock<()>,
    open: watch::Sender<bool>,
    patience: Duration,
}

impl Home {
    /// In `place`, closed.
    pub fn closed(place: Arc<dyn Place>) -> Self {
        Self {
            place,
            door: RwLock::new(()),
            open: watch::Sender::new(false),
            patience: PATIENCE,
        }
    }

    /// For tests: who finds it closed is told so at once.
    #[cfg(test)]
    pub(super) fn impatient(mut self) -> Self {
        self.patience = Duration::ZERO;
        self
    }

    /// Moves everything from `source` here while nobody else uses either; answers how many mails it were. If it fails, it
    /// can be tried again, in this life of the daemon or the next. Whether the door is open afterwards does not change.
    pub async fn take_in(&self, source: &dyn Place) -> Result<usize, MailError> {
        let _alone = self.door.write().await;
        carry(source, &*self.place).await
    }

    /// Lets everybody in. What an interrupted move has brought is taken back first: it comes again when the move can go
    /// on.
    pub async fn open(&self) -> Result<(), MailError> {
        let _alone = self.door.write().await;
        for from in self.place.unfinished().await? {
            self.place.undo(&from).await?;
        }
        self.open.send_replace(true);
        Ok(())
    }

    /// True once everybody was let in.
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// True while a move keeps everybody out.
    pub fn is_moving(&self) -> bool {
        self.door.try_read().is_err()
    }

    /// How many mails are here, however the door stands.
    pub async fn count(&self) -> Result<u64, MailError> {
        self.place.count().await
    }

    /// The newest mails, of one project or of all, newest first.
    pub async fn newest(&self, project: Option<&ProjectId>, most: usize) -> Result<Vec<Mail>, MailError> {
        let _inside = self.enter().await?;
        self.place.newest(project, most).await
    }

    async fn enter(&self) -> Result<RwLockReadGuard<'_, ()>, MailError> {
        let entered = timeout(self.patience, async {
            let mut open = self.open.subscribe();
            drop(open.wait_for(|open| *open).await); // the sender is ours: it cannot be gone
            self.door.read().await
        });
        entered.await.map_err(|_| MailError::Unavailable {
            reason: match self.is_open() {
                true => "mail is being moved".into(),
                false => "what was kept elsewhere has not been moved yet".into(),
            },
            retry_after_s: 1,
        })
    }
}

impl Mailbox for Home {
    fn send(&self, sending: Sending) -> Pending<'_, Result<Sent, MailError>> {
        Box::pin(async move {
            let _inside = self.enter().await?;
            self.place.send(sending).await
        })
    }

    fn sent<'a>(
        &'a self,
        letter: &'a Letter,
        once: &'a Once,
    ) -> Pending<'a, Result<Option<Vec<Arc<Mail>>>, MailError>> {
        Box::pin(async move {
            let _inside = self.enter().await?;
            self.place.sent(letter, once).await
        })
    }

    fn get<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>> {
        Box::pin(async move {
            let _inside = self.enter().await?;
            self.place.get(id).await
        })
    }

    fn inbox<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        since: Millis,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(async move {
            let _inside = self.enter().await?;
            self.place.inbox(project, session, since).await
        })
    }

    fn written<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(async move {
            let _inside = self.enter().await?;
            self.place.written(project, session, most).await
        })
    }

    fn thread<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(async move {
            let _inside = self.enter().await?;
            self.place.thread(id).await
        })
    }

    fn delete<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>> {
        Box::pin(async move {
            let _inside = self.enter().await?;
            self.place.delete(id).await
        })
    }
}

impl MailArchive for Home {
    fn put(&self, mails: Vec<Mail>) -> Pending<'_, Result<u64, MailError>> {
        Box::pin(async move {
            let _inside = self.enter().await?;
            self.place.put(mails).await
        })
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a MailId>,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(async move {
            let _inside = self.enter().await?;
            self.place.page(after, most).await
        })
    }
}
