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
//! the source forgets only what was moved: it may have been written to since, if it was used again meanwhile. Whoever
//! turns round in the middle ends the interrupted move first, or its record would later speak of what is no longer so.

use crate::crash;
use crate::domain::{Mail, MailId, ProjectId};
use crate::ports::{MailArchive, MailError, Mailbox, Pending};

use super::receipt::Receipt;

/// Mails moved at once.
const TOGETHER: usize = 500;

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
    /// What is not to be sent again, of the last day.
    fn receipts(&self) -> Pending<'_, Result<Vec<Receipt>, MailError>>;
    /// Remembers receipts of another place; those that are known already stay as they are.
    fn keep(&self, receipts: Vec<Receipt>) -> Pending<'_, Result<(), MailError>>;
    /// Sources of moves that were interrupted while copies came in. Of a place that others use too, none: they may be
    /// at it.
    fn unfinished(&self) -> Pending<'_, Result<Vec<String>, MailError>>;
    /// The newest mails, of one project or of all, newest first.
    fn newest<'a>(
        &'a self,
        project: Option<&'a ProjectId>,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>>;
    /// How many mails are here.
    fn count(&self) -> Pending<'_, Result<u64, MailError>>;
}

/// Moves everything from `source` to `place`, or goes on with a move that was interrupted; answers how many mails were
/// moved. Nobody may change either of them meanwhile.
pub(super) async fn carry(source: &dyn Place, place: &dyn Place) -> Result<usize, MailError> {
    let from = &*source.name().await?;
    end_the_other_way(source, place).await?;
    // First: a sending whose mail is here is known here. They lapse by themselves where they were.
    place.keep(source.receipts().await?).await?;
    crash::point("carry.remembered");
    let mut moved = 0;
    loop {
        match place.stage(from).await? {
            Stage::Nothing => {}
            Stage::Receiving => {
                place.undo(from).await?;
                crash::point("carry.undone");
            }
            Stage::Complete => {
                let ids = place.received(from).await?;
                moved += ids.len();
                source.forget(ids).await?;
                crash::point("carry.forgotten");
                place.finish(from).await?;
                crash::point("carry.finished");
            }
        }
        if copy(source, place, from).await? == 0 {
            return Ok(moved);
        }
        crash::point("carry.copied");
        place.settle().await?;
        crash::point("carry.settled");
        prove(source, place).await?;
        crash::point("carry.proved");
        place.complete(from).await?;
        crash::point("carry.complete");
    }
}

/// Ends a move from `place` to `source` that was interrupted.
async fn end_the_other_way(source: &dyn Place, place: &dyn Place) -> Result<(), MailError> {
    let from = &*place.name().await?;
    match source.stage(from).await? {
        Stage::Nothing => Ok(()),
        Stage::Receiving => source.undo(from).await,
        Stage::Complete => {
            place.forget(source.received(from).await?).await?;
            source.finish(from).await
        }
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
        crash::point("carry.received");
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

#[cfg(test)]
mod tests;
