//! The edges, one page of traits. A port exists when it has two honest implementations; otherwise call the thing.

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use thiserror::Error;

use crate::domain::{
    Beat, Event, Letter, Mail, MailId, ManifestOrder, Member, MemberId, Millis, Mint, Ordering, OrderingKind,
    Project, ProjectId, Published, Refusal, Rendered, SendKey, Session, SessionHead, SessionId, Sighting,
    Task, TaskId,
};

/// A boxed future: what an object-safe asynchronous method returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is stored, as one consistent state. Lists come in order of creation.
pub trait View {
    /// One project.
    fn project(&self, id: &ProjectId) -> Option<Arc<Project>>;
    /// All projects.
    fn projects(&self) -> Vec<Arc<Project>>;
    /// One task.
    fn task(&self, id: &TaskId) -> Option<Arc<Task>>;
    /// All tasks, or those of one project.
    fn tasks(&self, project: Option<&ProjectId>) -> Vec<Arc<Task>>;
    /// Direct parts of a task.
    fn children(&self, parent: &TaskId) -> Vec<Arc<Task>>;
    /// One session with its histories.
    fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError>;
    /// One session with its histories, if they need not be read from disk.
    fn session_at_hand(&self, _: &SessionId) -> Option<Session> {
        None
    }
    /// One session without its histories: never reads the disk.
    fn session_head(&self, id: &SessionId) -> Option<Arc<Rendered<SessionHead>>>;
    /// All sessions, or those of one project, without their histories.
    fn session_heads(&self, project: Option<&ProjectId>) -> Vec<Arc<Rendered<SessionHead>>>;
    /// Sessions that work on a task (its id is among their `task_ids`), without their histories.
    fn sessions_of_task(&self, task: &str) -> Vec<Arc<Rendered<SessionHead>>> {
        let mut heads = self.session_heads(None);
        heads.retain(|head| head.task_ids.iter().any(|id| id == task));
        heads
    }
    /// All stored members, of projects that do not exist as well.
    fn every_member(&self) -> Vec<Arc<Member>>;
    /// All changes to default members, by project and member.
    fn every_override(&self) -> Vec<Override>;
    /// All saved arrangements.
    fn every_ordering(&self) -> Vec<Arc<Ordering>>;
    /// Number of the last event that led to this state; 0 if there was none in this epoch.
    fn seq(&self) -> u64 {
        0
    }
    /// Sessions with their histories, in the order asked for; what is gone by now is left out. A store that reads
    /// histories from disk may read them together.
    fn sessions(&self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        let found = ids.iter().map(|id| self.session(id));
        found.filter_map(Result::transpose).collect()
    }
    /// A stored (custom) member of a project.
    fn member(&self, project: &ProjectId, id: &MemberId) -> Option<Arc<Member>>;
    /// The stored (custom) members of a project.
    fn members(&self, project: &ProjectId) -> Vec<Arc<Member>>;
    /// The changes a project made to a default member: a JSON object laid over the default.
    fn member_override(
        &self,
        project: &ProjectId,
        id: &MemberId,
    ) -> Option<Arc<serde_json::Map<String, serde_json::Value>>>;
    /// A saved arrangement.
    fn ordering(&self, kind: OrderingKind, project: &ProjectId) -> Option<Arc<Ordering>>;
}

/// What a project changed in one of its default members.
pub type Override = (
    ProjectId,
    MemberId,
    Arc<serde_json::Map<String, serde_json::Value>>,
);

/// A state that can be changed: everything put, removed and emitted in one transaction is committed together, or not
/// at all. Reads see the transaction's own changes.
pub trait Tx: View {
    /// Makes ids; knows the one instant of this transaction.
    fn mint(&mut self) -> &mut Mint;
    /// The instant of this transaction.
    fn now(&self) -> Millis;
    /// Stores or replaces a project.
    fn put_project(&mut self, project: Arc<Project>);
    /// Removes a project.
    fn remove_project(&mut self, id: &ProjectId);
    /// Stores or replaces a task.
    fn put_task(&mut self, task: Arc<Task>);
    /// Removes a task.
    fn remove_task(&mut self, id: &TaskId);
    /// Stores or replaces a session: its head, and what was appended to its histories (`Log::unsaved`).
    fn put_session(&mut self, session: Session);
    /// Removes a session with its histories.
    fn remove_session(&mut self, id: &SessionId);
    /// Stores or replaces a custom member.
    fn put_member(&mut self, member: Arc<Member>);
    /// Removes a custom member.
    fn remove_member(&mut self, project: &ProjectId, id: &MemberId);
    /// Stores, replaces or (with `None`) drops the changes of a project to a default member.
    fn put_member_override(
        &mut self,
        project: &ProjectId,
        id: &MemberId,
        changes: Option<Arc<serde_json::Map<String, serde_json::Value>>>,
    );
    /// Stores or replaces an arrangement.
    fn put_ordering(&mut self, ordering: Arc<Ordering>);
    /// Says a fact, to be published after the commit, in the order said.
    fn emit(&mut self, event: Event);
}

