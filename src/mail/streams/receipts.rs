//! Sendings that are not to be carried out again, taken along when mail moves.

use redis::{cmd, pipe};

use crate::domain::{MailId, SendKey, SessionId};
use crate::mail::receipt::{REMEMBERED, Receipt};
use crate::ports::{MailError, Once};

use super::{StreamMailbox, TOGETHER, reply, send::hex, unavailable};

impl StreamMailbox {
    /// There is no index of them: it would be paid for by every sending, and this is asked for when mail moves only.
    pub(super) async fn list_receipts(&self) -> Result<Vec<Receipt>, MailError> {
        let begin = self.key("sent:");
        let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(format!("{begin}*"));
            scan.arg("COUNT").arg(TOGETHER);
            let link = &self.shared.link;
            let (next, keys): (String, Vec<String>) = link.query(&scan).await.map_err(unavailable)?;
            let mut pipe = pipe();
            for key in &keys {
                pipe.cmd("GET").arg(key);
            }
            let texts: Vec<Option<String>> = link.pipeline(&pipe).await.map_err(unavailable)?;
            for (key, text) in keys.iter().zip(texts) {
                found.extend(
                    key.strip_prefix(&begin)
                        .zip(text)
                        .and_then(|(name, text)| read(name, &text)),
                );
            }
            cursor = next;
            if cursor == "0" {
                return Ok(found);
            }
        }
    }

    pub(super) async fn keep_receipts(&self, receipts: Vec<Receipt>) -> Result<(), MailError> {
        let now = self.shared.pen.now().0;
        for receipts in receipts.chunks(TOGETHER) {
            let mut pipe = pipe();
            for receipt in receipts {
                let left = receipt.sent_at.0.saturating_add(REMEMBERED).saturating_sub(now);
                if left <= 0 {
                    continue;
                }
                let key = format!("sent:{}:{}", receipt.sender, receipt.once.key.as_str());
                pipe.cmd("SET").arg(self.key(key)).arg(text(receipt));
                pipe.arg("NX").arg("PX").arg(left.min(REMEMBERED)).ignore();
            }
            let link = &self.shared.link;
            link.pipeline::<()>(&pipe).await.map_err(unavailable)?;
        }
        Ok(())
    }
}

/// `name` is `<session>:<key>`; ids hold no colon.
fn read(name: &str, text: &str) -> Option<Receipt> {
    let (sender, key) = name.split_once(':')?;
    let found = reply::Receipt::parse(text)?;
    let fingerprint: Vec<u8> = (0..found.fingerprint.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(found.fingerprint.get(at..at + 2)?, 16).ok())
        .collect::<Option<_>>()?;
    Some(Receipt {
        sender: SessionId::parse(sender).ok()?,
        once: Once {
            key: SendKey::parse(key).ok()?,
            fingerprint: fingerprint.try_into().ok()?,
        },
        sent_at: found.sent_at,
        at: found.at,
        thread: found.thread,
        mails: found.mails,
    })
}

/// As the script writes it.
fn text(receipt: &Receipt) -> String {
    let thread = receipt.thread.as_ref().map_or("-", MailId::as_str);
    let (print, sent_at, at) = (hex(&receipt.once.fingerprint), receipt.sent_at.0, receipt.at.0);
    let mut text = format!("{print} {sent_at} {at} {thread}");
    for (id, to) in &receipt.mails {
        text += &format!("\n{id} {}", to.as_ref().map_or("*", SessionId::as_str));
    }
    text
}
