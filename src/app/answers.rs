//! Answers to sessions that wait for input: taken once, and brought to the agent by the best way that is open.
//!
//! The answer is stored on the session, with the way it is to go, in the transaction that takes it; only then is it sent
//! on. If that fails, or we are killed in between, an agent that asks finds it there, and it is mailed later
//! (`kept_answers`); mail of one answer is one mail, however often it is tried.

use std::{pin::pin, sync::Arc, time::Duration};

use serde::Serialize;
use serde_json::{Map, json};
use tokio::time;
use tracing::{info, warn};

use crate::crash;
use crate::domain::{
    Answer, Answerer, AnswererKind, Caller, HUMAN, How, InputAnswer, InputState, Letter, MailType, Maybe,
    Millis, NewMail, Outcome, Refusal, RequestId, Scope, SendKey, SessionHead, SessionId,
};
use crate::ports::StoreError;

use super::{
    App, AppError,
    apply::{carry_out, unbroken},
    input_waiters::Claimed,
    known,
};

/// What the sender of an answer learns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// The question that is answered.
    #[serde(rename = "requestId")]
    pub request: RequestId,
    /// How the answer goes to the agent.
    pub how: How,
    /// When it was taken.
    pub at: Millis,
}

impl From<Answer> for Answered {
    fn from(answer: Answer) -> Self {
        Self {
            request: answer.request_id,
            how: answer.how,
            at: answer.answered_at,
        }
    }
}

impl App {
    /// Answers a session that waits for input. Of any number of callers one wins; the others are refused with who did
    /// ([`Refusal::TooLate`]). Under the same key, the same caller's same answer is taken once.
    pub async fn answer_input(&self, caller: &Caller, answer: InputAnswer) -> Result<Answered, AppError> {
        if caller.device().is_some() && answer.request.is_none() {
            // From afar one may look at a question that was replaced meanwhile.
            return Err(Refusal::invalid("requestId is required").into());
        }
        let (app, caller, answer) = (self.clone(), caller.clone(), answer.harmless()?);
        unbroken(async move { app.take_answer(caller, answer).await }).await
    }

    async fn take_answer(&self, caller: Caller, wish: InputAnswer) -> Result<Answered, AppError> {
        let session = wish.session.clone();
        let app = self.clone();
        let (answer, claimed) = self
            .apply(move |tx| {
                let session = known::session(&*tx, &wish.session)?;
                may_answer(&caller, &session.head)?;
                let by = Answerer::of(&caller, &session.head);
                let mut claimed = None;
                let way = |request: &RequestId| {
                    let found = app.input_waiters.claim(&session.head.id, request);
                    let how = match found.is_empty() {
                        true => app.way_without_waiters(),
                        false => How::Poll,
                    };
                    claimed = Some(found);
                    how
                };
                match session.answer(by, wish, way, tx.mint())? {
                    Outcome::Repeated(first) => Ok((first, None)),
                    Outcome::Taken(change, answer) => {
                        carry_out(tx, *change);
                        Ok((answer, claimed))
                    }
                }
            })
            .await?;
        let Some(claimed) = claimed else {
            return Ok(answer.into());
        };
        info!(%session, request = %answer.request_id, by = answer.answered_by.name, how = ?answer.how, "input answered");
        crash::point("answer.taken");
        Ok(self.bring(&session, answer, claimed).await.into())
    }

    fn way_without_waiters(&self) -> How {
        match self.desktops.connected() {
            true => How::Desktop,
            false => How::Mail,
        }
    }

    /// Sends a stored answer on its way, or on the next best one; the answer with the way it took in the end.
    async fn bring(&self, session: &SessionId, mut answer: Answer, claimed: Claimed) -> Answer {
        if answer.how == How::Poll && claimed.give(&answer) == 0 {
            // They hung up in the very moment.
            answer.how = self.way_without_waiters();
        }
        answer.pending = match answer.how {
            How::Poll | How::Desktop => false, // the prompt was published with a commit
            How::Mail | How::Kept => match self.mail_answer(session, &answer).await {
                Ok(()) => false,
                Err(error) => {
                    warn!(%session, request = %answer.request_id, "an answer is kept, it could not be mailed: {error}");
                    true
                }
            },
        };
        if answer.pending {
            answer.how = How::Kept;
        }
        crash::point("answer.sent");
        self.note_way(session, &answer).await;
        crash::point("answer.noted");
        if answer.pending {
            self.answer_kept.notify_one();
        }
        answer
    }

