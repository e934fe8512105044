//! The store over one SQLite file: rules become jobs of its writer thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::crash;
use crate::domain::{Mint, Published};
use crate::ports::{Clock, CommitError, EventBus, Pending, Rule, Store, StoreError, View};
use crate::sqlite::{Database, Job, SqliteError, Verdict};

use super::{
    draft::{Draft, Outcome},
    histories::Cache,
    model::Model,
    rows,
    snapshot::Snapshot,
};

/// Text of histories kept in memory, in bytes.
const CACHE: usize = 32 * 1024 * 1024;

/// Durable state in one file. Clones share it.
#[derive(Clone)]
pub struct Embedded {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) db: Database,
    pub(super) cache: Cache,
    committed: ArcSwap<Model>,
    desk: Mutex<Desk>,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    epoch: Arc<str>,
}

/// What the writer thread keeps between rules. Nobody else touches it.
#[derive(Default)]
struct Desk {
    /// The state after the rules of this batch so far; not committed, not seen by anybody.
    ahead: Option<Model>,
    serial: u32,
}

impl Embedded {
    /// Reads the records of `db`, which was opened with [`super::CHAPTER`]. Blocks.
    pub fn open(db: Database, bus: Arc<dyn EventBus>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_with(db, bus, clock, CACHE)
    }

    pub(super) fn open_with(
        db: Database,
        bus: Arc<dyn EventBus>,
        clock: Arc<dyn Clock>,
        cache: usize,
    ) -> Result<Self, StoreError> {
        let model = db.read_blocking(rows::load_model)?;
        let epoch = getrandom::u64().map_err(|error| StoreError::Engine(error.to_string().into()))?;
        let shared = Shared {
            db,
            cache: Cache::new(cache),
            committed: ArcSwap::from_pointee(model),
            desk: Mutex::default(),
            bus,
            clock,
            epoch: format!("{epoch:016x}").into(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// A text that is another one after every start: event numbers are counted within it.
    pub fn epoch(&self) -> Arc<str> {
        self.shared.epoch.clone()
    }

    /// Number of the newest committed event.
    pub fn seq(&self) -> u64 {
        self.shared.committed().seq
    }

    /// The file, for backup, for its state of health, and for the stop.
    pub fn database(&self) -> &Database {
        &self.shared.db
    }
}

impl Shared {
    pub(super) fn committed(&self) -> Arc<Model> {
        self.committed.load_full()
    }
}

impl Store for Embedded {
    fn commit(&self, rule: Rule) -> Pending<'_, Result<(), CommitError>> {
        let (answer, answered) = oneshot::channel();
        // Queued here and now: whoever asks too late hears so at once, and order is the order of the calls.
        self.shared.db.submit(Box::new(Commit {
            shared: self.shared.clone(),
            step: Step::Asked(rule),
            answer,
        }));
        Box::pin(async move {
            answered
                .await
                .unwrap_or(Err(CommitError::Store(StoreError::Stopping)))
        })
    }

    fn view(&self) -> Arc<dyn View + Send + Sync> {
        Arc::new(Snapshot {
            model: self.shared.committed(),
            shared: self.shared.clone(),
        })
    }
}

/// One rule on its way.
struct Commit {
    shared: Arc<Shared>,
    step: Step,
    answer: oneshot::Sender<Result<(), CommitError>>,
}

enum Step {
    Asked(Rule),
    Running,
    Refused(CommitError),
    Ready(Box<Outcome>),
}

impl Job for Commit {
    fn run(&mut self, db: &Connection) -> rusqlite::Result<Verdict> {
        let Step::Asked(rule) = std::mem::replace(&mut self.step, Step::Running) else {
            return Ok(Verdict::Undo); // cannot be: a job runs once
        };
        let shared = &*self.shared;
        // A rule that panicked has poisoned the lock, but changed nothing on the desk.
        let mut desk = shared.desk.lock().unwrap_or_else(PoisonError::into_inner);
        let base = desk
            .ahead
            .clone()
            .unwrap_or_else(|| (*shared.committed()).clone());
        // Ids are no secrets, and the serial tells them apart: a system without noise may go on.
        let mint = Mint::new(
            shared.clock.now(),
            desk.serial,
            getrandom::u64().unwrap_or_default(),
        );
        let mut draft = Draft::new(base, mint, db, &shared.cache);
        let result = rule(&mut draft);
        desk.serial = draft.serial();
        if let Err(error) = result {
            self.step = Step::Refused(error);
            return Ok(Verdict::Undo);
        }
        let outcome = draft.save()?;
        desk.ahead = Some(outcome.model.clone());
        self.step = Step::Ready(Box::new(outcome));
        Ok(Verdict::Keep)
    }

    fn done(self: Box<Self>, outcome: Result<Verdict, SqliteError>) {
        let Self { shared, step, answer } = *self;
        // The batch is over, whichever way it went: the next one starts from what is committed.
        shared.desk.lock().unwrap_or_else(PoisonError::into_inner).ahead = None;
        let result = match (outcome, step) {
            (Ok(_), Step::Ready(outcome)) => {
                shared.show(*outcome);
                crash::point("commit.published");
                Ok(())
            }
            (Ok(_), Step::Refused(error)) => Err(error),
            (Ok(_), Step::Asked(_) | Step::Running) => Err(StoreError::Stopping.into()),
            (Err(error), _) => Err(StoreError::from(error).into()),
        };
        let _ = answer.send(result); // the caller may have gone
    }
}

impl Shared {
    /// Makes a committed outcome visible, then tells the world.
    fn show(&self, outcome: Outcome) {
        let Outcome {
            model,
            now,
            events,
            grown,
            past,
        } = outcome;
        let first = model.seq - events.len() as u64 + 1;
        self.committed.store(Arc::new(model));
        past.iter().for_each(|histories| self.cache.forget(histories));
        grown.iter().for_each(|histories| self.cache.used(histories));
        crash::point("commit.shown");
        if events.is_empty() {
            return;
        }
        let events = (first..).zip(events);
        let events = events
            .map(|(seq, event)| Arc::new(Published::new(seq, now, event)))
            .collect();
        // The change is durable whatever becomes of its events: the caller must hear that.
        let _ = catch_unwind(AssertUnwindSafe(|| self.bus.publish(events)));
    }
}

impl From<SqliteError> for StoreError {
    fn from(error: SqliteError) -> Self {
        match error {
            SqliteError::Stopping => Self::Stopping,
            SqliteError::Overloaded => Self::Overloaded,
            SqliteError::Full => Self::DiskFull,
            other => Self::Engine(other.to_string().into()),
        }
    }
}
