//! Mail in Redis: a hash per mail, a stream per inbox and per project's broadcasts, a sorted set per project.
//!
//! | key below the prefix | holds |
//! |---|---|
//! | `<mail>` | `createdAt`, `letter` (JSON), `to` unless for everybody, `threadId` unless its own |
//! | `inbox:<session>`, `broadcast:<project>` | a stream: `id`, `project`; entry ids begin with the mail's time |
//! | `project:<project>` | a sorted set: the project's mails by time |
//! | `thread:<mail>` | a sorted set: the replies of a conversation by time |
//! | `clock` | a hash: the newest time each project's mail ever had |
//! | `sent:<session>:<key>` | what a sending under this idempotency key made, for a day |
//! | `moving:<source>`, `received:<source>` | the stage of a move into here; a hash of the mails it brought: the project of new ones, or '' |
//! | `this:name` | the name of all this as a source |
//! | `this:hubs` | a set: the hubs that keep their mail here |
//!
//! Every change is one script: all of it happens or nothing. A sending whose answer was lost is asked for again under the
//! same ids, and one that the server gets to after its sender gave up is not carried out. An answer waits until the server
//! has written its log. What was deleted from the
//! hashes or trimmed from the streams by others is passed over.

mod archive;
mod hubs;
mod place;
mod receipts;
mod reply;
mod send;
mod written;

use std::{sync::Arc, time::Duration};

use redis::{Script, pipe};

use crate::domain::{Letter, Mail, MailId, Millis, ProjectId, SessionId};
use crate::ports::{Clock, MailError, Mailbox, Once, Pending, Sending, Sent};
use crate::redis_link::{LinkError, RedisLink, Trouble};

use self::{
    reply::{Entry, Kept},
    written::{Written, times_up},
};
use super::pen::Pen;

/// How long a sending without an answer is asked for again, before the sender is told that it failed. The server carries
/// out nothing that it gets to later.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a server that syncs its log every second is given for it.
const SYNC: Duration = Duration::from_millis(2500);

/// Mails fetched with one round trip.
const TOGETHER: usize = 500;

/// Which projects.
type Only = Arc<dyn Fn(&ProjectId) -> bool + Send + Sync>;

/// A mailbox in Redis. Clones share it.
#[derive(Clone)]
pub struct StreamMailbox {
    shared: Arc<Shared>,
    /// Of these projects alone it is moved and counted; all others have theirs here too.
    only: Option<Only>,
}

struct Shared {
    link: RedisLink,
    prefix: String,
    pen: Pen,
    scripts: Scripts,
    written: Written,
    patience: Duration,
    sync: Duration,
}

struct Scripts {
    send: Script,
    put: Script,
    remove: Script,
}

impl StreamMailbox {
    /// The mailbox behind `link`, whose keys begin with `prefix`.
    pub fn new(link: RedisLink, prefix: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        let scripts = Scripts {
            send: Script::new(include_str!("send.lua")),
            put: Script::new(include_str!("put.lua")),
            remove: Script::new(include_str!("remove.lua")),
        };
        Self {
            shared: Arc::new(Shared {
                link,
                prefix: prefix.into(),
                pen: Pen::new(clock),
                scripts,
                written: Written::default(),
                patience: PATIENCE,
                sync: SYNC,
            }),
            only: None,
        }
    }

    /// The same mailbox, of which only the mail of some projects is counted and moved elsewhere.
    pub fn of_projects(mut self, only: impl Fn(&ProjectId) -> bool + Send + Sync + 'static) -> Self {
        self.only = Some(Arc::new(only));
        self
    }

