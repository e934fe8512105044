//! Sendings that are not to be carried out again, taken along when mail moves.

use crate::domain::{MailId, Millis, SendKey, SessionId};
use crate::mail::receipt::{REMEMBERED, Receipt};
use crate::ports::{MailError, Once};

use super::{EmbeddedMailbox, Failure, Receipt as Kept};

impl EmbeddedMailbox {
    pub(super) async fn list_receipts(&self) -> Result<Vec<Receipt>, MailError> {
        let since = self.pen.now().0.saturating_sub(REMEMBERED);
        self.read(move |db| {
            let mut statement = db.prepare(
                "SELECT sender, key, fingerprint, sent_at, mails FROM mail_sent WHERE sent_at > ?1",
            )?;
            let mut rows = statement.query([since])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let (sender, key): (String, String) = (row.get(0)?, row.get(1)?);
                let mails: Vec<Kept> = serde_json::from_str(&row.get::<_, String>(4)?)?;
                let (Ok(sender), Ok(key), Some(first)) =
                    (SessionId::parse(&sender), SendKey::parse(&key), mails.first())
                else {
                    continue; // nothing that we have written
                };
                found.push(Receipt {
                    sender,
                    once: Once {
                        key,
                        fingerprint: row.get(2)?,
                    },
                    sent_at: Millis(row.get(3)?),
                    at: first.at,
                    thread: (first.thread != first.id).then(|| first.thread.clone()),
                    mails: mails.into_iter().map(|kept| (kept.id, kept.to)).collect(),
                });
            }
            Ok(found)
        })
        .await
    }

    pub(super) async fn keep_receipts(&self, receipts: Vec<Receipt>) -> Result<(), MailError> {
        self.change(move |db| {
            let mut keep =
                db.prepare_cached("INSERT OR IGNORE INTO mail_sent VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for receipt in receipts {
                let thread = receipt.thread;
                let own = |id: &MailId| thread.clone().unwrap_or_else(|| id.clone());
                let mails = receipt.mails.into_iter().map(|(id, to)| Kept {
                    thread: own(&id),
                    id,
                    to,
                    at: receipt.at,
                });
                let mails: Vec<Kept> = mails.collect();
                keep.execute((
                    receipt.sender.as_str(),
                    receipt.once.key.as_str(),
                    receipt.once.fingerprint,
                    receipt.sent_at.0,
                    serde_json::to_string(&mails)?,
                ))?;
            }
            Ok::<_, Failure>(())
        })
        .await
    }
}
