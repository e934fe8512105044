//! Whatever is asked, answered and withdrawn in whatever order: one answer a question, and every refusal is true.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::domain::samples::session;

use super::super::InputState;
use super::tests::{asks, give, goes_on, phone, says};
use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// A question, by its text: the same text twice is the same question while it is open.
    Ask(u8),
    GoOn,
    Status(&'static str),
    /// Who answers which of the questions seen so far (none: the open one), saying what under which key.
    Answer {
        who: u8,
        which: Option<usize>,
        text: u8,
        key: Option<u8>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..3).prop_map(Step::Ask),
        1 => Just(Step::GoOn),
        1 => prop_oneof![Just("working"), Just("completed"), Just("idle")].prop_map(Step::Status),
        6 => (0u8..3, proptest::option::of(0usize..6), 0u8..3, proptest::option::of(0u8..2))
            .prop_map(|(who, which, text, key)| Step::Answer { who, which, text, key }),
    ]
}

proptest! {
    #[test]
    fn at_most_one_answer_a_question_and_every_refusal_names_the_truth(steps in proptest::collection::vec(step(), 1..60)) {
        let mut it = session("s", &[]);
        let mut seen: Vec<RequestId> = Vec::new();
        let mut won: HashMap<RequestId, Answer> = HashMap::new();
        for (step, now) in steps.into_iter().zip(1..) {
            match step {
                Step::Ask(question) => it = asks(&it, &question.to_string(), now),
                Step::GoOn => it = goes_on(&it, now),
                Step::Status(status) => it.head_mut().status = status.into(),
                Step::Answer { who, which, text, key } => {
                    let request = which.and_then(|n| seen.get(n));
                    let open = it.head.open_request().cloned();
                    let key = key.map(|key| format!("k{key}"));
                    let wish = says(request, &text.to_string(), key.as_deref());
                    let by = phone(&who.to_string());
                    match give(&it, &by, wish.clone(), How::Poll, now) {
                        Ok(Outcome::Taken(change, answer)) => {
                            prop_assert_eq!(Some(&answer.request_id), open.as_ref(), "only what is open is answered");
                            prop_assert!(request.is_none() || request == open.as_ref());
                            prop_assert!(won.insert(answer.request_id.clone(), answer).is_none(), "it was answered twice");
                            it = change.session.unwrap();
                            prop_assert!(!it.head.is_waiting());
                        }
                        Ok(Outcome::Repeated(first)) => {
                            prop_assert_eq!(won.get(&first.request_id), Some(&first));
                            prop_assert!(wish.key.is_some() && first.text == wish.text);
                            prop_assert_eq!(&first.answered_by, &Answerer::of(&by, &it.head));
                        }
                        Err(Refusal::TooLate(late)) => {
                            prop_assert_eq!(&late.current, &open);
                            let asked = request.or(it.head.request_id());
                            let first = asked.and_then(|request| won.get(request));
                            match late.why {
                                Late::AlreadyAnswered => {
                                    let first = first.unwrap();
                                    prop_assert_eq!(late.by.as_ref(), Some(&first.answered_by));
                                    prop_assert_eq!(late.at, Some(first.answered_at));
                                    prop_assert_eq!(late.said.as_ref(), Some(&first.text));
                                }
                                Late::StaleRequest => prop_assert!(open.is_some() && request != open.as_ref()),
                                Late::NotWaiting => prop_assert!(open.is_none()),
                            }
                            if first.is_some_and(|first| it.head.answers.contains(first)) {
                                prop_assert_eq!(late.why, Late::AlreadyAnswered);
                            }
                        }
                        Err(Refusal::Rule(_)) => prop_assert!(wish.key.is_some()),
                        Err(other) => prop_assert!(false, "{other:?}"),
                    }
                }
            }
            if let Some(request) = it.head.request_id() && !seen.contains(request) {
                seen.push(request.clone());
            }
            // Whoever waits for a question is told of its answer as long as it is remembered.
            for answer in &it.head.answers {
                prop_assert_eq!(won.get(&answer.request_id), Some(answer));
                prop_assert_eq!(it.head.input(Some(&answer.request_id)), InputState::Answered(answer.clone()));
            }
        }
    }
}
