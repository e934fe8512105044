//! Mail that comes from elsewhere or goes there, ids and times included.

use rusqlite::Connection;

use crate::domain::{Mail, MailId};
use crate::ports::{MailArchive, MailError, Pending};

use super::{EmbeddedMailbox, Failure, collect, find, put};

impl MailArchive for EmbeddedMailbox {
    fn put(&self, mails: Vec<Mail>) -> Pending<'_, Result<u64, MailError>> {
        let written = self
            .db
            .write(move |db| Ok::<u64, Failure>(take_in(db, &mails)?.len() as u64));
        Box::pin(async move { Ok(written.await?) })
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a MailId>,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        let after = after.map_or_else(String::new, ToString::to_string);
        Box::pin(self.read(move |db| {
            let mut statement = db
                .prepare_cached("SELECT created_at, id, json FROM mail WHERE id > ?1 ORDER BY id LIMIT ?2")?;
            collect(statement.query((after, u32::try_from(most).unwrap_or(u32::MAX)))?)
        }))
    }
}

/// Stores mails as they are; answers which of them were new.
pub(super) fn take_in<'a>(db: &Connection, mails: &'a [Mail]) -> Result<Vec<&'a Mail>, Failure> {
    let mut new = Vec::new();
    for mail in mails {
        if find(db, &mail.id)?.is_none() {
            put(db, mail)?;
            keep_time(db, mail)?;
            new.push(mail);
        }
    }
    Ok(new)
}

/// New mail of the project will be later than this one.
fn keep_time(db: &Connection, mail: &Mail) -> Result<(), Failure> {
    db.prepare_cached(
        "INSERT INTO mail_clock VALUES (?1, ?2)
         ON CONFLICT (project) DO UPDATE SET newest = max(newest, excluded.newest)",
    )?
    .execute((mail.project_id.as_str(), mail.created_at.0))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::mail::{CHAPTER, suite::Hand};
    use crate::sqlite::Database;

    fn mail(n: u32) -> Mail {
        serde_json::from_value(json!({
            "id": format!("mail_{n}"), "projectId": "proj_1", "fromSessionId": "sess_1", "toSessionId": null,
            "replyToMailId": null, "type": "query", "subject": "s", "createdAt": n, "threadId": format!("mail_{n}"),
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn mail_from_elsewhere_keeps_its_id_and_time_and_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("maestro.db"), &[CHAPTER]).unwrap();
        let mailbox = EmbeddedMailbox::new(db, Arc::new(Hand::default()));
        assert_eq!(mailbox.put((1..=5).map(mail).collect()).await.unwrap(), 5);
        assert_eq!(mailbox.put((4..=6).map(mail).collect()).await.unwrap(), 1);
        let first = mailbox.page(None, 4).await.unwrap();
        assert_eq!(first, (1..=4).map(mail).collect::<Vec<_>>());
        let rest = mailbox.page(Some(&first[3].id), 4).await.unwrap();
        assert_eq!(rest, (5..=6).map(mail).collect::<Vec<_>>());
    }
}