    /// For tests that are not about disks.
    #[cfg(test)]
    pub fn without_syncing(mut self) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.sync = Duration::ZERO;
        }
        self
    }

    fn key(&self, rest: impl std::fmt::Display) -> String {
        format!("{}{rest}", self.shared.prefix)
    }

    /// These mails, in this order; those that are gone are left out.
    async fn fetch(&self, ids: &[MailId]) -> Result<Vec<Mail>, MailError> {
        let mut mails = Vec::with_capacity(ids.len());
        for ids in ids.chunks(TOGETHER) {
            let mut pipe = pipe();
            for id in ids {
                pipe.cmd("HMGET").arg(self.key(id)).arg(&Kept::FIELDS);
            }
            let found: Vec<Kept> = self.shared.link.pipeline(&pipe).await.map_err(unavailable)?;
            for (id, kept) in ids.iter().zip(found) {
                mails.extend(kept.into_mail(id)?);
            }
        }
        Ok(mails)
    }

    async fn find(&self, id: &MailId) -> Result<Option<Mail>, MailError> {
        Ok(self.fetch(std::slice::from_ref(id)).await?.pop())
    }

    async fn inbox_of(
        &self,
        project: &ProjectId,
        session: &SessionId,
        since: Millis,
    ) -> Result<Vec<Mail>, MailError> {
        let first = since.0.saturating_add(1).max(0);
        let mut pipe = pipe();
        for stream in [format!("inbox:{session}"), format!("broadcast:{project}")] {
            pipe.cmd("XRANGE").arg(self.key(stream)).arg(first).arg("+");
        }
        let (own, all): (Vec<Entry>, Vec<Entry>) =
            self.shared.link.pipeline(&pipe).await.map_err(unavailable)?;
        let of_project = own.into_iter().filter(|entry| entry.project == project.as_str());
        let ids: Vec<MailId> = of_project.chain(all).filter_map(|entry| entry.id()).collect();
        let mut mails = self.fetch(&ids).await?;
        mails.retain(|mail| mail.created_at > since); // streams have no place before their first millisecond
        mails.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(mails)
    }

    /// Looked for among the newest of the project, as many as are fetched together.
    async fn written_by(
        &self,
        project: &ProjectId,
        session: &SessionId,
        most: usize,
    ) -> Result<Vec<Mail>, MailError> {
        let mut command = redis::cmd("ZREVRANGE");
        command
            .arg(self.key(format!("project:{project}")))
            .arg(0)
            .arg(TOGETHER - 1);
        let newest: Vec<String> = self.shared.link.query(&command).await.map_err(unavailable)?;
        let ids: Vec<MailId> = newest.iter().filter_map(|id| MailId::parse(id).ok()).collect();
        let mut mails = self.fetch(&ids).await?;
        mails.retain(|mail| mail.from_session_id == *session);
        mails.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        mails.drain(..mails.len().saturating_sub(most));
        Ok(mails)
    }

    async fn conversation(&self, id: &MailId) -> Result<Vec<Mail>, MailError> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(self.key(format!("thread:{id}"))).arg(0).arg(-1);
        let replies: Vec<String> = self.shared.link.query(&command).await.map_err(unavailable)?;
        let replies = replies.iter().filter_map(|reply| MailId::parse(reply).ok());
        let ids: Vec<MailId> = std::iter::once(id.clone()).chain(replies).collect();
        let mut mails = self.fetch(&ids).await?;
        mails.retain(|mail| mail.thread_id == *id); // the mail of that name may belong to another conversation
        mails.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(mails)
    }

    async fn remove(&self, id: &MailId) -> Result<Option<Mail>, MailError> {
        let Some(mail) = self.find(id).await? else {
            return Ok(None);
        };
        let Shared { link, written, .. } = &*self.shared;
        let times = times_up(link);
        let removed = self
            .remove_all([(id.clone(), mail.project_id.to_string())])
            .await?;
        written.wait(link, times).await.map_err(unavailable)?;
        Ok((removed == 1).then_some(mail))
    }
}

impl Mailbox for StreamMailbox {
    fn send(&self, sending: Sending) -> Pending<'_, Result<Sent, MailError>> {
        Box::pin(self.carry_out(sending))
    }

    fn sent<'a>(
        &'a self,
        letter: &'a Letter,
        once: &'a Once,
    ) -> Pending<'a, Result<Option<Vec<Arc<Mail>>>, MailError>> {
        Box::pin(self.recall(letter, once))
    }

    fn get<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>> {
        Box::pin(self.find(id))
    }

    fn inbox<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        since: Millis,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(self.inbox_of(project, session, since))
    }

    fn written<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(self.written_by(project, session, most))
    }

    fn thread<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        Box::pin(self.conversation(id))
    }

    fn delete<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>> {
        Box::pin(self.remove(id))
    }
}

/// What a caller is told when Redis does not do its part.
fn unavailable(error: LinkError) -> MailError {
    let retry_after_s = match error.trouble() {
        None => return MailError::Engine(error.to_string().into()),
        // Over in a moment, most often.
        Some(Trouble::Unknown | Trouble::Unreachable(_) | Trouble::Loading | Trouble::Busy) => 1,
        Some(Trouble::Silent) => 2,
        // Until somebody does something about it.
        Some(
            Trouble::Unauthenticated
            | Trouble::Forbidden(_)
            | Trouble::ReadOnly
            | Trouble::OutOfMemory
            | Trouble::Unsaved(_)
            | Trouble::Unsuitable(_),
        ) => 10,
    };
    MailError::Unavailable {
        reason: error.to_string(),
        retry_after_s,
    }
}

#[cfg(test)]
mod tests;
