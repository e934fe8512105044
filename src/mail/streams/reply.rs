//! What Redis answers, read into our own terms.

use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

use crate::domain::{Letter, Mail, MailId, Millis, SessionId};
use crate::ports::MailError;

/// The fields of a mail's hash; all empty if there is none.
pub(super) struct Kept {
    created_at: Option<i64>,
    letter: Option<String>,
    to: Option<String>,
    thread: Option<String>,
}

impl Kept {
    /// As asked for.
    pub(super) const FIELDS: [&'static str; 4] = ["createdAt", "letter", "to", "threadId"];

    pub(super) fn into_mail(self, id: &MailId) -> Result<Option<Mail>, MailError> {
        let (Some(at), Some(letter)) = (self.created_at, self.letter) else {
            return Ok(None);
        };
        let broken =
            |what: &str| MailError::Engine(format!("the {what} of {id} in redis cannot be read").into());
        let letter: Letter = serde_json::from_str(&letter).map_err(|_| broken("letter"))?;
        let to = self
            .to
            .map(|to| SessionId::parse(&to))
            .transpose()
            .map_err(|_| broken("recipient"))?;
        let thread = self.thread.map(|thread| MailId::parse(&thread)).transpose();
        let thread = thread.map_err(|_| broken("thread"))?;
        Ok(Some(letter.seal(id.clone(), Millis(at), to, thread)))
    }
}

impl FromRedisValue for Kept {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (created_at, letter, to, thread) = from_redis_value(value)?;
        Ok(Self {
            created_at,
            letter,
            to,
            thread,
        })
    }
}

/// An entry of a stream.
pub(super) struct Entry {
    mail: String,
    pub(super) project: String,
}

impl Entry {
    /// The mail, if somebody else's entry does not name something that is none.
    pub(super) fn id(&self) -> Option<MailId> {
        MailId::parse(&self.mail).ok()
    }
}

impl FromRedisValue for Entry {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (_, fields): (String, Vec<String>) = from_redis_value(value)?;
        let mut found = Self {
            mail: String::new(),
            project: String::new(),
        };
        for pair in fields.chunks_exact(2) {
            match pair[0].as_str() {
                "id" => found.mail.clone_from(&pair[1]),
                "project" => found.project.clone_from(&pair[1]),
                _ => {}
            }
        }
        Ok(found)
    }
}

/// What a sending under an idempotency key made: `<fingerprint> <now> <time> <thread or ->`, then `<mail> <to or *>` in
/// lines of their own.
pub(super) struct Receipt {
    pub(super) fingerprint: String,
    /// By the sender's clock.
    pub(super) sent_at: Millis,
    pub(super) at: Millis,
    pub(super) thread: Option<MailId>,
    pub(super) mails: Vec<(MailId, Option<SessionId>)>,
}

impl Receipt {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut words = lines.next()?.split(' ');
        Some(Self {
            fingerprint: words.next()?.to_owned(),
            sent_at: Millis(words.next()?.parse().ok()?),
            at: Millis(words.next()?.parse().ok()?),
            thread: optional(words.next()?, "-", MailId::parse)?,
            mails: lines
                .map(|line| {
                    let (id, to) = line.split_once(' ')?;
                    Some((MailId::parse(id).ok()?, optional(to, "*", SessionId::parse)?))
                })
                .collect::<Option<_>>()?,
        })
    }

    /// The mails, made again from the letter: the same key comes with the same letter.
    pub(super) fn mails(self, letter: &Letter) -> Vec<Mail> {
        let (at, thread) = (self.at, self.thread);
        let mails = self.mails.into_iter();
        mails
            .map(|(id, to)| letter.seal(id, at, to, thread.clone()))
            .collect()
    }
}

fn optional<T, E>(text: &str, none: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<Option<T>> {
    match text == none {
        true => Some(None),
        false => parse(text).ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_read_whole_or_not_at_all() {
        let receipt = Receipt::parse("ab 5 7 mail_0\nmail_7_a s1\nmail_7_b *").unwrap();
        assert_eq!(
            (receipt.fingerprint.as_str(), receipt.sent_at, receipt.at),
            ("ab", Millis(5), Millis(7))
        );
        assert_eq!(receipt.thread, MailId::parse("mail_0").ok());
        assert_eq!(receipt.mails[0].1, SessionId::parse("s1").ok());
        assert_eq!(receipt.mails[1].1, None);
        for broken in [
            "",
            "ab",
            "ab x 7 -",
            "ab 5 7 -\nmail",
            "ab 5 7 -\nmail_1 a/b",
            "ab 5 7 a/b",
        ] {
            assert!(Receipt::parse(broken).is_none(), "{broken:?}");
        }
    }
}
