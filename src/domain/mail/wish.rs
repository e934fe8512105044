//! What somebody wants to send, and what is true once it is sent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{Caller, HUMAN, MailId, Maybe, MemberId, Millis, ProjectId, Refusal, SessionId};

use super::form::{Form, Need};
use super::{Mail, MailPriority, MailType, Sender, SenderKind};

pub(super) const TYPES: &str = "assignment, status_update, query, response, directive, notification";

/// What a refusal calls the body.
pub(super) const WHOLE: &str = "Invalid request body";

/// A body of `POST /api/mail`, checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewMail {
    /// What is to be sent.
    #[serde(flatten)]
    pub letter: Letter,
    /// Who gets it. Absent and null differ: a scope counts only if absent.
    pub to: Maybe<SessionId>,
    /// The team member whose sessions get it.
    pub to_member: Option<MemberId>,
    /// Which sessions get it.
    pub scope: Option<MailScope>,
}

/// A mail before it has a recipient, an id and a time: what all mails of one sending have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Letter {
    /// The project it is sent in; need not exist.
    pub project_id: ProjectId,
    /// Who sends it; need not exist.
    pub from_session_id: SessionId,
    /// The mail it answers; need not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to_mail_id: Option<MailId>,
    /// What kind of mail it is.
    #[serde(rename = "type")]
    pub mail_type: MailType,
    /// 1 to 500 characters.
    pub subject: String,
    /// Whatever the sender says.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub body: Map<String, Value>,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<MailPriority>,
    /// Who sends it, if that is proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender>,
}

/// A group of recipients named by its place, not by its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MailScope {
    /// Everybody in the project.
    All,
    /// Sessions the sender has spawned.
    MyWorkers,
    /// Sessions spawned by whoever spawned the sender.
    Team,
}

impl NewMail {
    /// Reads what `caller` asks for. A device need not say who sends: whatever it says, its mail is from a person.
    pub fn read_from(caller: &Caller, mut body: Option<Value>) -> Result<Self, Refusal> {
        if let (Caller::Device(_), Some(Value::Object(fields))) = (caller, &mut body) {
            fields.insert("fromSessionId".into(), HUMAN.into());
        }
        Self::read(body)
    }

    /// Reads a request body (`None` if there was none), all problems at once.
    pub fn read(body: Option<Value>) -> Result<Self, Refusal> {
        let mut form = Form::of_body(WHOLE, body)?;
        let project = form.id("projectId", Need::Required).into_value();
        let from = form.id("fromSessionId", Need::Required).into_value();
        let mail_type = form.word("type", Need::Required, TYPES).into_value();
        let subject = form.text("subject", Need::Required, 500).into_value();
        let to = form.id("toSessionId", Need::Nullable);
        let to_member = form.id("toTeamMemberId", Need::Optional).into_value();
        let reply_to_mail_id = form.id("replyToMailId", Need::Nullable).into_value();
        let body = form
            .object("body", Need::Optional)
            .into_value()
            .unwrap_or_default();
        let priority = form
            .word("priority", Need::Optional, "critical, high, normal, low")
            .into_value();
        let scope = form
            .word("scope", Need::Optional, "all, my-workers, team")
            .into_value();
        let required = project.zip(from).zip(mail_type).zip(subject);
        form.end(
            required.map(|(((project_id, from_session_id), mail_type), subject)| Self {
                letter: Letter {
                    project_id,
                    from_session_id,
                    reply_to_mail_id,
                    mail_type,
                    subject,
                    body,
                    priority,
                    sender: None,
                },
                to,
                to_member,
                scope,
            }),
        )
    }
}

impl NewMail {
    /// True if a person sends it, proved by a device.
    pub fn is_from_a_person(&self) -> bool {
        let sender = self.letter.sender.as_ref();
        sender.is_some_and(|sender| sender.kind == SenderKind::Human)
    }

    /// True if its recipient is named, so that no session needs to be looked up.
    pub fn names_a_session(&self) -> bool {
        let leads = self.is_from_a_person() && self.scope == Some(MailScope::Team);
        self.to.value().is_some() && !leads
    }
}

impl Letter {
    /// Leaves out what may change while the letter stays the same: what a device is called.
    pub fn forget_names(&mut self) {
        let device = self.sender.as_mut().and_then(|sender| sender.device.as_mut());
        if let Some(device) = device {
            device.name.clear();
        }
    }

    /// The letter a mail was made from.
    pub fn of(mail: &Mail) -> Self {
        Self {
            project_id: mail.project_id.clone(),
            from_session_id: mail.from_session_id.clone(),
            reply_to_mail_id: mail.reply_to_mail_id.clone(),
            mail_type: mail.mail_type,
            subject: mail.subject.clone(),
            body: mail.body.clone(),
            priority: mail.priority.value().copied(),
            sender: mail.sender.clone(),
        }
    }

