//! A person's answer to a session that waits: the first one counts, every other is told who was first.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::{
    Caller, Change, DeviceId, Event, InputAnswered, Late, Maybe, Millis, Mint, PromptSend, Refusal,
    RequestId, SendKey, Sender, SessionId, TooLate, for_reading, for_terminal,
};

use super::{NeedsInput, NewEntry, Session, SessionHead, prompt::quote};

/// Answers a session remembers: for agents that ask late, and for people whose answer comes twice.
const REMEMBERED: usize = 8;
/// The longest answer, in bytes.
const LONGEST: usize = 8 << 10;
/// The longest choice, in bytes.
const LONGEST_CHOICE: usize = 500;
/// How much of an answer the timeline and those who come too late are told, in UTF-16 units.
const QUOTED: usize = 280;

/// What somebody answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputAnswer {
    /// Who waits.
    pub session: SessionId,
    /// Which question it answers; the open one if it does not say.
    pub request: Option<RequestId>,
    /// In words; may be empty if something is chosen.
    pub text: String,
    /// One of the question's options.
    pub choice: Option<String>,
    /// Under which it may be repeated by the same sender.
    pub key: Option<SendKey>,
}

/// An answer that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The question.
    pub request_id: RequestId,
    /// In words.
    pub text: String,
    /// The option that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// By whom.
    pub answered_by: Answerer,
    /// When.
    pub answered_at: Millis,
    /// How it goes to the agent.
    pub how: How,
    /// True until it is known to be on its way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
    /// The sender's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// How an answer reaches the agent, the best way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// The agent waits for it and has it.
    Poll,
    /// A desktop types it into the agent's terminal.
    Desktop,
    /// It is in the agent's mail: the agent must read it.
    Mail,
    /// No way was open: it lies on the session until the agent asks for it.
    Kept,
}

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answerer {
    /// What it is.
    pub kind: AnswererKind,
    /// Its id, if it proved one: a device's or a session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// For people: the device's name, the agent's session, this machine's name.
    pub name: String,
}

/// What answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnswererKind {
    /// Somebody on this machine.
    Local,
    /// An agent.
    Agent,
    /// A paired device.
    Device,
}

/// What came of an answer.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was the first.
    Taken(Box<Change>, Answer),
    /// The same sender said the same before; this came of it then.
    Repeated(Answer),
}

impl Answerer {
    /// Who `caller` is to a session.
    pub fn of(caller: &Caller, head: &SessionHead) -> Self {
        let (kind, id, name) = match caller {
            Caller::Local => return Self::here(head),
            Caller::Agent(session) => (AnswererKind::Agent, session.to_string(), session.to_string()),
            Caller::Device(device) => (AnswererKind::Device, device.id.to_string(), device.name.clone()),
        };
        Self {
            kind,
            id: Some(id),
            name,
        }
    }

    /// The same as the sender of what carries the answer; `None` if it proved nothing.
    pub fn sender(&self) -> Option<Sender> {
        let id = self.id.as_deref()?;
        match self.kind {
            AnswererKind::Local => None,
            AnswererKind::Agent => Some(Sender::agent()),
            AnswererKind::Device => Some(Sender::with(DeviceId::parse(id).ok()?, &self.name)),
        }
    }

    /// Somebody at the machine of the session.
    pub(super) fn here(head: &SessionHead) -> Self {
        Self {
            kind: AnswererKind::Local,
            id: None,
            name: head.hostname.clone(),
        }
    }

    fn is(&self, other: &Self) -> bool {
        (self.kind, &self.id) == (other.kind, &other.id)
    }
}

impl InputAnswer {
    /// The answer without what a terminal would obey.
    ///
    /// # Errors
    /// Nothing is said, or too much.
    pub fn harmless(self) -> Result<Self, Refusal> {
        let text = for_reading(&self.text).trim().to_owned();
        let choice = self.choice.as_deref().map(one_line);
        let choice = choice.filter(|choice| !choice.is_empty());
        if text.is_empty() && choice.is_none() {
            return Err(Refusal::invalid("text or choice is required"));
        }
        if text.len() > LONGEST {
            return Err(Refusal::invalid(format!(
                "text is longer than {LONGEST} bytes: send it as mail"
            )));
        }
        if choice
            .as_ref()
            .is_some_and(|choice| choice.len() > LONGEST_CHOICE)
        {
            return Err(Refusal::invalid(format!(
                "choice is longer than {LONGEST_CHOICE} bytes"
            )));
        }
        Ok(Self { text, choice, ..self })
    }
}

