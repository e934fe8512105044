//! What is true: records and pure rules. No async, no I/O, no clock, no HTTP.
//!
//! The records serialise in the contract's own shape (camelCase, absent against null), because the wire, the
//! exported files and the stored rows all promise that one shape.

mod agent_token;
mod caller;
mod change;
mod claim;
mod device;
mod event;
mod id;
mod log;
mod mail;
mod manifest;
mod maybe;
mod member;
mod ordering;
mod presence;
mod project;
mod refusal;
mod rendered;
#[cfg(test)]
mod samples;
mod session;
mod spawn;
mod task;
mod terminal_text;
mod time;
mod workflow;

pub use agent_token::{AGENT_SEGMENT, AgentKey};
pub use caller::{Caller, HUMAN, Speaker, Speaks};
pub use change::Change;
pub use claim::Claim;
pub use device::{Device, Scope, Scopes, UnknownScope};
pub use event::{
    Event, InputAnswered, ModalAction, ModalClosed, ModalShown, PromptSend, Published, Remote,
    SpawnAnnouncement,
};
pub use id::{
    DeviceId, DocId, EntryId, Id, IdError, Kind, MailId, MemberId, Mint, ModalId, ProjectId, RequestId,
    SessionId, TaskId,
};
pub use id::{
    DeviceKind, DocKind, EntryKind, MailKind, MemberKind, ModalKind, ProjectKind, RequestKind, SessionKind,
    TaskKind,
};
pub use log::Log;
pub use mail::{
    InboxQuery, Letter, Mail, MailPriority, MailScope, MailType, NewMail, Problem, SendKey, SendKeyError,
    Sender, SenderDevice, SenderKind, WaitQuery, arrange_inbox, head_count, mail_path_id, recipients,
};
pub use manifest::{ManifestOrder, Mode, UnknownTool};
pub use maybe::Maybe;
pub use member::{DefaultMember, Member, MemberStatus, MemberWish, NewMember};
pub use ordering::{Ordering, OrderingKind};
pub use presence::{Beat, Loss, Sighting, Verdict};
pub use project::{NewProject, Project, ProjectWish};
pub use refusal::{Late, Refusal, TooLate};
pub use rendered::Rendered;
pub use session::{
    Answer, Answerer, AnswererKind, Ending, Failure, How, InputAnswer, InputState, Machine, NeedsInput,
    NewDoc, NewEntry, NewSession, Outcome, Prompt, PromptMode, Question, Session, SessionHead, SessionWish,
    Snapshot, is_provider_key,
};
pub use spawn::{PROVIDER_VARIABLES, SpawnPlace, SpawnPlan, SpawnRefusal, SpawnScene, SpawnWish};
pub use task::{NewTask, Task, TaskDoc, TaskEdit, TaskReport, TaskWish, deletion_order, docs_of_task};
pub use terminal_text::{for_reading, for_terminal};
pub use time::Millis;
pub use workflow::{Phase, WorkflowTemplate};