/// A rule run inside a transaction. A refusal leaves nothing behind, and neither does a history that cannot be read.
pub type Rule = Box<dyn FnOnce(&mut dyn Tx) -> Result<(), CommitError> + Send>;

/// Durable state. What `commit` acknowledged survives `kill -9` and power loss.
pub trait Store: Send + Sync + 'static {
    /// Runs `rule` alone on the newest state, makes its changes durable, then publishes its events in commit order,
    /// and only then answers. A rule that changes nothing costs no disk write.
    fn commit(&self, rule: Rule) -> Pending<'_, Result<(), CommitError>>;
    /// The committed state. Cheap; a session's history may have to be read from disk (about a millisecond).
    fn view(&self) -> Arc<dyn View + Send + Sync>;
}

/// Why nothing was committed.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The rule said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk or the store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store cannot do its work.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// It is stopping and takes no more work.
    #[error("the hub is stopping")]
    Stopping,
    /// More writes wait than it takes on.
    #[error("too many writes are waiting")]
    Overloaded,
    /// The disk is full.
    #[error("the disk that holds the data is full")]
    DiskFull,
    /// Anything else the storage engine says.
    #[error("the store failed: {0}")]
    Engine(Arc<str>),
}

/// Delivers committed events. Never waits for a listener: one that lags is cut off and told so.
pub trait EventBus: Send + Sync + 'static {
    /// Delivers a commit's events, in order. Called by the store only: what is not committed cannot be published.
    fn publish(&self, events: Vec<Arc<Published>>);
}

/// Where mail is kept.
///
/// A mailbox gives mails their ids and times, because only it can keep them in order: what a project gets later is later
/// (`created_at`) than everything it had before, whatever the wall clock does, so that a reader who goes on after the
/// last mail it saw misses none and sees none twice. Ids sort in the same order.
pub trait Mailbox: Send + Sync + 'static {
    /// Stores one mail per recipient, all or none; durable when it answers. A sending that was carried out before
    /// ([`Once`]) is not carried out again: its first result is returned, with `repeated` set.
    fn send(&self, sending: Sending) -> Pending<'_, Result<Sent, MailError>>;
    /// What an earlier sending of this letter under this key led to, if there was one within a day.
    fn sent<'a>(
        &'a self,
        letter: &'a Letter,
        once: &'a Once,
    ) -> Pending<'a, Result<Option<Vec<Arc<Mail>>>, MailError>>;
    /// One mail.
    fn get<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>>;
    /// Mails of `project` to `session` or to everybody, created after `since` (exclusive), oldest first.
    fn inbox<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        since: Millis,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>>;
    /// The newest mails that `session` sent in `project`, at most `most`, oldest first; of a project with very much mail,
    /// as far as they are among the newest of all.
    fn written<'a>(
        &'a self,
        project: &'a ProjectId,
        session: &'a SessionId,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>>;
    /// Mails of one conversation, oldest first, in any project.
    fn thread<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Vec<Mail>, MailError>>;
    /// Deletes a mail and returns what it was; `None` if there was none.
    fn delete<'a>(&'a self, id: &'a MailId) -> Pending<'a, Result<Option<Mail>, MailError>>;
}

/// Mail that is carried from or to elsewhere as it is, ids and times included.
pub trait MailArchive: Send + Sync {
    /// Stores mails together, or none of them; one whose id is there already is left as it is. Answers how many were
    /// new; durable when it answers.
    fn put(&self, mails: Vec<Mail>) -> Pending<'_, Result<u64, MailError>>;
    /// Up to `most` mails of all projects, by id, beginning after one.
    fn page<'a>(
        &'a self,
        after: Option<&'a MailId>,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>>;
}

/// One letter to one or more recipients.
#[derive(Clone, Debug)]
pub struct Sending {
    /// What is sent.
    pub letter: Letter,
    /// Who gets it; `None` is everybody in the project. Not empty.
    pub to: Vec<Option<SessionId>>,
    /// Under which key it may be repeated.
    pub once: Option<Once>,
}

/// The name of a sending, chosen by its sender: under it, it is carried out once within a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Unique for the sender.
    pub key: SendKey,
    /// SHA-256 of the whole wish: the same key with another is refused.
    pub fingerprint: [u8; 32],
}

