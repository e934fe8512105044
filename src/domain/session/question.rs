//! When a session waits for a person. Clients say so as they always did; the hub gives each question a name, so that an
//! answer can say which one it answers (PHONE 3.4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{Maybe, Millis, RequestId};

use super::{Answer, Answerer, Ending, Session, SessionHead};

/// What only the hub says of a question.
const OURS: [&str; 3] = ["requestId", "answeredBy", "answeredAt"];

/// What a client says of the question it waits on: `needsInput` of a request.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
pub struct Question {
    /// True while it waits.
    #[serde(default)]
    pub active: bool,
    /// The question.
    #[serde(default)]
    pub message: Maybe<String>,
    /// Since when.
    #[serde(default)]
    pub since: Maybe<Millis>,
    /// Anything else it said.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Whether and why a session waits for a person: what a client said, unknown fields included, and what the hub added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NeedsInput {
    /// True while it waits. A session that ended keeps what it was: see [`SessionHead::is_waiting`].
    #[serde(default)]
    pub active: bool,
    /// The question.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub message: Maybe<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub since: Maybe<Millis>,
    /// The name of the question, the last one if none is open. Absent on questions from before questions had names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// Who ended the wait: by an answer, or by going on at the terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<Answerer>,
    /// When the wait was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Millis>,
    /// Anything else a client said.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// How a question stands, for whoever asked it.
#[derive(Clone, Debug, PartialEq)]
pub enum InputState {
    /// It was answered.
    Answered(Answer),
    /// Nobody has answered yet; the name of the open question, if one is open and has a name.
    Waiting(Option<RequestId>),
    /// No answer will come.
    Over {
        /// The question that is open instead.
        current: Option<RequestId>,
        /// Who ended the wait, if it is known.
        by: Option<Answerer>,
        /// When.
        at: Option<Millis>,
    },
}

impl Session {
    /// Takes over what a client says of its question. Another question, or one that is asked anew, is called `fresh`; the
    /// same one said twice (clients do: once in the timeline, once as a change) keeps its name.
    pub(super) fn ask(&mut self, question: Question, fresh: RequestId, now: Millis) {
        let here = Answerer::here(&self.head);
        let head = self.head_mut();
        let (mut name, mut ended, mut was_active) = (None, None, false);
        if let Maybe::Value(before) = &head.needs_input {
            let message = question.message.value();
            let is_other = message.is_some() && message != before.message.value();
            was_active = before.active;
            ended = before.answered_by.clone().zip(before.answered_at);
            let is_new = question.active && (!was_active || is_other);
            name = before.request_id.clone().filter(|_| !is_new);
        }
        match (was_active, question.active) {
            (true, false) => ended = Some((here, now)),
            (_, true) => {
                ended = None;
                name = name.or(Some(fresh));
            }
            (false, false) => {}
        }
        let (answered_by, answered_at) = ended.unzip();
        let mut extra = question.extra;
        extra.retain(|key, _| !OURS.contains(&key.as_str()));
        head.needs_input = Maybe::Value(NeedsInput {
            active: question.active,
            message: question.message,
            since: question.since,
            request_id: name,
            answered_by,
            answered_at,
            extra,
        });
    }
}

impl SessionHead {
    /// True if an answer would be taken: it asks, and it has not ended.
    pub fn is_waiting(&self) -> bool {
        Ending::of(&self.status).is_none() && self.needs_input.value().is_some_and(|needs| needs.active)
    }

    /// The name of its question, the last one if none is open.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.needs_input.value()?.request_id.as_ref()
    }

    /// The name of the question that is open.
    pub fn open_request(&self) -> Option<&RequestId> {
        self.request_id().filter(|_| self.is_waiting())
    }

    /// What was answered to a question, if it is remembered.
    pub fn answer_to(&self, request: &RequestId) -> Option<&Answer> {
        let mut answers = self.answers.iter().rev();
        answers.find(|answer| answer.request_id == *request)
    }

