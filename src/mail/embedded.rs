//! Mail in the hub's own database, beside its records: one file, one backup, one `fsync` for both.
//!
//! Every row an inbox has to skip would be paid at each poll, so the index leads straight to a recipient's own mail:
//! project, recipient, time. It does not decide who receives what, or wake anybody.

mod archive;
mod elsewhere;
mod place;
mod receipts;
#[cfg(test)]
mod tests;

pub use elsewhere::Elsewhere;

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::domain::{Letter, Mail, MailId, Millis, ProjectId, SessionId};
use crate::ports::{Clock, MailError, Mailbox, Once, Pending, Sending, Sent};
use crate::sqlite::{Chapter, Database, SqliteError};

use super::{pen::Pen, receipt::REMEMBERED};

/// The tables of mail.
pub const CHAPTER: Chapter = Chapter {
    name: "mail",
    migrations: &[
        "
        CREATE TABLE mail (
            seq        INTEGER PRIMARY KEY,
            id         TEXT NOT NULL UNIQUE,
            project    TEXT NOT NULL,
            recipient  TEXT,              -- NULL: everybody in the project
            thread     TEXT NOT NULL,
            created_at INTEGER NOT NULL,  -- milliseconds
            json       TEXT NOT NULL      -- as the API shows it
        );
        CREATE INDEX mail_inbox ON mail (project, recipient, created_at, id);
        CREATE INDEX mail_thread ON mail (thread, created_at, id);
        -- The newest time a project's mail ever had: deleting mail must not turn it back.
        CREATE TABLE mail_clock (project TEXT PRIMARY KEY, newest INTEGER NOT NULL);
        -- Sendings that are not to be carried out again.
        CREATE TABLE mail_sent (
            sender      TEXT NOT NULL,
            key         TEXT NOT NULL,
            fingerprint BLOB NOT NULL,
            sent_at     INTEGER NOT NULL,
            mails       TEXT NOT NULL,
            PRIMARY KEY (sender, key)
        );
        CREATE INDEX mail_sent_at ON mail_sent (sent_at);
    ",
        "
        -- Moves into here: their stages, the mails each has brought so far, and which of them were new. And our name as a source.
        CREATE TABLE mail_move (source TEXT PRIMARY KEY, complete INTEGER NOT NULL);
        CREATE TABLE mail_received (
            source TEXT NOT NULL,
            id     TEXT NOT NULL,
            new    INTEGER NOT NULL,
            PRIMARY KEY (source, id)
        );
        CREATE TABLE mail_name (name TEXT NOT NULL);
        INSERT INTO mail_name VALUES (lower(hex(randomblob(8))));
    ",
        "
        -- Places outside this file in which mail of this hub may lie.
        CREATE TABLE mail_elsewhere (
            kind    TEXT NOT NULL,
            address TEXT NOT NULL,
            login   INTEGER NOT NULL,
            prefix  TEXT NOT NULL,
            PRIMARY KEY (kind, address, prefix)
        );
    ",
    ],
};

const INBOX: &str = "
    SELECT created_at, id, json FROM mail WHERE project = ?1 AND recipient = ?2 AND created_at > ?3
    UNION ALL
    SELECT created_at, id, json FROM mail WHERE project = ?1 AND recipient IS NULL AND created_at > ?3
    ORDER BY created_at, id";

/// Looked for among the newest thousand of a project: senders have no index, people write little, and only a phone asks.
const WRITTEN: &str = "
    SELECT created_at, id, json FROM (
        SELECT created_at, id, json FROM mail WHERE project = ?1 ORDER BY created_at DESC, id DESC LIMIT 1000
    ) WHERE json_extract(json, '$.fromSessionId') = ?2
    ORDER BY created_at DESC, id DESC LIMIT ?3";

/// Reads at once. Each occupies a thread that may block; thousands of waiters look into their inboxes together.
const READS: usize = 4;

/// A mailbox in the hub's database. Clones share it.
#[derive(Clone)]
pub struct EmbeddedMailbox {
    db: Database,
    reads: Arc<Semaphore>,
    pen: Arc<Pen>,
}