/// What a sending led to.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The stored mails, in the order of their recipients.
    pub mails: Vec<Arc<Mail>>,
    /// True if this sending had been carried out before.
    pub repeated: bool,
}

/// The mailbox cannot do its work.
#[derive(Clone, Debug, Error)]
pub enum MailError {
    /// For a while: try again after this many seconds.
    #[error("mail is not available: {reason}")]
    Unavailable {
        /// For people.
        reason: String,
        /// For `Retry-After`.
        retry_after_s: u32,
    },
    /// The disk is full.
    #[error("the disk that holds the mail is full")]
    DiskFull,
    /// The same idempotency key was used for another mail.
    #[error("this idempotency key was used for another mail")]
    KeyReused,
    /// Anything else.
    #[error("the mailbox failed: {0}")]
    Engine(Arc<str>),
}

/// The programs that own terminals: they type what `session:prompt_send` says.
pub trait Desktops: Send + Sync + 'static {
    /// True if one of them hears all events, as far as we can tell.
    fn connected(&self) -> bool;
}

/// The wall clock.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Millis;
}

/// Makes the manifest of a new session (MANIFEST.md).
pub trait Manifests: Send + Sync + 'static {
    /// The manifest, written to `output` as well, an absolute path whose folder is made. Leaves nothing behind if it
    /// fails or is given up.
    fn generate(
        &self,
        order: ManifestOrder,
        output: PathBuf,
    ) -> Pending<'_, Result<serde_json::Value, ManifestError>>;
    /// Removes a manifest that was made in vain, with its folder.
    fn discard(&self, output: &Path);
}

/// Why there is no manifest. The texts are the contract's reasons (MANIFEST.md section 1).
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ManifestError(pub String);

/// Leases on names, with fencing numbers. A lease ends by release or when its time is over.
pub trait Locks: Send + Sync + 'static {
    /// Takes `name` for `owner`. If `owner` holds it already the lease is prolonged and keeps its fencing number.
    fn acquire(&self, name: &str, owner: &str, ttl: Duration) -> Pending<'_, Result<Lease, LockError>>;
    /// Prolongs a lease that `owner` holds.
    fn renew(&self, name: &str, owner: &str, ttl: Duration) -> Pending<'_, Result<Lease, LockError>>;
    /// Gives `name` back; false if `owner` did not hold it.
    fn release(&self, name: &str, owner: &str) -> Pending<'_, Result<bool, LockError>>;
    /// Gives back everything that `owner` holds; the names, sorted.
    fn release_all(&self, owner: &str) -> Pending<'_, Result<Vec<String>, LockError>>;
    /// Who holds `name`.
    fn holder(&self, name: &str) -> Pending<'_, Result<Option<Lease>, LockError>>;
}

/// A name that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub owner: String,
    /// Grows with every grant, across names, restarts and backends.
    pub fence: u64,
    /// Time left.
    pub left: Duration,
}

/// Why a name was not given.
#[derive(Clone, Debug, Error)]
pub enum LockError {
    /// Somebody else holds it.
    #[error("it is held by {}", .0.owner)]
    Held(Lease),
    /// The caller does not hold it (any more).
    #[error("the lease is over")]
    Lost,
    /// More names are held than the hub keeps track of.
    #[error("too many names are held")]
    Full,
    /// The place where leases are kept cannot be asked.
    #[error("locks are not available: {0}")]
    Unavailable(Arc<str>),
}

/// Who is known to be alive. Agents say so, and local processes are looked after.
pub trait Presence: Send + Sync + 'static {
    /// Takes a sign of life; its session is known to exist. What is then known of the agent; durable when it answers.
    fn beat(&self, beat: Beat) -> Pending<'_, Result<Sighting, PresenceError>>;
    /// The agent leaves by itself: nothing follows from its silence any more. False if it was not there.
    fn leave<'a>(&'a self, session: &'a SessionId) -> Pending<'a, Result<bool, PresenceError>>;
    /// What is known of a session's agent.
    fn of(&self, session: &SessionId) -> Option<Sighting>;
    /// What is known of all agents, by session.
    fn all(&self) -> Vec<Sighting>;
}

/// Why a sign of life was not taken.
#[derive(Clone, Debug, Error)]
pub enum PresenceError {
    /// There is no process of that id here that could be looked after.
    #[error("there is no process {0} on this machine that the hub can watch")]
    Unwatchable(i32),
    /// More agents are known than the hub keeps track of, or more signs wait than it can take.
    #[error("the hub cannot take more heartbeats now")]
    Full,
    /// It is stopping.
    #[error("the hub is stopping")]
    Stopping,
    /// What must be durable could not be stored.
    #[error("the heartbeat could not be stored: {0}")]
    Store(Arc<str>),
}
