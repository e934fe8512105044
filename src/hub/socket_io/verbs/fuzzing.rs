//! What holds for any payload of a phone: it is understood only if it is an object with the fields that verb has and no
//! others, every text in the wish stands in the payload, and a refusal tells programs and people why.
//!
//! The input: a verb's name, a line break, the payload.

#![allow(clippy::panic)] // this is how a check fails

use serde_json::Value;

use crate::domain::{Caller, SessionId};

use super::super::lists::{Everybody, Team, Thread};
use super::{
    Focus, Refusal, Verb,
    asking::{PromptWish, Reply, Spawn, letter},
    check_id, read,
    sync::{Page, Since, listed},
};

/// The fields of each verb, written down once more: those that must be there, and those that may.
fn fields(verb: Verb) -> (&'static [&'static str], &'static [&'static str]) {
    match verb {
        Verb::Mail => (
            &["projectId", "type", "subject"],
            &[
                "requestId",
                "fromSessionId",
                "toSessionId",
                "toTeamMemberId",
                "replyToMailId",
                "body",
                "priority",
                "scope",
            ],
        ),
        Verb::Reply => (&["sessionId"], &["requestId", "text", "choice", "idempotencyKey"]),
        Verb::Prompt => (&["sessionId", "content"], &["mode", "requestId"]),
        Verb::Spawn => (
            &["projectId", "teamMemberId", "requestId"],
            &["taskIds", "message"],
        ),
        Verb::Subscribe => (&["sessionIds"], &[]),
        Verb::Timeline => (&["sessionId"], &["before", "limit"]),
        Verb::Agents => (&[], &[]),
        Verb::Team => (&["projectId"], &[]),
        Verb::Thread => (&["id"], &[]),
        Verb::Sync => (&[], &["epoch", "since"]),
        Verb::Focus => (&[], &["sessionId", "visible"]),
    }
}

pub(crate) fn socket_io(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (name, payload) = text.split_once('\n').unwrap_or((&text, ""));
    let (Some(verb), Ok(data)) = (
        Verb::ALL.into_iter().find(|verb| verb.name() == name),
        serde_json::from_str::<Value>(payload),
    ) else {
        return; // no such verb, or not one JSON value: nobody is asked
    };
    match understood(verb, data.clone()) {
        Ok(()) if verb == Verb::Subscribe => is_a_list(&data),
        Ok(()) => has_the_fields(verb, &data),
        Err(refusal) => says_why(&refusal),
    }
}

/// As far as it can be told without a hub.
fn understood(verb: Verb, data: Value) -> Result<(), Refusal> {
    match verb {
        Verb::Mail => {
            let (id, wish) = letter(&Caller::Local, data, None)?;
            id.as_deref().map_or(Ok(()), check_id)?;
            assert!(!wish.letter.subject.is_empty(), "a mail about nothing");
        }
        Verb::Reply => {
            let answer = read::<Reply>(data)?.answer(SessionId::human())?;
            if let Ok(answer) = answer.harmless() {
                let readable = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
                let choice = answer.choice.unwrap_or_default();
                assert!(
                    answer.text.chars().all(readable) && !choice.contains(char::is_control),
                    "an answer commands the terminal: {:?} {choice:?}",
                    answer.text
                );
            }
        }
        Verb::Prompt => {
            let wish = read::<PromptWish>(data)?;
            let (content, _) = wish.text_and_mode()?;
            assert!(!content.trim().is_empty(), "a prompt that says nothing");
        }
        Verb::Spawn => {
            let id = data.get("requestId").cloned();
            read::<Spawn>(data)?;
            check_id(id.as_ref().and_then(Value::as_str).unwrap_or_default())?;
        }
        Verb::Subscribe => {
            listed(data)?;
        }
        Verb::Timeline => {
            read::<Page>(data)?;
        }
        Verb::Agents => {
            read::<Everybody>(data)?;
        }
        Verb::Team => {
            read::<Team>(data)?;
        }
        Verb::Thread => {
            read::<Thread>(data)?;
        }
        Verb::Sync => {
            read::<Since>(data)?;
        }
        Verb::Focus => {
            let visible = data.get("visible").is_some_and(Value::is_boolean);
            read::<Focus>(data)?;
            assert!(visible, "a page that does not say whether it can be seen");
        }
    }
    Ok(())
}

fn has_the_fields(verb: Verb, data: &Value) {
    let Value::Object(object) = data else {
        panic!("{} without names was understood: {data}", verb.name());
    };
    let (must, may) = fields(verb);
    for name in must {
        let there = object.get(*name).is_some_and(Value::is_string);
        assert!(there, "{} was understood without {name}: {data}", verb.name());
    }
    let known = |name: &String| must.contains(&name.as_str()) || may.contains(&name.as_str());
    assert!(
        object.keys().all(known),
        "{} was understood with more than it has: {data}",
        verb.name()
    );
}

/// The one payload that may be a bare list.
fn is_a_list(data: &Value) {
    let list = data.get("sessionIds").unwrap_or(data).as_array();
    assert!(
        list.is_some_and(|list| list.len() <= 100),
        "no list of ids, or no end to it"
    );
}

fn says_why(refusal: &Refusal) {
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    assert!(
        !refusal.code.is_empty() && refusal.code.chars().all(plain),
        "{refusal:?}"
    );
    assert!(!refusal.message.trim().is_empty(), "{refusal:?}");
    let told = refusal.told();
    assert_eq!(
        (&told["success"], &told["error"], &told["code"]),
        (
            &Value::Bool(false),
            &Value::from(refusal.message.as_str()),
            &Value::from(refusal.code)
        )
    );
}