    /// Writes down which way an answer went; true if that is written.
    pub(super) async fn note_way(&self, session: &SessionId, answer: &Answer) -> bool {
        let (id, sent) = (session.clone(), answer.clone());
        let noted = self.apply(move |tx| {
            let Some(session) = tx.session(&id)? else {
                return Ok(());
            };
            let now = tx.now();
            let change = session.answer_sent(&sent.request_id, sent.how, sent.pending, now);
            carry_out(tx, change.unwrap_or_default());
            Ok(())
        });
        let noted = noted.await;
        if let Err(error) = &noted {
            // The answer itself stands. At worst it is mailed as well.
            warn!(%session, request = %answer.request_id, "the way of an answer was not written down: {error}");
        }
        noted.is_ok()
    }

    /// An answer that went nowhere yet was asked for: it need not be mailed any more.
    async fn note_fetched(&self, session: &SessionId, answer: &Answer) {
        let fetched = Answer {
            how: How::Poll,
            pending: false,
            ..answer.clone()
        };
        self.note_way(session, &fetched).await;
    }

    /// Mails an answer to its session. Once, however often it is called.
    pub(super) async fn mail_answer(&self, session: &SessionId, answer: &Answer) -> Result<(), AppError> {
        let letter = self
            .letter(session, answer)
            .ok_or_else(|| Refusal::unknown(session))?;
        // An id fits into a key with room to spare.
        let key = SendKey::parse(&format!("answer-{}", answer.request_id)).ok();
        let wish = NewMail {
            letter,
            to: Maybe::Value(session.clone()),
            to_member: None,
            scope: None,
        };
        self.post(wish, key).await.map(|_| ())
    }

    fn letter(&self, session: &SessionId, answer: &Answer) -> Option<Letter> {
        let head = self.view().session_head(session)?;
        let by = &answer.answered_by;
        let agent = by.id.as_deref().filter(|_| by.kind == AnswererKind::Agent);
        let mut body = Map::new();
        body.insert("text".into(), answer.text.as_str().into());
        if let Some(choice) = &answer.choice {
            body.insert("choice".into(), choice.as_str().into());
        }
        body.insert("requestId".into(), answer.request_id.as_str().into());
        body.insert("answeredBy".into(), json!(by));
        Some(Letter {
            project_id: head.project_id.clone(),
            from_session_id: SessionId::parse(agent.unwrap_or(HUMAN)).ok()?,
            reply_to_mail_id: None,
            mail_type: MailType::Response,
            subject: format!("Answer of {}", by.name).chars().take(200).collect(),
            body,
            priority: None,
            sender: by.sender(),
        })
    }

    /// How a question of a session stands, waiting up to `patience` for its answer, or until `cut_short`. Without `request`
    /// it is the open question, the last one if that was answered, or whatever is asked next. What is answered already is
    /// told however short the wait is.
    pub async fn wait_for_input(
        &self,
        session: &SessionId,
        request: Option<&RequestId>,
        patience: Duration,
        cut_short: impl Future<Output = ()>,
    ) -> Result<InputState, AppError> {
        let mut over = pin!(async {
            tokio::select! {
                () = time::sleep(patience) => {}
                () = cut_short => {}
            }
        });
        loop {
            // Registered before looking: what comes in between is found by the one or by the other.
            let waiting = self.input_waiters.register(session, request);
            let waiting = waiting.ok_or_else(too_many)?;
            let head = known::session_head(&*self.view(), session)?;
            let state = head.input(request);
            match &state {
                InputState::Waiting(_) => {}
                InputState::Answered(answer) if answer.how == How::Kept => {
                    self.note_fetched(session, answer).await;
                    return Ok(state);
                }
                InputState::Answered(_) | InputState::Over { .. } => return Ok(state),
            }
            tokio::select! {
                biased; // who is given an answer gets it
                answer = waiting.answer() => {
                    if let Some(answer) = answer {
                        return Ok(InputState::Answered(Arc::unwrap_or_clone(answer)));
                    } // something has changed: look again
                }
                () = &mut over => return Ok(known::session_head(&*self.view(), session)?.input(request)),
            }
        }
    }
}

/// A device that may not know of the project learns of nothing in it.
fn may_answer(caller: &Caller, head: &SessionHead) -> Result<(), Refusal> {
    let project = Some(head.project_id.as_str());
    if caller.may(Scope::Answer, project) {
        return Ok(());
    }
    match caller.device() {
        Some(device) if !device.reaches(project) => Err(Refusal::unknown(&head.id)),
        _ => Err(Refusal::Forbidden("this device may not answer agents".into())),
    }
}

fn too_many() -> StoreError {
    StoreError::Overloaded
}
