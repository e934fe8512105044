use serde_json::Map;

use crate::domain::samples::{at, mint, session};
use crate::domain::{Device, DeviceId, Scopes};

use super::super::Question;
use super::*;

/// A session that asks "Which?" since 1.
pub(super) fn asking() -> Session {
    asks(&session("s", &[]), "Which?", 1)
}

pub(super) fn asks(it: &Session, message: &str, now: i64) -> Session {
    let mut next = it.clone();
    let question = Question {
        active: true,
        message: Maybe::Value(message.into()),
        since: Maybe::Value(at(now)),
        extra: Map::new(),
    };
    next.ask(question, mint(now).id(), at(now));
    next
}

pub(super) fn goes_on(it: &Session, now: i64) -> Session {
    let mut next = it.clone();
    let question = Question {
        active: false,
        message: Maybe::Absent,
        since: Maybe::Absent,
        extra: Map::new(),
    };
    next.ask(question, mint(now).id(), at(now));
    next
}

pub(super) fn phone(name: &str) -> Caller {
    Caller::Device(Arc::new(Device {
        id: DeviceId::parse(&format!("dev_{name}")).unwrap(),
        name: format!("iPhone of {name}"),
        scopes: Scopes::of_a_phone(),
        projects: Vec::new(),
        paired_at: Millis(0),
        last_seen: Millis(0),
    }))
}

pub(super) fn says(request: Option<&RequestId>, text: &str, key: Option<&str>) -> InputAnswer {
    InputAnswer {
        session: SessionId::parse("s").unwrap(),
        request: request.cloned(),
        text: text.into(),
        choice: None,
        key: key.map(|key| SendKey::parse(key).unwrap()),
    }
}

pub(super) fn give(
    it: &Session,
    by: &Caller,
    wish: InputAnswer,
    how: How,
    now: i64,
) -> Result<Outcome, Refusal> {
    let by = Answerer::of(by, &it.head);
    it.answer(by, wish.harmless()?, |_| how, &mut mint(now))
}

#[track_caller]
fn taken(outcome: Result<Outcome, Refusal>) -> (Session, Answer, Vec<String>) {
    match outcome.unwrap() {
        Outcome::Taken(change, answer) => {
            let said = change.says().into_iter().map(str::to_owned).collect();
            (change.session.unwrap(), answer, said)
        }
        Outcome::Repeated(answer) => panic!("repeated {answer:?}"),
    }
}

