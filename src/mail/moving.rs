//! Mail moves when its backend changes: completely, once, and the old copy stays until the new one is proved.
//!
//! The place that is moved into keeps the record of the move, so that it can go on after an interruption at any point:
//!
//! | stage | means | after an interruption |
//! |---|---|---|
//! | nothing | no move has begun, or all is done | it begins |
//! | receiving | some mails were copied; the source is whole | the copies are taken back, and it begins again |
//! | complete | all were copied, and found to be there | the source forgets exactly those |
//!
//! Copies are taken back because a mail may be deleted at its source before the move goes on; it must not come back. And
//! the source forgets only what was moved: it may have been written to since, if it was used again meanwhile.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{RwLock, RwLockReadGuard},
    time::timeout,
};
use tracing::info;

use crate::domain::{Letter, Mail, MailId, Millis, ProjectId, SessionId};
use crate::ports::{MailArchive, MailError, Mailbox, Once, Pending, Sending, Sent};

/// Mails moved at once.
const TOGETHER: usize = 500;

/// How long somebody waits for the end of a move before being told to come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far a move into a place has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No move.
    Nothing,
    /// Copies are coming in.
    Receiving,
    /// All copies are here; the source may be wiped.
    Complete,
}

/// A mailbox that mail can be moved into and out of. `from` names the source of a move, among all of them.
pub trait Place: Mailbox + MailArchive {
    /// The name of this place as a source.
    fn name(&self) -> Pending<'_, Result<String, MailError>>;
    /// How far the move has come.
    fn stage<'a>(&'a self, from: &'a str) -> Pending<'a, Result<Stage, MailError>>;
    /// Stores copies, and remembers all of them, and which were new: the stage becomes `Receiving` with the first.
    fn receive<'a>(&'a self, from: &'a str, mails: Vec<Mail>) -> Pending<'a, Result<(), MailError>>;
    /// Takes back the copies that were new: the stage becomes `Nothing`.
    fn undo<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>>;
    /// What was received so far.
    fn received<'a>(&'a self, from: &'a str) -> Pending<'a, Result<Vec<MailId>, MailError>>;
    /// Answers when what was received is as durable as it will ever be.
    fn settle(&self) -> Pending<'_, Result<(), MailError>>;
    /// Which of these are not here.
    fn missing(&self, ids: Vec<MailId>) -> Pending<'_, Result<Vec<MailId>, MailError>>;
    /// The stage becomes `Complete`.
    fn complete<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>>;
    /// The stage becomes `Nothing`; the copies stay.
    fn finish<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>>;
    /// Removes mails that are elsewhere now. Nothing is told of it.
    fn forget(&self, ids: Vec<MailId>) -> Pending<'_, Result<(), MailError>>;
}

/// Moves everything from `source` to `place`, or goes on with a move that was interrupted; answers how many mails were
/// moved. Nobody may change either of them meanwhile.
pub(super) async fn carry(source: &dyn Place, place: &dyn Place) -> Result<usize, MailError> {
    let from = &*source.name().await?;
    let mut moved = 0;
    loop {
        match place.stage(from).await? {
            Stage::Nothing => {}
            Stage::Receiving => place.undo(from).await?,
            Stage::Complete => {
                let ids = place.received(from).await?;
                moved += ids.len();
                source.forget(ids).await?;
                place.finish(from).await?;
            }
        }
        if copy(source, place, from).await? == 0 {
            return Ok(moved);
        }
        place.settle().await?;
        prove(source, place).await?;
        place.complete(from).await?;
    }
}

async fn copy(source: &dyn Place, place: &dyn Place, from: &str) -> Result<usize, MailError> {
    let (mut copied, mut last) = (0, None);
    loop {
        let page = source.page(last.as_ref(), TOGETHER).await?;
        let Some(mail) = page.last() else {
            return Ok(copied);
        };
        last = Some(mail.id.clone());
        copied += page.len();
        place.receive(from, page).await?;
    }
}