impl Answer {
    /// All of it as one text: what was chosen, and what was said to it.
    pub fn whole(&self) -> String {
        match &self.choice {
            Some(choice) if self.text.is_empty() => choice.clone(),
            Some(choice) => format!("{choice}\n{}", self.text),
            None => self.text.clone(),
        }
    }

    /// Its beginning.
    pub fn quoted(&self) -> String {
        let whole = self.whole();
        let (quote, rest) = quote(&whole, QUOTED);
        format!("{quote}{rest}")
    }
}

impl Session {
    /// The session after an answer by `by`. `way` says how it goes to the agent; it is asked only if the answer is taken.
    ///
    /// # Errors
    /// [`Refusal::TooLate`] if the question it answers is not open (any more), [`Refusal::Invalid`] if it chooses what was
    /// no option, [`Refusal::Rule`] if the sender's key stands for another answer.
    pub fn answer(
        &self,
        by: Answerer,
        wish: InputAnswer,
        way: impl FnOnce(&RequestId) -> How,
        mint: &mut Mint,
    ) -> Result<Outcome, Refusal> {
        if let Some(first) = self.said_before(&by, &wish)? {
            return Ok(Outcome::Repeated(first.clone()));
        }
        let open = self.head.needs_input.value().filter(|_| self.head.is_waiting());
        let Some(needs) = open else {
            return Err(self.too_late(wish.request.as_ref()));
        };
        if wish.request.is_some() && wish.request != needs.request_id {
            return Err(self.too_late(wish.request.as_ref()));
        }
        check_choice(needs, wish.choice.as_deref())?;
        // Questions from before questions had names get one now.
        let request = needs.request_id.clone().unwrap_or_else(|| mint.id());
        let how = way(&request);
        let answer = Answer {
            text: wish.text,
            choice: wish.choice,
            answered_by: by,
            answered_at: mint.now(),
            how,
            pending: how != How::Poll,
            key: wish.key.map(|key| key.as_str().to_owned()),
            request_id: request,
        };
        Ok(Outcome::Taken(
            Box::new(self.answered(answer.clone(), mint)),
            answer,
        ))
    }

    /// The session after its answer took another way, or its way was made sure of. `None` if it knows of no such answer,
    /// or nothing changes.
    pub fn answer_sent(&self, request: &RequestId, how: How, pending: bool, now: Millis) -> Option<Change> {
        let mut next = self.clone();
        let project = self.head.project_id.clone();
        let answers = &mut next.head_mut().answers;
        let answer = answers.iter_mut().find(|answer| answer.request_id == *request)?;
        let moved = answer.how != how;
        if !moved && answer.pending == pending {
            return None;
        }
        (answer.how, answer.pending) = (how, pending);
        let typed = (moved && how == How::Desktop).then(|| typed(&self.head.id, answer, now));
        let mut change = Change {
            session: Some(next.clone()),
            ..Change::default()
        };
        if moved {
            let prompt = typed.map(|prompt| Event::SessionPromptSend { prompt, project });
            change.events = prompt.into_iter().chain([Event::SessionUpdated(next)]).collect();
        }
        Some(change)
    }

    /// What the same sender said under the same key.
    fn said_before(&self, by: &Answerer, wish: &InputAnswer) -> Result<Option<&Answer>, Refusal> {
        let Some(key) = &wish.key else { return Ok(None) };
        let mut answers = self.head.answers.iter();
        let Some(first) =
            answers.find(|answer| answer.key.as_deref() == Some(key.as_str()) && answer.answered_by.is(by))
        else {
            return Ok(None);
        };
        let same_question = wish
            .request
            .as_ref()
            .is_none_or(|request| *request == first.request_id);
        if same_question && (&wish.text, &wish.choice) == (&first.text, &first.choice) {
            return Ok(Some(first));
        }
        Err(Refusal::Rule(
            "this idempotency key was used for another answer".into(),
        ))
    }

