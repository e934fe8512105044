//! One thread owns the connection that writes. It takes one job, then whatever else waits, and commits them together:
//! the price of one `fsync` is shared, and answers go out only after it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use rusqlite::{Connection, ffi};

use crate::crash;

use super::{Meters, SqliteError};

/// Work for the writer thread.
pub trait Job: Send {
    /// Does the work inside a transaction that other jobs may share, undone for itself if it must be. Must not commit or roll back itself.
    fn run(&mut self, db: &Connection) -> rusqlite::Result<Verdict>;
    /// Called once, after the commit, in the order of the jobs. `Ok(Keep)`: the work is durable. `Ok(Undo)`: it was
    /// undone as wished. `Err`: nothing of it is left.
    fn done(self: Box<Self>, outcome: Result<Verdict, SqliteError>);
}

/// What becomes of a job's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is committed.
    Keep,
    /// It is undone; the other jobs do not notice.
    Undo,
}

/// Bounds of the writer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Jobs that may wait; one more is refused.
    pub queue: usize,
    /// Jobs committed together.
    pub batch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue: 4096,
            batch: 256,
        }
    }
}

pub(super) struct Writer {
    queue: RwLock<Option<SyncSender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    trouble: Arc<Mutex<Option<SqliteError>>>,
    meters: Meters,
}