#[track_caller]
fn late(outcome: Result<Outcome, Refusal>) -> TooLate {
    match outcome {
        Err(Refusal::TooLate(late)) => *late,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_answer_ends_the_wait_and_is_written_down_with_its_author() {
    let it = asking();
    let request = it.head.open_request().cloned().unwrap();
    let (it, answer, said) = taken(give(
        &it,
        &phone("Anna"),
        says(Some(&request), "the left", None),
        How::Mail,
        5,
    ));
    assert_eq!(said, ["session:updated", "session:input_answered"]);
    assert!(answer.pending, "a mail is yet to be sent");
    let needs = serde_json::to_value(&it.head.needs_input).unwrap();
    assert_eq!(
        needs,
        json!({"active": false, "message": "Which?", "since": 1, "requestId": request, "answeredAt": 5,
               "answeredBy": {"kind": "device", "id": "dev_Anna", "name": "iPhone of Anna"}})
    );
    let entry = it.timeline.values().unwrap().pop().unwrap();
    assert_eq!(
        (&entry["type"], &entry["message"], &entry["metadata"]["how"]),
        (
            &json!("input_answered"),
            &json!("iPhone of Anna answered: the left"),
            &json!("mail")
        )
    );
    assert_eq!(it.head.last_activity, at(5));
}

#[test]
fn whoever_is_later_learns_who_when_and_what() {
    let it = asking();
    let request = it.head.open_request().cloned().unwrap();
    let (it, ..) = taken(give(
        &it,
        &Caller::Local,
        says(None, &"yes ".repeat(100), None),
        How::Poll,
        5,
    ));
    for wish in [says(Some(&request), "no", None), says(None, "no", None)] {
        let late = late(give(&it, &phone("Ben"), wish, How::Poll, 6));
        assert_eq!(
            (late.why, late.at, late.current.as_ref()),
            (Late::AlreadyAnswered, Some(at(5)), None)
        );
        assert_eq!(late.by.as_ref().unwrap().name, "here");
        let said = late.said.as_ref().unwrap();
        assert!(said.starts_with("yes yes") && said.len() < 300, "{said}");
        assert!(
            late.to_string().starts_with("here has answered already: yes"),
            "{late}"
        );
    }
    let it = asks(&it, "And now?", 7);
    let late = late(give(
        &it,
        &phone("Ben"),
        says(Some(&request), "no", None),
        How::Poll,
        8,
    ));
    assert_eq!(late.why, Late::AlreadyAnswered);
    assert_eq!(
        late.current.as_ref(),
        it.head.open_request(),
        "and what is asked now"
    );
}

#[test]
fn an_answer_to_a_question_that_was_replaced_is_stale() {
    let before = asking();
    let old = before.head.open_request().cloned().unwrap();
    let it = asks(&before, "Which one of the two?", 3);
    for request in [old, RequestId::parse("req_made_up").unwrap()] {
        let late = late(give(
            &it,
            &phone("Anna"),
            says(Some(&request), "the left", None),
            How::Poll,
            5,
        ));
        assert_eq!((late.why, late.by, late.at), (Late::StaleRequest, None, None));
        assert_eq!(late.current.as_ref(), it.head.open_request());
    }
}

#[test]
fn where_nobody_waits_an_answer_is_told_so_and_who_went_on() {
    let idle = session("s", &[]);
    let nobody = late(give(&idle, &Caller::Local, says(None, "x", None), How::Poll, 5));
    assert_eq!((nobody.why, nobody.by), (Late::NotWaiting, None));
    let it = asking();
    let request = it.head.open_request().cloned().unwrap();
    let went_on = goes_on(&it, 4);
    for wish in [says(Some(&request), "x", None), says(None, "x", None)] {
        let late = late(give(&went_on, &phone("Anna"), wish, How::Poll, 5));
        assert_eq!(
            (late.why, late.at, late.said),
            (Late::NotWaiting, Some(at(4)), None)
        );
        assert_eq!(late.by.unwrap().name, "here");
    }
    let mut ended = it;
    ended.head_mut().status = "completed".into();
    let late = late(give(
        &ended,
        &phone("Anna"),
        says(Some(&request), "x", None),
        How::Poll,
        5,
    ));
    assert_eq!(late.why, Late::NotWaiting);
}

#[test]
fn a_repeat_gets_the_first_result_even_when_something_else_is_asked_by_then() {
    let it = asking();
    let request = it.head.open_request().cloned().unwrap();
    let wish = says(Some(&request), " the left\u{1b}[0m ", Some("k1"));
    let (it, first, _) = taken(give(&it, &phone("Anna"), wish.clone(), How::Desktop, 5));
    let it = asks(&it, "And now?", 6);
    match give(&it, &phone("Anna"), wish.clone(), How::Poll, 7).unwrap() {
        Outcome::Repeated(again) => assert_eq!(again, first),
        other => panic!("{other:?}"),
    }
    let mut other = wish.clone();
    other.text = "the right".into();
    let refused = give(&it, &phone("Anna"), other, How::Poll, 7);
    assert!(matches!(refused, Err(Refusal::Rule(_))), "{refused:?}");
    let mut elsewhere = wish.clone();
    elsewhere.request = it.head.open_request().cloned();
    assert!(matches!(
        give(&it, &phone("Anna"), elsewhere, How::Poll, 7),
        Err(Refusal::Rule(_))
    ));
    // Somebody else's key of the same name is another key.
    assert_eq!(
        late(give(&it, &phone("Ben"), wish, How::Poll, 7)).why,
        Late::AlreadyAnswered
    );
}

#[test]
fn a_desktop_is_asked_to_type_one_harmless_line_before_the_update_is_told() {
    let it = asking();
    let outcome = give(
        &it,
        &Caller::Local,
        says(None, "left\r\nrm -rf /\u{1b}]0;x\u{7}\n", None),
        How::Desktop,
        5,
    );
    let Ok(Outcome::Taken(change, answer)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        change.says(),
        ["session:prompt_send", "session:updated", "session:input_answered"]
    );
    match &change.events[0] {
        Event::SessionPromptSend { prompt, .. } => assert_eq!(prompt.content, "left rm -rf /"),
        other => panic!("{other:?}"),
    }
    assert_eq!(answer.text, "left\nrm -rf /", "who asks for it gets the lines");
}

#[test]
fn an_answer_takes_another_way_and_says_so() {
    let it = asking();
    let (it, answer, _) = taken(give(&it, &Caller::Local, says(None, "yes", None), How::Poll, 5));
    assert!(
        it.answer_sent(&answer.request_id, How::Poll, false, at(6))
            .is_none(),
        "nothing changed"
    );
    let change = it
        .answer_sent(&answer.request_id, How::Desktop, false, at(6))
        .unwrap();
    assert_eq!(change.says(), ["session:prompt_send", "session:updated"]);
    let change = it
        .answer_sent(&answer.request_id, How::Mail, true, at(6))
        .unwrap();
    assert_eq!(change.says(), ["session:updated"]);
    let it = change.session.unwrap();
    let change = it
        .answer_sent(&answer.request_id, How::Mail, false, at(7))
        .unwrap();
    assert!(change.says().is_empty() && !change.session.unwrap().head.answers[0].pending);
    assert!(
        it.answer_sent(&RequestId::parse("other").unwrap(), How::Mail, false, at(7))
            .is_none()
    );
}

#[test]
fn a_choice_is_one_of_the_options_if_there_are_any() {
    let mut it = asking();
    let chooses = |choice: &str| InputAnswer {
        choice: Some(choice.into()),
        ..says(None, "", None)
    };
    let (_, answer, _) = taken(give(&it, &Caller::Local, chooses("anything"), How::Poll, 5));
    assert_eq!(answer.whole(), "anything");
    let Maybe::Value(needs) = &mut it.head_mut().needs_input else {
        panic!()
    };
    needs.extra.insert(
        "options".into(),
        json!(["Approve", {"id": "n", "label": "Reject"}]),
    );
    for fits in ["Approve", "n", "Reject"] {
        taken(give(&it, &Caller::Local, chooses(fits), How::Poll, 5));
    }
    assert!(matches!(
        give(&it, &Caller::Local, chooses("Maybe"), How::Poll, 5),
        Err(Refusal::Invalid(_))
    ));
    let mut both = chooses("Reject");
    both.text = "too risky".into();
    let (_, answer, _) = taken(give(&it, &Caller::Local, both, How::Poll, 5));
    assert_eq!(answer.whole(), "Reject\ntoo risky");
}

#[test]
fn an_answer_says_something_and_not_too_much() {
    for (text, choice) in [
        ("", None),
        (" \n\u{1b}[0m ", Some(" ")),
        (&*"x".repeat(LONGEST + 1), None),
        ("x", Some(&*"x".repeat(LONGEST_CHOICE + 1))),
    ] {
        let wish = InputAnswer {
            choice: choice.map(str::to_owned),
            ..says(None, text, None)
        };
        assert!(matches!(wish.harmless(), Err(Refusal::Invalid(_))));
    }
}

#[test]
fn a_session_remembers_its_last_answers_and_no_more() {
    let mut it = session("s", &[]);
    for n in 1..=20 {
        it = asks(&it, &n.to_string(), n);
        (it, ..) = taken(give(
            &it,
            &Caller::Local,
            says(None, &n.to_string(), None),
            How::Poll,
            n,
        ));
    }
    assert_eq!(it.head.answers.len(), REMEMBERED);
    assert_eq!(it.head.answers.last().unwrap().text, "20");
}

#[test]
fn a_question_from_before_questions_had_names_gets_one_with_its_answer() {
    let mut it = asking();
    let Maybe::Value(needs) = &mut it.head_mut().needs_input else {
        panic!()
    };
    needs.request_id = None;
    let (it, answer, _) = taken(give(&it, &Caller::Local, says(None, "yes", None), How::Poll, 5));
    assert_eq!(it.head.request_id(), Some(&answer.request_id));
}