/// The old copy is given up only after every single mail was seen in the new place.
async fn prove(source: &dyn Place, place: &dyn Place) -> Result<(), MailError> {
    let mut last = None;
    loop {
        let page = source.page(last.as_ref(), TOGETHER).await?;
        let Some(mail) = page.last() else { return Ok(()) };
        last = Some(mail.id.clone());
        let missing = place
            .missing(page.into_iter().map(|mail| mail.id).collect())
            .await?;
        if !missing.is_empty() {
            let text = format!("{} mails did not arrive; the old copy was kept", missing.len());
            return Err(MailError::Engine(text.into()));
        }
    }
}

/// Where mail is kept now, if need be after it was moved there.
pub struct Home {
    place: Arc<dyn Place>,
    /// Shared by those who use the place; true once it may be used.
    open: RwLock<bool>,
}

impl Home {
    /// In `place`, to which nothing has to be moved before it is used. Takes back what an interrupted move from `from`
    /// had brought, so that nobody sees half of it.
    pub async fn open(place: Arc<dyn Place>, from: Option<&str>) -> Result<Self, MailError> {
        if let Some(from) = from
            && place.stage(from).await? == Stage::Receiving
        {
            place.undo(from).await?;
        }
        let open = RwLock::new(true);
        Ok(Self { place, open })
    }

    /// In `place`, which is not to be used before [`take_over`](Self::take_over) has succeeded once.
    pub fn closed(place: Arc<dyn Place>) -> Self {
        let open = RwLock::new(false);
        Self { place, open }
    }

    /// Moves everything from `source` here while nobody else uses either; answers how many mails it were. If it fails, it
    /// can be tried again, in this life of the daemon or the next.
    pub async fn take_over(&self, source: &dyn Place) -> Result<usize, MailError> {
        let mut open = self.open.write().await;
        let moved = carry(source, &*self.place).await?;
        *open = true;
        if moved > 0 {
            info!(mails = moved, "mail was moved to where it is kept now");
        }
        Ok(moved)
    }

    async fn enter(&self) -> Result<RwLockReadGuard<'_, bool>, MailError> {
        let not_now = |reason: &str| MailError::Unavailable {
            reason: reason.to_owned(),
            retry_after_s: 1,
        };
        match timeout(PATIENCE, self.open.read()).await {
            Ok(open) if *open => Ok(open),
            Ok(_) => Err(not_now("what was kept elsewhere has not been moved yet")),
            Err(_) => Err(not_now("mail is being moved")),
        }
    }
}

impl Mailbox for Home {
    fn send(&self, sending: Sending) -> Pending<'_, Result<Sent, MailError>> {
        Box::pin(async move {
            let _open = self.enter().await?;
            self.place.send(sending).await
        })
    }

    fn sent<'a>(
        &'a self,
        letter: &'a Letter,
        once: &'a Once,
    ) -> Pending<'a, Result<Option<Vec<Arc<Mail>>>, MailError>> {
        Box::pin(async move {
            let _open = self.enter().await?;
            self.place.sent(letter, once).await
        })
    }

    fn get<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>> {
        Box::pin(async move {
            let _open = self.enter().await?;
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
            let _open = self.enter().await?;
            self.place.inbox(project, session, since).await
        })
    }

    fn thread<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(async move {
            let _open = self.enter().await?;
            self.place.thread(id).await
        })
    }

    fn delete<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>> {
        Box::pin(async move {
            let _open = self.enter().await?;
            self.place.delete(id).await
        })
    }
}

impl MailArchive for Home {
    fn put(&self, mails: Vec<Mail>) -> Pending<'_, Result<u64, MailError>> {
        Box::pin(async move {
            let _open = self.enter().await?;
            self.place.put(mails).await
        })
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a MailId>,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(async move {
            let _open = self.enter().await?;
            self.place.page(after, most).await
        })
    }
}

#[cfg(test)]
mod tests;