impl Writer {
    pub(super) fn start(conn: Connection, limits: Limits) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(limits.queue);
        let trouble = Arc::new(Mutex::new(None));
        let meters = Meters::default();
        let worker = Worker {
            conn,
            queue: receiver,
            most: limits.batch,
            trouble: trouble.clone(),
            meters: meters.clone(),
        };
        let thread = thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(|| worker.work())?;
        Ok(Self {
            queue: RwLock::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            trouble,
            meters,
        })
    }

    /// Queues a job. A job that cannot be queued is answered here.
    pub(super) fn submit(&self, job: Box<dyn Job>) {
        let refused = match &*self.queue.read().unwrap_or_else(PoisonError::into_inner) {
            None => Some((job, SqliteError::Stopping)),
            Some(queue) => {
                self.meters.waiting.inc(); // before the thread can take it
                match queue.try_send(job) {
                    Ok(()) => None,
                    Err(TrySendError::Full(job)) => Some((job, SqliteError::Overloaded)),
                    Err(TrySendError::Disconnected(job)) => Some((job, SqliteError::Stopping)),
                }
                .inspect(|(_, why)| {
                    self.meters.waiting.dec();
                    if *why == SqliteError::Overloaded {
                        self.meters.refused.inc();
                    }
                })
            }
        };
        if let Some((job, error)) = refused {
            job.done(Err(error));
        }
    }

    /// How many batches the thread has finished, well or badly.
    pub(super) fn rounds(&self) -> u64 {
        self.meters.batch.get_sample_count()
    }

    /// Why the last batch could not be committed, if it could not.
    pub(super) fn trouble(&self) -> Option<SqliteError> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What it counts.
    pub(super) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Takes no more jobs, finishes those that wait, writes the WAL back, and returns when the thread is gone.
    pub(super) fn close(&self) {
        drop(self.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A job may hold the last handle of the database: its own thread cannot wait for itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            let _ = thread.join(); // a panic was reported by the panic hook
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

struct Worker {
    conn: Connection,
    queue: Receiver<Box<dyn Job>>,
    most: usize,
    trouble: Arc<Mutex<Option<SqliteError>>>,
    meters: Meters,
}

type Ran = (Box<dyn Job>, Result<Verdict, SqliteError>);

impl Worker {
    fn work(self) {
        while let Ok(first) = self.queue.recv() {
            let mut jobs = vec![first];
            jobs.extend(self.queue.try_iter().take(self.most));
            self.batch(jobs);
        }
        let checkpoint = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = checkpoint {
            // Nothing is lost: the next start reads the WAL.
            tracing::warn!(%error, "the write-ahead log could not be written back at the stop");
        }
    }

    fn batch(&self, jobs: Vec<Box<dyn Job>>) {
        let (started, count) = (Instant::now(), jobs.len());
        self.meters.waiting.sub(i64::try_from(count).unwrap_or(i64::MAX));
        let mut ran: Vec<Ran> = Vec::with_capacity(count);
        let outcome = self.transact(jobs, &mut ran);
        self.meters.commit.observe(started.elapsed().as_secs_f64());
        self.meters.batch.observe(count as f64);
        if let Err(error) = &outcome {
            self.meters.failed.inc();
            tracing::error!(%error, jobs = ran.len(), "a commit failed; nothing of it was applied");
        }
        self.note_trouble(&outcome, &ran);
        for (job, own) in ran {
            let answer = match &outcome {
                Ok(()) => own,
                Err(error) => Err(error.clone()),
            };
            // What answers is the caller's code, and it may be wrong; the writer goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| job.done(answer)));
        }
    }

    fn note_trouble(&self, outcome: &Result<(), SqliteError>, ran: &[Ran]) {
        let own = || ran.iter().find_map(|(_, own)| own.clone().err());
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = outcome.clone().err().or_else(own);
    }

    fn transact(&self, jobs: Vec<Box<dyn Job>>, ran: &mut Vec<Ran>) -> Result<(), SqliteError> {
        let begun = self.execute("BEGIN IMMEDIATE").map_err(SqliteError::from);
        let mut failure = begun.err();
        crash::point("commit.begun");
        let alone = jobs.len() == 1;
        for mut job in jobs {
            let own = match &failure {
                Some(error) => Err(error.clone()),
                None => self.run(&mut *job, alone).unwrap_or_else(|error| {
                    failure = Some(error.clone());
                    Err(error)
                }),
            };
            ran.push((job, own));
        }
        if failure.is_none() {
            crash::point("commit.ran");
            // A job that was alone and is undone has ended the transaction with it.
            if !self.conn.is_autocommit() {
                failure = self.execute("COMMIT").err().map(SqliteError::from);
            }
            crash::point("commit.committed");
        }
        match failure {
            None => Ok(()),
            Some(error) => {
                if !self.conn.is_autocommit() {
                    // Should even this fail, the next BEGIN fails too and says so.
                    let _ = self.execute("ROLLBACK");
                }
                Err(error)
            }
        }
    }

    /// The inner result is the job's own; the outer one fails the whole batch. Jobs that share a transaction get a savepoint
    /// each, for which SQLite copies every page that they change; one that is alone is undone with the transaction.
    fn run(&self, job: &mut dyn Job, alone: bool) -> Result<Result<Verdict, SqliteError>, SqliteError> {
        let (begin, undo, end) = match alone {
            true => (None, "ROLLBACK", None),
            false => (Some("SAVEPOINT job"), "ROLLBACK TO job", Some("RELEASE job")),
        };
        begin.map_or(Ok(()), |begin| self.execute(begin))?;
        let own = match catch_unwind(AssertUnwindSafe(|| job.run(&self.conn))) {
            Ok(result) => result.map_err(SqliteError::from),
            Err(panic) => Err(SqliteError::Panicked(words(&*panic))),
        };
        // Out of space or memory, SQLite may have given up the whole transaction.
        if self.conn.is_autocommit() {
            return Err(own.err().unwrap_or_else(|| self.last_error()));
        }
        if own != Ok(Verdict::Keep) {
            self.execute(undo)?;
        }
        end.map_or(Ok(()), |end| self.execute(end))?;
        Ok(own)
    }

    /// Why the connection's newest call failed: the job kept the reason to itself.
    #[allow(unsafe_code)]
    fn last_error(&self) -> SqliteError {
        // SAFETY: the handle is that of a connection which this thread owns and which lives as long as `self`.
        let code = unsafe { ffi::sqlite3_extended_errcode(self.conn.handle()) };
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql)?.execute([]).map(drop)
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> Arc<str> {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").into()
}
