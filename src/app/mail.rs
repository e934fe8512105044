//! Mail.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::time;
use tracing::warn;

use crate::crash;
use crate::domain::{
    Caller, Event, InboxQuery, Mail, MailId, MailScope, NewMail, Refusal, Scope, SendKey, SessionId,
    WaitQuery, arrange_inbox, head_count, recipients,
};
use crate::ports::{MailError, Once, Sending};

use super::{App, AppError, apply::unbroken, mail_waiters::News};

impl App {
    /// Sends a mail to everybody it is meant for: one mail each. Who sends it is who `caller` has proved to be. Under the
    /// same `key`, the same sender's same wish is carried out once.
    pub async fn send_mail(
        &self,
        caller: &Caller,
        wish: NewMail,
        key: Option<SendKey>,
    ) -> Result<Vec<Arc<Mail>>, AppError> {
        let wish = admitted(caller, wish)?;
        // People share one name, but not their keys.
        let key = key.map(|key| match caller.device() {
            Some(device) => key.of_device(&device.id),
            None => key,
        });
        self.post(wish, key).await
    }

    /// Sends a mail whose sender is settled.
    pub(super) async fn post(&self, wish: NewMail, key: Option<SendKey>) -> Result<Vec<Arc<Mail>>, AppError> {
        let once = key.map(|key| once(key, &wish)).transpose()?;
        if let Some(once) = &once
            // Before looking for recipients: those of the first time may be gone by now.
            && let Some(mails) = self.mail.sent(&wish.letter, once).await?
        {
            return Ok(mails);
        }
        let to = self.recipients(&wish)?;
        let letter = wish.letter;
        let app = self.clone();
        unbroken(async move {
            let sent = app.mail.send(Sending { letter, to, once }).await?;
            crash::point("letter.sent");
            if !sent.repeated {
                app.announce(&sent.mails).await;
                crash::point("letter.announced");
            }
            Ok(sent.mails)
        })
        .await
    }

    /// How many agents would get this mail now.
    pub fn recipient_count(&self, caller: &Caller, wish: NewMail) -> Result<usize, AppError> {
        let wish = admitted(caller, wish)?;
        let to = self.recipients(&wish)?;
        let sessions = self.view().session_heads(Some(&wish.letter.project_id));
        Ok(head_count(&wish, &to, &sessions))
    }

    fn recipients(&self, wish: &NewMail) -> Result<Vec<Option<SessionId>>, AppError> {
        let view = self.view();
        let parent = match wish.scope {
            Some(MailScope::Team) => view.session_head(&wish.letter.from_session_id),
            Some(MailScope::All | MailScope::MyWorkers) | None => None,
        };
        let parent = parent.and_then(|sender| sender.parent_session_id.clone());
        let sessions = match wish.names_a_session() {
            true => Vec::new(), // nothing to be looked up
            false => view.session_heads(Some(&wish.letter.project_id)),
        };
        Ok(recipients(wish, parent.as_deref(), &sessions)?)
    }

    /// Says that mail came. The mail stands already, so nothing that goes wrong here fails the sending.
    async fn announce(&self, mails: &[Arc<Mail>]) {
        let events: Vec<Event> = mails.iter().cloned().map(Event::MailReceived).collect();
        if let Err(error) = self.say(events).await {
            warn!(%error, "mail was stored, but not announced");
            for mail in mails {
                self.mail_waiters.wake(mail);
            }
        }
    }

    async fn say(&self, events: Vec<Event>) -> Result<(), AppError> {
        self.apply(move |tx| {
            events.into_iter().for_each(|event| tx.emit(event));
            Ok(())
        })
        .await
    }

    /// One mail.
    pub async fn mail(&self, id: &MailId) -> Result<Mail, AppError> {
        Ok(self.mail.get(id).await?.ok_or_else(|| Refusal::unknown(id))?)
    }

    /// What a session finds in its inbox, most urgent first.
    pub async fn inbox(&self, session: &SessionId, query: InboxQuery) -> Result<Vec<Mail>, AppError> {
        let Some(project) = &query.project else {
            return Ok(Vec::new());
        };
        let mut mails = self.mail.inbox(project, session, query.since).await?;
        if let Some(wanted) = query.mail_type {
            mails.retain(|mail| mail.mail_type == wanted);
        }
        arrange_inbox(&mut mails);
        Ok(mails)
    }

    /// What a session has been sent, oldest first; if that is nothing, the next mail, waited for. Empty if none came.
    pub async fn wait_for_mail(
        &self,
        session: &SessionId,
        query: WaitQuery,
    ) -> Result<Vec<Arc<Mail>>, AppError> {
        let Some(project) = &query.project else {
            time::sleep(query.patience).await; // an answer at once would make a polling client spin
            return Ok(Vec::new());
        };
        let until = time::Instant::now() + query.patience;
        loop {
            // Registered before looking: what comes in between is found by the one or by the other.
            let waiting = self
                .mail_waiters
                .register(project, session)
                .ok_or_else(too_many)?;
            let found = self.mail.inbox(project, session, query.since).await?;
            if !found.is_empty() {
                return Ok(found.into_iter().map(Arc::new).collect());
            }
            match time::timeout_at(until, waiting.news()).await {
                Ok(News::Mail(mail)) => return Ok(vec![mail]),
                Ok(News::LookAgain) => {}
                Err(_) => return Ok(Vec::new()),
            }
        }
    }

    /// A conversation, oldest first.
    pub async fn mail_thread(&self, id: &MailId) -> Result<Vec<Mail>, AppError> {
        Ok(self.mail.thread(id).await?)
    }

    /// Deletes a mail.
    pub async fn delete_mail(&self, id: MailId) -> Result<(), AppError> {
        let app = self.clone();
        unbroken(async move {
            let mail = app.mail.delete(&id).await?.ok_or_else(|| Refusal::unknown(&id))?;
            let project = mail.project_id;
            if let Err(error) = app.say(vec![Event::MailDeleted { id, project }]).await {
                warn!(%error, "a mail was deleted, but not announced");
            }
            Ok(())
        })
        .await
    }
}

/// The mail as the caller may send it.
fn admitted(caller: &Caller, wish: NewMail) -> Result<NewMail, Refusal> {
    caller.permit(Scope::Mail, Some(wish.letter.project_id.as_str()))?;
    wish.signed(caller)
}

/// The same wish has the same fingerprint, even if the device it comes from was given another name since.
fn once(key: SendKey, wish: &NewMail) -> Result<Once, AppError> {
    let mut wish = wish.clone();
    wish.letter.forget_names();
    let text = serde_json::to_vec(&wish).map_err(|error| MailError::Engine(error.to_string().into()))?;
    let fingerprint = Sha256::digest(text).into();
    Ok(Once { key, fingerprint })
}

fn too_many() -> MailError {
    MailError::Unavailable {
        reason: "too many agents wait for mail".into(),
        retry_after_s: 1,
    }
}
