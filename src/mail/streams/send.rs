//! Sending when the answer may be lost: never twice, never half, and not after the sender was told that it failed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::Value;
use tokio::time::{sleep, sleep_until};

use crate::domain::{Letter, Mail, MailId, Millis};
use crate::mail::receipt::REMEMBERED;
use crate::ports::{MailError, Once, Sending, Sent};
use crate::redis_link::{LinkError, Trouble};

use super::{StreamMailbox, reply::Receipt, unavailable, written::times_up};

/// It is not worth asking again for less time than this.
const SHORTEST: Duration = Duration::from_millis(100);
/// Before asking again.
const PAUSE: Duration = Duration::from_millis(10);
/// How far the server's clock may be from what we think it is.
const MARGIN: Duration = Duration::from_millis(100);

/// One sending, ready to be asked for as often as needed.
struct Order<'a> {
    sending: &'a Sending,
    now: Millis,
    letter: String,
    tails: Vec<String>,
}

impl StreamMailbox {
    pub(super) async fn carry_out(&self, sending: Sending) -> Result<Sent, MailError> {
        let order = self.order(&sending)?;
        let deadline = Instant::now() + self.shared.patience;
        let (mut again, mut clock) = (false, None);
        loop {
            let times = times_up(&self.shared.link);
            let failed = match self.ask(&order, deadline, again, clock.take()).await {
                Ok(Answer::Sent(sent)) => match self.shared.written.wait(&self.shared.link, times).await {
                    Ok(()) => return Ok(sent),
                    Err(error) => LinkError::Lost(error.trouble().cloned().unwrap_or(Trouble::Unknown)),
                },
                // Nothing was done. The server's clock was moved, or it slept over the question: once more by its clock.
                Ok(Answer::Late(server)) if Instant::now() < deadline => {
                    clock = Some(server);
                    continue;
                }
                Ok(Answer::Late(_)) => return Err(unavailable(LinkError::Lost(Trouble::Silent))),
                Err(MailOrLink::Mail(error)) => return Err(error),
                Err(MailOrLink::Link(error)) => error,
            };
            match &failed {
                // From here on it may have been carried out: whoever asked is not told before we know.
                LinkError::Lost(_) => again = true,
                LinkError::Down(_) | LinkError::Refused(_) if again => {}
                LinkError::Down(_) | LinkError::Refused(_) | LinkError::Command(_) => {
                    return Err(unavailable(failed));
                }
            }
            sleep(PAUSE).await;
            let left = deadline.saturating_duration_since(Instant::now());
            if left < SHORTEST || self.shared.link.until_up(left).await.is_none() {
                // What the server has not got to by the deadline it never carries out. What it carried out, and was killed
                // before it said so, is there: nobody knows which, and that is what is said.
                sleep_until((deadline + MARGIN).into()).await;
                return Err(unwitnessed(failed));
            }
        }
    }

    fn order<'a>(&self, sending: &'a Sending) -> Result<Order<'a>, MailError> {
        let now = self.shared.pen.now();
        let ids = self.shared.pen.ids(now, sending.to.len());
        Ok(Order {
            sending,
            now,
            letter: serde_json::to_string(&sending.letter).map_err(|error| engine(&error))?,
            tails: ids.iter().map(tail).collect(),
        })
    }

    async fn ask(
        &self,
        order: &Order<'_>,
        deadline: Instant,
        again: bool,
        clock: Option<i64>,
    ) -> Result<Answer, MailOrLink> {
        let link = &self.shared.link;
        let state = link.state();
        let Some(up) = state.up() else {
            return Err(MailOrLink::Link(LinkError::Down(state.trouble())));
        };
        let server_now = clock.unwrap_or_else(|| up.server.now_millis());
        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
        let expires = server_now.saturating_add(i64::try_from(left).unwrap_or(0));
        let letter = &order.sending.letter;
        let once = order.sending.once.as_ref();
        let mut call = self.shared.scripts.send.prepare_invoke();
        call.arg(&self.shared.prefix)
            .arg(order.now.0)
            .arg(expires)
            .arg(letter.project_id.as_str())
            .arg(letter.from_session_id.as_str())
            .arg(letter.reply_to_mail_id.as_ref().map_or("", MailId::as_str))
            .arg(once.map_or("", |once| once.key.as_str()))
            .arg(once.map_or(String::new(), |once| hex(&once.fingerprint)))
            .arg(if again { "1" } else { "" })
            .arg(&order.letter);
        for (to, tail) in order.sending.to.iter().zip(&order.tails) {
            call.arg(to.as_ref().map_or("", |to| to.as_str())).arg(tail);
        }
        let call = &call;
        let words: Vec<Value> = link
            .run(|mut line| async move { call.invoke_async(&mut line).await })
            .await?;
        let words: Vec<String> = words
            .into_iter()
            .map(redis::from_redis_value)
            .collect::<Result<_, _>>()
            .map_err(|error| engine(&error))?;
        Ok(Answer::read(&words, order)?)
    }

    pub(super) async fn recall(
        &self,
        letter: &Letter,
        once: &Once,
    ) -> Result<Option<Vec<Arc<Mail>>>, MailError> {
        let key = format!("sent:{}:{}", letter.from_session_id, once.key.as_str());
        let mut command = redis::cmd("GET");
        command.arg(self.key(key));
        let found: Option<String> = self.shared.link.query(&command).await.map_err(unavailable)?;
        let Some(receipt) = found.as_deref().and_then(Receipt::parse) else {
            return Ok(None);
        };
        if receipt.sent_at.0 <= self.shared.pen.now().0 - REMEMBERED {
            return Ok(None);
        }
        if receipt.fingerprint != hex(&once.fingerprint) {
            return Err(MailError::KeyReused);
        }
        Ok(Some(receipt.mails(letter).into_iter().map(Arc::new).collect()))
    }
}

