//! Mail between agents, and between people and agents.
//!
//! Sending is three questions, each a function: what does the sender want ([`NewMail::read`]), who gets it
//! ([`recipients`]), and what is then true ([`Letter::seal`]). Where mail lies is a mailbox's business.

mod form;
mod query;
mod recipients;
mod sender;
mod wish;

pub use form::{Problem, SendKey, SendKeyError};
pub use query::{InboxQuery, WaitQuery, mail_path_id};
pub use recipients::{head_count, recipients};
pub use sender::{Sender, SenderDevice, SenderKind};
pub use wish::{Letter, MailScope, NewMail};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{MailId, Maybe, Millis, ProjectId, SessionId};

/// A mail as the contract shows it (API.md section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// Its name among all mails.
    pub id: MailId,
    /// The project it was sent in; need not exist.
    pub project_id: ProjectId,
    /// Who sent it; need not exist.
    pub from_session_id: SessionId,
    /// Who gets it; nobody in particular means everybody in the project.
    pub to_session_id: Option<SessionId>,
    /// The mail it answers.
    pub reply_to_mail_id: Option<MailId>,
    /// What kind of mail it is.
    #[serde(rename = "type")]
    pub mail_type: MailType,
    /// 1 to 500 characters (UTF-16 units, as the clients count).
    pub subject: String,
    /// Whatever the sender says.
    #[serde(default)]
    pub body: Map<String, Value>,
    /// When it was sent.
    pub created_at: Millis,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub priority: Maybe<MailPriority>,
    /// The first mail of its conversation.
    pub thread_id: MailId,
    /// Who sent it, if that was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender>,
}

impl Mail {
    /// True if it is meant for `session` of `project`: addressed to it, or to everybody there.
    pub fn is_for(&self, project: &ProjectId, session: &SessionId) -> bool {
        self.project_id == *project && self.to_session_id.as_ref().is_none_or(|to| to == session)
    }

    /// Its rank in an inbox: no priority counts as `normal`.
    fn urgency(&self) -> MailPriority {
        self.priority.value().copied().unwrap_or(MailPriority::Normal)
    }
}

/// Puts an inbox in the order in which it is shown: most urgent first, then as sent. Ids decide between mails of one
/// instant.
pub fn arrange_inbox(mails: &mut [Mail]) {
    mails.sort_by(|a, b| (a.urgency(), a.created_at, &a.id).cmp(&(b.urgency(), b.created_at, &b.id)));
}

/// The six kinds of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailType {
    /// Work handed out.
    Assignment,
    /// How it goes.
    StatusUpdate,
    /// A question.
    Query,
    /// An answer.
    Response,
    /// An order.
    Directive,
    /// For information.
    Notification,
}

/// How urgent a mail is. The order is the inbox's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailPriority {
    /// First of all.
    Critical,
    /// Soon.
    High,
    /// As if none were given.
    Normal,
    /// Last.
    Low,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mail(id: &str, priority: Value, created_at: i64) -> Mail {
        let mut mail = json!({
            "id": id, "projectId": "p", "fromSessionId": "a", "toSessionId": "b", "replyToMailId": null,
            "type": "query", "subject": "s", "body": {}, "createdAt": created_at, "threadId": id,
        });
        if !priority.is_null() {
            mail["priority"] = priority;
        }
        serde_json::from_value(mail).unwrap()
    }

    #[test]
    fn an_inbox_shows_the_most_urgent_first_and_takes_no_priority_for_normal() {
        let mut inbox = [
            mail("m1", json!("low"), 1),
            mail("m2", json!(null), 2),
            mail("m3", json!("normal"), 3),
            mail("m5", json!("high"), 4),
            mail("m4", json!("high"), 4),
            mail("m6", json!("critical"), 5),
        ];
        arrange_inbox(&mut inbox);
        let order: Vec<&str> = inbox.iter().map(|mail| mail.id.as_str()).collect();
        assert_eq!(order, ["m6", "m4", "m5", "m2", "m3", "m1"]);
    }

    #[test]
    fn a_mail_is_for_its_addressee_or_for_everybody_in_its_project() {
        let (p, q) = (ProjectId::parse("p").unwrap(), ProjectId::parse("q").unwrap());
        let (b, c) = (SessionId::parse("b").unwrap(), SessionId::parse("c").unwrap());
        let mut mail = mail("m", json!(null), 1);
        assert!(mail.is_for(&p, &b));
        assert!(!mail.is_for(&p, &c));
        mail.to_session_id = None;
        assert!(mail.is_for(&p, &c));
        assert!(!mail.is_for(&q, &c));
    }

    #[test]
    fn a_mail_reads_back_as_it_was_written_and_shows_no_priority_it_was_not_given() {
        let mail = mail("m", json!(null), 1);
        let text = serde_json::to_string(&mail).unwrap();
        assert!(!text.contains("priority"), "{text}");
        assert_eq!(serde_json::from_str::<Mail>(&text).unwrap(), mail);
    }
}
