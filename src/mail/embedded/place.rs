//! The hub's database as a place that mail is moved into or out of.

use rusqlite::OptionalExtension;

use crate::domain::{Mail, MailId, ProjectId};
use crate::mail::{Place, Receipt, Stage};
use crate::ports::{MailError, Pending};

use super::{EmbeddedMailbox, Failure, archive::take_in, collect, find};

impl EmbeddedMailbox {
    /// Durable when it answers.
    pub(super) fn change(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<(), Failure> + Send + 'static,
    ) -> Pending<'_, Result<(), MailError>> {
        let written = self.db.write(work);
        Box::pin(async move { Ok(written.await?) })
    }
}

impl Place for EmbeddedMailbox {
    fn name(&self) -> Pending<'_, Result<String, MailError>> {
        Box::pin(self.read(|db| {
            let name: String = db.query_row("SELECT name FROM mail_name", [], |row| row.get(0))?;
            Ok(format!("embedded-{name}"))
        }))
    }

    fn stage<'a>(&'a self, from: &'a str) -> Pending<'a, Result<Stage, MailError>> {
        let from = from.to_owned();
        Box::pin(self.read(move |db| {
            let complete = db
                .query_row(
                    "SELECT complete FROM mail_move WHERE source = ?1",
                    [from],
                    |row| row.get(0),
                )
                .optional()?;
            Ok(match complete {
                None => Stage::Nothing,
                Some(false) => Stage::Receiving,
                Some(true) => Stage::Complete,
            })
        }))
    }

    fn receive<'a>(&'a self, from: &'a str, mails: Vec<Mail>) -> Pending<'a, Result<(), MailError>> {
        let from = from.to_owned();
        self.change(move |db| {
            db.execute("INSERT OR IGNORE INTO mail_move VALUES (?1, FALSE)", [&from])?;
            let mut remember =
                db.prepare_cached("INSERT OR IGNORE INTO mail_received VALUES (?1, ?2, ?3)")?;
            for mail in take_in(db, &mails)? {
                remember.execute((&from, mail.id.as_str(), true))?;
            }
            for mail in &mails {
                remember.execute((&from, mail.id.as_str(), false))?;
            }
            Ok(())
        })
    }

    fn undo<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>> {
        let from = from.to_owned();
        self.change(move |db| {
            db.execute(
                "DELETE FROM mail WHERE id IN (SELECT id FROM mail_received WHERE source = ?1 AND new)",
                [&from],
            )?;
            db.execute("DELETE FROM mail_received WHERE source = ?1", [&from])?;
            db.execute("DELETE FROM mail_move WHERE source = ?1", [&from])?;
            Ok(())
        })
    }

    fn settle(&self) -> Pending<'_, Result<(), MailError>> {
        Box::pin(async { Ok(()) }) // every write was
    }

    fn missing(&self, ids: Vec<MailId>) -> Pending<'_, Result<Vec<MailId>, MailError>> {
        Box::pin(self.read(move |db| {
            let mut missing = Vec::new();
            for id in ids {
                if find(db, &id)?.is_none() {
                    missing.push(id);
                }
            }
            Ok(missing)
        }))
    }

    fn complete<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>> {
        let from = from.to_owned();
        self.change(move |db| {
            db.execute("UPDATE mail_move SET complete = TRUE WHERE source = ?1", [&from])?;
            Ok(())
        })
    }

    fn finish<'a>(&'a self, from: &'a str) -> Pending<'a, Result<(), MailError>> {
        let from = from.to_owned();
        self.change(move |db| {
            db.execute("DELETE FROM mail_received WHERE source = ?1", [&from])?;
            db.execute("DELETE FROM mail_move WHERE source = ?1", [&from])?;
            Ok(())
        })
    }

    fn received<'a>(&'a self, from: &'a str) -> Pending<'a, Result<Vec<MailId>, MailError>> {
        let from = from.to_owned();
        Box::pin(self.read(move |db| {
            let mut statement = db.prepare("SELECT id FROM mail_received WHERE source = ?1")?;
            let ids = statement.query_map([from], |row| row.get::<_, String>(0))?;
            let ids: Vec<String> = ids.collect::<rusqlite::Result<_>>()?;
            Ok(ids.iter().filter_map(|id| MailId::parse(id).ok()).collect())
        }))
    }

    fn forget(&self, ids: Vec<MailId>) -> Pending<'_, Result<(), MailError>> {
        self.change(move |db| {
            let mut forget = db.prepare_cached("DELETE FROM mail WHERE id = ?1")?;
            for id in ids {
                forget.execute([id.as_str()])?;
            }
            Ok(())
        })
    }

    fn receipts(&self) -> Pending<'_, Result<Vec<Receipt>, MailError>> {
        Box::pin(self.list_receipts())
    }

    fn keep(&self, receipts: Vec<Receipt>) -> Pending<'_, Result<(), MailError>> {
        Box::pin(self.keep_receipts(receipts))
    }

    fn unfinished(&self) -> Pending<'_, Result<Vec<String>, MailError>> {
        Box::pin(self.read(|db| {
            let mut statement = db.prepare("SELECT source FROM mail_move WHERE NOT complete")?;
            let sources = statement.query_map([], |row| row.get(0))?;
            Ok(sources.collect::<rusqlite::Result<_>>()?)
        }))
    }

    fn newest<'a>(
        &'a self,
        project: Option<&'a ProjectId>,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        let project = project.map(ToString::to_string);
        Box::pin(self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT created_at, id, json FROM mail WHERE ?1 IS NULL OR project = ?1
                 ORDER BY created_at DESC, id DESC LIMIT ?2",
            )?;
            collect(statement.query((project, u32::try_from(most).unwrap_or(u32::MAX)))?)
        }))
    }

    fn count(&self) -> Pending<'_, Result<u64, MailError>> {
        Box::pin(self.read(|db| {
            let count: i64 = db.query_row("SELECT count(*) FROM mail", [], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
        }))
    }
}
