//! What can be asked. One noun per file, one function per use case: caller → load → domain rule → commit, publish.
//! No JSON, no sockets.

mod answers;
mod apply;
mod claim_counts;
mod claims;
mod disk;
mod error;
mod heard;
mod histories;
mod identities;
mod input_waiters;
mod kept_answers;
mod known;
mod mail;
mod mail_waiters;
mod members;
mod modals;
mod orderings;
mod presence;
mod projects;
mod proof;
mod sessions;
mod spawn;
mod tasks;

use std::{path::PathBuf, sync::Arc};

use tokio::sync::Notify;

pub use answers::Answered;
pub use claim_counts::ClaimCounts;
pub use error::AppError;
pub use input_waiters::InputWaiters;
pub use kept_answers::AnswerPauses;
pub use mail_waiters::MailWaiters;
pub use members::{find_member, list_members};
pub use modals::NewModal;
pub use presence::{Agent, Heartbeat};
pub use proof::UnknownAgent;
pub use sessions::FoundSessions;
pub use spawn::{SpawnError, Spawned};

use crate::domain::{AgentKey, Millis};
use crate::ports::{Clock, Desktops, Locks, Mailbox, Manifests, Presence, Store, View};

/// Everything that can be asked of the hub. Cloning is cheap; clones share everything.
#[derive(Clone)]
pub struct App {
    store: Arc<dyn Store>,
    mail: Arc<dyn Mailbox>,
    locks: Arc<dyn Locks>,
    claims: Arc<claim_counts::ClaimLedger>,
    mail_waiters: Arc<MailWaiters>,
    input_waiters: Arc<InputWaiters>,
    /// Whoever mails kept answers is told of another one.
    answer_kept: Arc<Notify>,
    desktops: Arc<dyn Desktops>,
    manifests: Arc<dyn Manifests>,
    clock: Arc<dyn Clock>,
    presence: Option<Arc<dyn Presence>>,
    proofs: proof::Proofs,
    facts: Arc<Facts>,
}

/// What the hub knows about itself and tells others.
#[derive(Clone, Debug)]
pub struct Facts {
    /// This machine's name.
    pub hostname: String,
    /// `linux` or `darwin`.
    pub platform: &'static str,
    /// What everybody is told to call; agents that are spawned, with their token in it.
    pub server_url: String,
    /// What agents' tokens are signed with.
    pub agent_key: AgentKey,
    /// Entity files of the contract's layout; passed on to spawned sessions.
    pub data_dir: PathBuf,
    /// Manifest folders.
    pub session_dir: PathBuf,
    /// Providers' keys and settings of our own environment, handed to spawned sessions only (MANIFEST.md section 5).
    pub provider_env: Vec<(String, String)>,
}

/// What [`App::new`] puts together.
pub struct Parts {
    /// Durable state.
    pub store: Arc<dyn Store>,
    /// Mail.
    pub mail: Arc<dyn Mailbox>,
    /// Leases.
    pub locks: Arc<dyn Locks>,
    /// Who waits for mail; hears the store's events through [`MailWaiters::behind`] the bus.
    pub mail_waiters: Arc<MailWaiters>,
    /// Who waits for a person's answer; hears the store's events through [`InputWaiters::behind`] the bus.
    pub input_waiters: Arc<InputWaiters>,
    /// Who types into terminals.
    pub desktops: Arc<dyn Desktops>,
    /// Manifest generator.
    pub manifests: Arc<dyn Manifests>,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// What the hub tells of itself.
    pub facts: Facts,
}

impl App {
    /// An application over these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            mail,
            locks,
            mail_waiters,
            input_waiters,
            desktops,
            manifests,
            clock,
            facts,
        } = parts;
        Self {
            store,
            mail,
            locks,
            claims: Arc::default(),
            mail_waiters,
            input_waiters,
            answer_kept: Arc::default(),
            desktops,
            manifests,
            clock,
            presence: None,
            proofs: proof::Proofs::default(),
            facts: Arc::new(facts),
        }
    }

    /// The same, knowing who is alive. Without it heartbeats are answered and nothing follows from them.
    pub fn with_presence(self, presence: Arc<dyn Presence>) -> Self {
        Self {
            presence: Some(presence),
            ..self
        }
    }

    /// The committed state.
    pub fn view(&self) -> Arc<dyn View + Send + Sync> {
        self.store.view()
    }

    /// The wall clock's now.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Where mail is kept.
    pub fn mailbox(&self) -> &dyn Mailbox {
        &*self.mail
    }

    /// Who makes manifests.
    pub fn manifests(&self) -> &dyn Manifests {
        &*self.manifests
    }

    /// What the hub knows about itself.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}