    /// How a question stands; without a name, the one that is open, else the last one.
    pub fn input(&self, request: Option<&RequestId>) -> InputState {
        let last = self.request_id();
        let open = self.open_request();
        if request.is_none() && self.is_waiting() {
            return InputState::Waiting(open.cloned());
        }
        if let Some(answer) = request.or(last).and_then(|request| self.answer_to(request)) {
            return InputState::Answered(answer.clone());
        }
        match request {
            Some(request) if open == Some(request) => InputState::Waiting(open.cloned()),
            // It may ask yet.
            None if Ending::of(&self.status).is_none() => InputState::Waiting(None),
            _ => {
                let needs = self.needs_input.value();
                let needs = needs.filter(|_| request.is_none() || request == last);
                InputState::Over {
                    current: open.cloned(),
                    by: needs.and_then(|needs| needs.answered_by.clone()),
                    at: needs.and_then(|needs| needs.answered_at),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::samples::{at, mint, session};

    use super::*;

    fn said(question: Value) -> Question {
        serde_json::from_value(question).unwrap()
    }

    /// A session to which these were said at 1, 2, ..., each with the name the hub gave the question then.
    fn after(questions: &[Value]) -> (Session, Vec<Option<String>>) {
        let mut it = session("s", &[]);
        let mut names = Vec::new();
        for (question, now) in questions.iter().zip(1..) {
            it.ask(said(question.clone()), mint(now).id(), at(now));
            let name = it.head.request_id().map(ToString::to_string);
            names.push(name.map(|name| name.split('_').nth(1).unwrap().to_owned()));
        }
        (it, names)
    }

    #[track_caller]
    fn assert_named(questions: &[Value], names: &[&str]) {
        let got = after(questions).1;
        let got: Vec<&str> = got.iter().map(|name| name.as_deref().unwrap_or("-")).collect();
        assert_eq!(got, names);
    }

    #[test]
    fn a_question_has_a_new_name_when_it_is_asked_and_when_it_changes_and_only_then() {
        let (asks, goes_on) = (
            |m: &str| json!({"active": true, "message": m}),
            json!({"active": false}),
        );
        assert_named(&[asks("a?"), asks("a?")], &["1", "1"]);
        assert_named(
            &[asks("a?"), json!({"active": true, "message": "a?", "since": 9})],
            &["1", "1"],
        );
        assert_named(&[asks("a?"), json!({"active": true})], &["1", "1"]);
        assert_named(&[asks("a?"), asks("b?"), asks("a?")], &["1", "2", "3"]);
        assert_named(&[json!({"active": true}), asks("a?")], &["1", "2"]);
        assert_named(&[asks("a?"), goes_on.clone(), asks("a?")], &["1", "1", "3"]);
        assert_named(&[goes_on.clone(), goes_on, asks("a?")], &["-", "-", "3"]);
    }

    #[test]
    fn a_client_can_neither_forge_nor_lose_what_the_hub_says_of_a_question() {
        let forged =
            json!({"active": true, "message": "a?", "requestId": "req_mine", "answeredBy": 5, "mood": "x"});
        let (it, names) = after(&[forged.clone(), forged]);
        assert_eq!(names[1].as_deref(), Some("1"));
        let stored = serde_json::to_value(&it.head.needs_input).unwrap();
        assert_eq!(
            stored,
            json!({"active": true, "message": "a?", "mood": "x", "requestId": it.head.request_id()})
        );
    }

    #[test]
    fn who_goes_on_at_the_terminal_ends_the_wait_on_this_machine() {
        let (it, _) = after(&[json!({"active": true, "message": "a?"}), json!({"active": false})]);
        let stored = serde_json::to_value(&it.head.needs_input).unwrap();
        assert_eq!(
            stored,
            json!({"active": false, "requestId": it.head.request_id(),
                   "answeredBy": {"kind": "local", "name": "here"}, "answeredAt": 2})
        );
        let request = it.head.request_id().unwrap();
        assert!(matches!(
            it.head.input(Some(request)),
            InputState::Over {
                current: None,
                by: Some(_),
                at: Some(_)
            }
        ));
    }

    #[test]
    fn a_session_that_ended_waits_for_nothing_and_waits_again_if_it_goes_on() {
        let (mut it, _) = after(&[json!({"active": true, "message": "a?"})]);
        let request = it.head.request_id().cloned().unwrap();
        assert!(it.head.is_waiting());
        for status in ["completed", "failed", "stopped"] {
            it.head_mut().status = status.into();
            assert!(!it.head.is_waiting() && it.head.open_request().is_none());
            for asked in [Some(&request), None] {
                assert!(matches!(
                    it.head.input(asked),
                    InputState::Over { current: None, .. }
                ));
            }
        }
        it.head_mut().status = "working".into();
        assert_eq!(
            it.head.input(Some(&request)),
            InputState::Waiting(Some(request.clone()))
        );
        assert_eq!(it.head.input(None), InputState::Waiting(Some(request)));
    }

    #[test]
    fn a_question_from_before_questions_had_names_is_open_all_the_same() {
        let mut it = session("s", &[]);
        let old = json!({"active": true, "message": "a?", "since": 5});
        it.head_mut().needs_input = Maybe::Value(serde_json::from_value(old).unwrap());
        assert_eq!(it.head.input(None), InputState::Waiting(None));
        it.ask(
            said(json!({"active": true, "message": "a?"})),
            mint(7).id(),
            at(7),
        );
        assert!(
            it.head.open_request().is_some(),
            "it is named when it is said again"
        );
    }
}