impl EmbeddedMailbox {
    /// The mailbox in `db`, which was opened with [`CHAPTER`].
    pub fn new(db: Database, clock: Arc<dyn Clock>) -> Self {
        Self {
            db,
            reads: Arc::new(Semaphore::new(READS)),
            pen: Arc::new(Pen::new(clock)),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, MailError> {
        let _permit = self
            .reads
            .acquire()
            .await
            .map_err(|_| MailError::from(SqliteError::Stopping))?;
        Ok(self
            .db
            .read(move |db| Ok(query(db)))
            .await
            .map_err(Failure::from)??)
    }
}

impl Mailbox for EmbeddedMailbox {
    fn send(&self, sending: Sending) -> Pending<'_, Result<Sent, MailError>> {
        let pen = self.pen.clone();
        let written = self.db.write(move |db| carry_out(db, &sending, &pen));
        Box::pin(async move { Ok(written.await?) })
    }

    fn sent<'a>(
        &'a self,
        letter: &'a Letter,
        once: &'a Once,
    ) -> Pending<'a, Result<Option<Vec<Arc<Mail>>>, MailError>> {
        let (letter, once, now) = (letter.clone(), once.clone(), self.pen.now());
        Box::pin(self.read(move |db| recall(db, &letter, &once, now)))
    }

    fn get<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>> {
        let id = id.clone();
        Box::pin(self.read(move |db| find(db, &id)))
    }

    fn inbox<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        since: Millis,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        let (project, session) = (project.clone(), session.clone());
        Box::pin(self.read(move |db| {
            let mut statement = db.prepare_cached(INBOX)?;
            collect(statement.query((project.as_str(), session.as_str(), since.0))?)
        }))
    }

    fn written<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        let (project, session) = (project.clone(), session.clone());
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        Box::pin(self.read(move |db| {
            let mut statement = db.prepare_cached(WRITTEN)?;
            let mut mails = collect(statement.query((project.as_str(), session.as_str(), most))?)?;
            mails.reverse();
            Ok(mails)
        }))
    }

    fn thread<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        let id = id.clone();
        Box::pin(self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT created_at, id, json FROM mail WHERE thread = ?1 ORDER BY created_at, id",
            )?;
            collect(statement.query([id.as_str()])?)
        }))
    }

    fn delete<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>> {
        let id = id.clone();
        let deleted = self.db.write(move |db| {
            let mail = find(db, &id)?;
            db.prepare_cached("DELETE FROM mail WHERE id = ?1")?
                .execute([id.as_str()])?;
            Ok::<_, Failure>(mail)
        });
        Box::pin(async move { Ok(deleted.await?) })
    }
}

fn carry_out(db: &Connection, sending: &Sending, pen: &Pen) -> Result<Sent, Failure> {
    let now = pen.now();
    if let Some(once) = &sending.once
        && let Some(mails) = recall(db, &sending.letter, once, now)?
    {
        return Ok(Sent {
            mails,
            repeated: true,
        });
    }
    let answered = match &sending.letter.reply_to_mail_id {
        Some(answered) => thread_of(db, answered)?,
        None => None,
    };
    let (thread, not_before) = answered.map_or((None, now), |(thread, at)| (Some(thread), at));
    let at = tick(db, &sending.letter.project_id, now.max(not_before))?;
    let ids = pen.ids(at, sending.to.len());
    let mails: Vec<Arc<Mail>> = ids
        .into_iter()
        .zip(&sending.to)
        .map(|(id, to)| Arc::new(sending.letter.seal(id, at, to.clone(), thread.clone())))
        .collect();
    for mail in &mails {
        put(db, mail)?;
    }
    if let Some(once) = &sending.once {
        remember(db, &sending.letter, once, now, &mails)?;
    }
    let repeated = false;
    Ok(Sent { mails, repeated })
}

/// The time of a project's next mail: now, or just after the newest it ever had.
fn tick(db: &Connection, project: &ProjectId, now: Millis) -> Result<Millis, Failure> {
    let at = db
        .prepare_cached(
            "INSERT INTO mail_clock VALUES (?1, ?2)
             ON CONFLICT (project) DO UPDATE SET newest = max(newest + 1, excluded.newest)
             RETURNING newest",
        )?
        .query_row((project.as_str(), now.0), |row| row.get(0))?;
    Ok(Millis(at))
}

