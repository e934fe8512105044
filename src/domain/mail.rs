//! Mail between agents, and between people and agents.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{MailId, Maybe, Millis, ProjectId, SessionId};

/// A mail as the contract shows it (API.md section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// 1 to 500 characters.
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
}

/// The six kinds of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