    fn too_late(&self, request: Option<&RequestId>) -> Refusal {
        let head = &*self.head;
        let needs = head.needs_input.value();
        let open = head.open_request();
        let answered = request
            .or(head.request_id())
            .and_then(|request| head.answer_to(request));
        // The last question may have ended without an answer: somebody went on at the terminal.
        let ended = needs.filter(|needs| request.is_none() || needs.request_id.as_ref() == request);
        let (why, by, at) = match (answered, head.is_waiting()) {
            (Some(answer), _) => (
                Late::AlreadyAnswered,
                Some(answer.answered_by.clone()),
                Some(answer.answered_at),
            ),
            (None, true) => (Late::StaleRequest, None, None),
            (None, false) => (
                Late::NotWaiting,
                ended.and_then(|needs| needs.answered_by.clone()),
                ended.and_then(|needs| needs.answered_at),
            ),
        };
        Refusal::TooLate(Box::new(TooLate {
            why,
            session: head.id.clone(),
            current: open.cloned(),
            by,
            at,
            said: answered.map(Answer::quoted),
        }))
    }

    fn answered(&self, answer: Answer, mint: &mut Mint) -> Change {
        let now = mint.now();
        let mut next = self.active_at(now);
        let mut entry = NewEntry::said(
            "input_answered",
            &format!("{} answered: {}", answer.answered_by.name, answer.quoted()),
        );
        entry.metadata = Maybe::Value(json!({
            "requestId": answer.request_id, "answeredBy": answer.answered_by, "how": answer.how,
        }));
        next.note(entry, mint);
        let head = next.head_mut();
        if let Maybe::Value(needs) = &mut head.needs_input {
            needs.active = false;
            needs.request_id = Some(answer.request_id.clone());
            needs.answered_by = Some(answer.answered_by.clone());
            needs.answered_at = Some(now);
        }
        head.answers.push(answer.clone());
        let surplus = head.answers.len().saturating_sub(REMEMBERED);
        head.answers.drain(..surplus);
        let project = self.head.project_id.clone();
        let mut events = Vec::new();
        if answer.how == How::Desktop {
            events.push(Event::SessionPromptSend {
                prompt: typed(&self.head.id, &answer, now),
                project: project.clone(),
            });
        }
        events.push(Event::SessionUpdated(next.clone()));
        let answered = InputAnswered {
            session_id: self.head.id.clone(),
            request_id: answer.request_id,
            answered_by: answer.answered_by,
            how: answer.how,
            timestamp: now,
        };
        events.push(Event::SessionInputAnswered {
            answered: Arc::new(answered),
            project,
        });
        Change {
            tasks: Vec::new(),
            session: Some(next),
            events,
        }
    }
}

/// What a desktop is asked to type: one line, because a line end sends off what stands before it.
fn typed(session: &SessionId, answer: &Answer, now: Millis) -> Arc<PromptSend> {
    Arc::new(PromptSend {
        session_id: session.clone(),
        content: one_line(&answer.whole()),
        mode: "send",
        sender_session_id: None,
        timestamp: now,
        sender: answer.answered_by.sender(),
    })
}

/// One line without anything a terminal would obey, and without spaces around it.
fn one_line(text: &str) -> String {
    for_terminal(text).trim().to_owned()
}

/// A question that lists `options` (texts, or objects with `id`, `value` or `label`) takes one of them.
fn check_choice(needs: &NeedsInput, choice: Option<&str>) -> Result<(), Refusal> {
    let options = needs.extra.get("options").and_then(Value::as_array);
    let (Some(options), Some(choice)) = (options, choice) else {
        return Ok(());
    };
    let is_it =
        |value: Option<&Value>| value.and_then(Value::as_str).map(one_line).as_deref() == Some(choice);
    let offered = options.iter().any(|option| {
        is_it(Some(option)) || ["id", "value", "label"].iter().any(|key| is_it(option.get(key)))
    });
    match offered {
        true => Ok(()),
        false => Err(Refusal::invalid("choice is none of the question's options")),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