fn put(db: &Connection, mail: &Mail) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO mail (id, project, recipient, thread, created_at, json) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        mail.id.as_str(),
        mail.project_id.as_str(),
        mail.to_session_id.as_ref().map(SessionId::as_str),
        mail.thread_id.as_str(),
        mail.created_at.0,
        serde_json::to_string(mail)?,
    ))?;
    Ok(())
}

/// The conversation of a mail, and the first instant after it: a reply in another project is later, too.
fn thread_of(db: &Connection, id: &MailId) -> Result<Option<(MailId, Millis)>, Failure> {
    let found = db
        .prepare_cached("SELECT thread, created_at FROM mail WHERE id = ?1")?
        .query_row([id.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    Ok(found.and_then(|(thread, at)| Some((MailId::parse(&thread).ok()?, Millis(at + 1)))))
}

fn find(db: &Connection, id: &MailId) -> Result<Option<Mail>, Failure> {
    let json = db
        .prepare_cached("SELECT json FROM mail WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get::<_, String>(0))
        .optional()?;
    Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
}

/// Mails out of rows whose third column is their JSON.
fn collect(mut rows: rusqlite::Rows<'_>) -> Result<Vec<Mail>, Failure> {
    let mut mails = Vec::new();
    while let Some(row) = rows.next()? {
        mails.push(serde_json::from_str(
            row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?,
        )?);
    }
    Ok(mails)
}

/// What a remembered sending made, as far as its letter does not say it: the same key comes with the same letter.
#[derive(Serialize, Deserialize)]
struct Receipt {
    id: MailId,
    to: Option<SessionId>,
    thread: MailId,
    at: Millis,
}

fn remember(
    db: &Connection,
    letter: &Letter,
    once: &Once,
    now: Millis,
    mails: &[Arc<Mail>],
) -> Result<(), Failure> {
    db.prepare_cached("DELETE FROM mail_sent WHERE sent_at <= ?1")?
        .execute([now.0.saturating_sub(REMEMBERED)])?;
    let receipts: Vec<Receipt> = mails
        .iter()
        .map(|mail| Receipt {
            id: mail.id.clone(),
            to: mail.to_session_id.clone(),
            thread: mail.thread_id.clone(),
            at: mail.created_at,
        })
        .collect();
    db.prepare_cached("INSERT OR REPLACE INTO mail_sent VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((
            letter.from_session_id.as_str(),
            once.key.as_str(),
            once.fingerprint,
            now.0,
            serde_json::to_string(&receipts)?,
        ))?;
    Ok(())
}

fn recall(
    db: &Connection,
    letter: &Letter,
    once: &Once,
    now: Millis,
) -> Result<Option<Vec<Arc<Mail>>>, Failure> {
    let row = |row: &Row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, String>(1)?));
    let found = db
        .prepare_cached(
            "SELECT fingerprint, mails FROM mail_sent WHERE sender = ?1 AND key = ?2 AND sent_at > ?3",
        )?
        .query_row(
            (
                letter.from_session_id.as_str(),
                once.key.as_str(),
                now.0.saturating_sub(REMEMBERED),
            ),
            row,
        )
        .optional()?;
    let Some((fingerprint, receipts)) = found else {
        return Ok(None);
    };
    if fingerprint != once.fingerprint {
        return Err(Failure(MailError::KeyReused));
    }
    let receipts: Vec<Receipt> = serde_json::from_str(&receipts)?;
    let mails = receipts
        .into_iter()
        .map(|r| Arc::new(letter.seal(r.id, r.at, r.to, Some(r.thread))));
    Ok(Some(mails.collect()))
}

/// What may go wrong in here, on its way to a [`MailError`].
struct Failure(MailError);

impl From<SqliteError> for MailError {
    fn from(error: SqliteError) -> Self {
        let for_now = |retry_after_s| Self::Unavailable {
            reason: error.to_string(),
            retry_after_s,
        };
        match error {
            SqliteError::Stopping | SqliteError::Overloaded => for_now(1),
            SqliteError::Full => Self::DiskFull,
            other => Self::Engine(other.to_string().into()),
        }
    }
}
impl From<SqliteError> for Failure {
    fn from(error: SqliteError) -> Self {
        Self(error.into())
    }
}
impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        SqliteError::from(error).into()
    }
}
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(MailError::Engine(format!("a stored mail: {error}").into()))
    }
}
impl From<Failure> for MailError {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}