    /// The mail this letter becomes: `id` and `at` are its own, `to` its recipient, and `thread` the conversation of the
    /// mail it answers, if that is known. Anything else begins a conversation of its own.
    pub fn seal(&self, id: MailId, at: Millis, to: Option<SessionId>, thread: Option<MailId>) -> Mail {
        Mail {
            thread_id: thread.unwrap_or_else(|| id.clone()),
            id,
            project_id: self.project_id.clone(),
            from_session_id: self.from_session_id.clone(),
            to_session_id: to,
            reply_to_mail_id: self.reply_to_mail_id.clone(),
            mail_type: self.mail_type,
            subject: self.subject.clone(),
            body: self.body.clone(),
            created_at: at,
            priority: self.priority.into(),
            sender: self.sender.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GOOD: &str = r#"{"projectId":"p","fromSessionId":"s","type":"query","subject":"x"}"#;

    fn with(changes: Value) -> Value {
        let mut body: Value = serde_json::from_str(GOOD).unwrap();
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    fn paths(body: Option<Value>) -> Vec<&'static str> {
        match NewMail::read(body) {
            Ok(_) => Vec::new(),
            Err(Refusal::Malformed { message, details }) => {
                assert_eq!(message, "Invalid request body");
                assert!(details.iter().all(|problem| !problem.message.is_empty()));
                details.into_iter().map(|problem| problem.path).collect()
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_given_takes_its_default() {
        let mail = NewMail::read(Some(with(json!({})))).unwrap();
        assert_eq!(mail.to, Maybe::Absent);
        assert_eq!(mail.letter.body, Map::new());
        assert_eq!(
            (mail.letter.priority, mail.scope, mail.to_member),
            (None, None, None)
        );
    }

    #[test]
    fn each_field_has_its_own_rule() {
        let long = "x".repeat(501);
        let table = [
            (json!({"projectId": 1}), "projectId"),
            (json!({"projectId": ""}), "projectId"),
            (json!({"projectId": null}), "projectId"),
            (json!({"fromSessionId": "a/b"}), "fromSessionId"),
            (json!({"type": "gossip"}), "type"),
            (json!({"type": {"query": null}}), "type"),
            (json!({"subject": ""}), "subject"),
            (json!({"subject": long}), "subject"),
            (json!({"subject": 3}), "subject"),
            (json!({"toSessionId": "a b"}), "toSessionId"),
            (json!({"toSessionId": ""}), "toSessionId"),
            (json!({"toTeamMemberId": null}), "toTeamMemberId"),
            (json!({"replyToMailId": []}), "replyToMailId"),
            (json!({"body": null}), "body"),
            (json!({"body": ["x"]}), "body"),
            (json!({"body": "text"}), "body"),
            (json!({"priority": null}), "priority"),
            (json!({"priority": "urgent"}), "priority"),
            (json!({"scope": null}), "scope"),
            (json!({"scope": "everyone"}), "scope"),
        ];
        for (change, path) in table {
            assert_eq!(paths(Some(with(change.clone()))), [path], "{change}");
        }
    }

    #[test]
    fn null_is_as_good_as_absent_where_the_contract_says_so() {
        let mail = NewMail::read(Some(with(json!({"toSessionId": null, "replyToMailId": null})))).unwrap();
        assert_eq!((mail.to, mail.letter.reply_to_mail_id), (Maybe::Null, None));
    }

    #[test]
    fn a_subject_is_counted_as_the_clients_count_it() {
        assert!(paths(Some(with(json!({"subject": "ä".repeat(500)})))).is_empty());
        assert!(paths(Some(with(json!({"subject": "🦀".repeat(250)})))).is_empty());
        assert_eq!(
            paths(Some(with(json!({"subject": "🦀".repeat(251)})))),
            ["subject"]
        );
    }

    #[test]
    fn every_problem_is_named_once_and_unknown_keys_together() {
        let body = json!({"projectId": "p", "type": "gossip", "subject": "", "extra": 1, "id": "mail_1"});
        assert_eq!(paths(Some(body)), ["fromSessionId", "type", "subject", ""]);
    }

    #[test]
    fn thousands_of_unknown_keys_make_a_short_answer() {
        let mut body = with(json!({}));
        for n in 0..5000 {
            body[format!("{n}{}", "x".repeat(1000))] = json!(1);
        }
        match NewMail::read(Some(body)) {
            Err(Refusal::Malformed { details, .. }) => {
                assert_eq!(details.len(), 1);
                assert!(details[0].message.len() < 1000, "{}", details[0].message.len());
                assert!(
                    details[0].message.ends_with("and 4990 more"),
                    "{}",
                    details[0].message
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_that_is_no_object_is_one_problem_of_the_whole() {
        for body in [None, Some(json!([])), Some(json!("text")), Some(json!(null))] {
            assert_eq!(paths(body), [""]);
        }
    }

    #[test]
    fn a_reply_joins_the_conversation_and_anything_else_begins_one() {
        let letter = NewMail::read(Some(with(json!({"replyToMailId": "mail_0"}))))
            .unwrap()
            .letter;
        let (own, first) = (MailId::parse("mail_9").unwrap(), MailId::parse("mail_1").unwrap());
        let reply = letter.seal(own.clone(), Millis(5), None, Some(first.clone()));
        assert_eq!((reply.thread_id, reply.created_at), (first, Millis(5)));
        let stray = letter.seal(own.clone(), Millis(5), None, None);
        assert_eq!(stray.thread_id, own);
        assert_eq!(stray.reply_to_mail_id, MailId::parse("mail_0").ok());
    }
}
