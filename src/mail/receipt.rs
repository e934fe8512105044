//! What a sending under an idempotency key led to, as it moves along with the mail: a repetition after the move finds it.

use crate::domain::{MailId, Millis, SessionId};
use crate::ports::Once;

/// How long a sending is remembered, in milliseconds.
pub(super) const REMEMBERED: i64 = 24 * 60 * 60 * 1000;

/// One sending that is not to be carried out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Who sent it.
    pub sender: SessionId,
    /// Under which key, and what.
    pub once: Once,
    /// When, by the sender's hub.
    pub sent_at: Millis,
    /// The time its mails have.
    pub at: Millis,
    /// The conversation they joined; none if each began its own.
    pub thread: Option<MailId>,
    /// The mails and their recipients.
    pub mails: Vec<(MailId, Option<SessionId>)>,
}