/// What the script says.
enum Answer {
    Sent(Sent),
    /// Too late, by the server's clock (milliseconds).
    Late(i64),
}

impl Answer {
    fn read(words: &[String], order: &Order<'_>) -> Result<Self, MailError> {
        let strange = || MailError::Engine("the script answers what it never should".into());
        let letter = &order.sending.letter;
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["late", server] => server.parse().map(Self::Late).map_err(|_| strange()),
            ["reused"] => Err(MailError::KeyReused),
            ["known", receipt] => {
                let mails = Receipt::parse(receipt).ok_or_else(strange)?.mails(letter);
                Ok(Self::Sent(Sent {
                    mails: mails.into_iter().map(Arc::new).collect(),
                    repeated: true,
                }))
            }
            ["sent", at, thread, ids @ ..] if ids.len() == order.sending.to.len() => {
                let at = Millis(at.parse().map_err(|_| strange())?);
                let thread = Some(*thread)
                    .filter(|thread| !thread.is_empty())
                    .map(MailId::parse);
                let thread = thread.transpose().map_err(|_| strange())?;
                let mail = |(id, to): (&&str, &Option<_>)| {
                    let id = MailId::parse(id).map_err(|_| strange())?;
                    Ok(Arc::new(letter.seal(id, at, to.clone(), thread.clone())))
                };
                let mails = ids
                    .iter()
                    .zip(&order.sending.to)
                    .map(mail)
                    .collect::<Result<_, MailError>>()?;
                Ok(Self::Sent(Sent {
                    mails,
                    repeated: false,
                }))
            }
            _ => Err(strange()),
        }
    }
}

enum MailOrLink {
    Mail(MailError),
    Link(LinkError),
}

impl From<MailError> for MailOrLink {
    fn from(error: MailError) -> Self {
        Self::Mail(error)
    }
}

impl From<LinkError> for MailOrLink {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

/// It may have been done, or not.
fn unwitnessed(error: LinkError) -> MailError {
    match unavailable(error) {
        MailError::Unavailable {
            reason,
            retry_after_s,
        } => MailError::Unavailable {
            reason: format!(
                "{reason}; it may have taken the mail: send it again under the same Idempotency-Key"
            ),
            retry_after_s,
        },
        other => other,
    }
}

/// What makes an id unique, without its time.
fn tail(id: &MailId) -> String {
    id.as_str().rsplit('_').next().unwrap_or_default().to_owned()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn engine(error: &dyn std::fmt::Display) -> MailError {
    MailError::Engine(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{quick, stage};
    use crate::mail::suite::{letter, to};
    use crate::ports::Mailbox;

    use super::*;

    #[tokio::test]
    async fn a_sending_whose_answer_was_lost_is_found_again_not_repeated() {
        let stage = stage(quick()).await;
        let reply = {
            let first = stage.mailbox.send(to(letter(), &["z"])).await.unwrap().mails[0]
                .id
                .clone();
            Letter {
                reply_to_mail_id: Some(first),
                ..letter()
            }
        };
        for letter in [letter(), reply] {
            let sending = to(letter, &["b", "c"]);
            let order = stage.mailbox.order(&sending).unwrap();
            let deadline = Instant::now() + Duration::from_secs(30);
            let mut answers = Vec::new();
            for again in [false, true, true] {
                match stage.mailbox.ask(&order, deadline, again, None).await {
                    Ok(Answer::Sent(sent)) => answers.push(sent.mails),
                    _ => panic!("it is carried out"),
                }
            }
            assert!(answers.iter().all(|mails| *mails == answers[0]));
            let kept = stage.mailbox.get(&answers[0][1].id).await.unwrap();
            assert_eq!(kept.as_ref(), Some(&*answers[0][1]));
        }
        assert_eq!(stage.inbox("b").await.len(), 2);
    }

    #[tokio::test]
    async fn a_sending_that_comes_too_late_by_the_servers_clock_is_not_carried_out() {
        let stage = stage(quick()).await;
        let sending = to(letter(), &["b"]);
        let order = stage.mailbox.order(&sending).unwrap();
        let past = Some(1_000_000);
        let answer = stage.mailbox.ask(&order, Instant::now(), false, past).await;
        assert!(matches!(answer, Ok(Answer::Late(server)) if server > 1_700_000_000_000));
        assert_eq!(stage.inbox("b").await, []);
    }
}
