//! What was done from outside, and who may do it: lines that are on disk before anybody is answered.
//!
//! One thread writes; what waits for it is written and synced together. If the file cannot be written, whoever comes
//! from outside is refused, people on this machine go on, and the status says so. It deliberately keeps no secrets and
//! no texts: of a text, its hash and length.

mod bursts;
mod entry;
mod ledger;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use thiserror::Error;
use tokio::sync::{broadcast, oneshot};
use tracing::{info, warn};

pub use entry::{Action, Entry, Origin, TextPrint};
pub use ledger::Size;

use crate::domain::Millis;
use crate::ports::Clock;

use bursts::Bursts;
use ledger::{Ledger, Part};

/// Name of the newest file, in the state directory.
const FILE: &str = "audit.jsonl";
/// Lines that may wait to be written. One more is refused.
const QUEUE: usize = 1024;
/// Lines written and synced together.
const TOGETHER: usize = 256;
/// Lines that may wait for one follower; who lags misses some, and is told.
const FOLLOWED: usize = 1024;
/// How often bursts are looked at, and a file that could not be written is tried again.
const TICK: Duration = Duration::from_secs(1);

/// Why something was not written down.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AuditError {
    /// This hub keeps no audit.
    #[error("no audit is kept here")]
    Absent,
    /// The file cannot be written.
    #[error("the audit cannot be written: {0}")]
    Unwritable(Arc<str>),
    /// Too many lines wait.
    #[error("too many lines wait to be audited")]
    Busy,
    /// The daemon is stopping.
    #[error("the audit is closed")]
    Closed,
}

/// The audit. Clones share it; the default one takes nothing, so that nobody comes in from outside unseen.
#[derive(Clone, Default)]
pub struct Audit {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    jobs: SyncSender<Job>,
    trouble: Mutex<Option<Arc<str>>>,
    told: broadcast::Sender<Arc<str>>,
    clock: Arc<dyn Clock>,
}

type Answer = oneshot::Sender<Result<(), AuditError>>;

enum Job {
    Record(Box<Entry>, Answer),
    Refusal(Box<Entry>),
    Look(oneshot::Sender<(Vec<Part>, broadcast::Receiver<Arc<str>>)>),
    Close(oneshot::Sender<()>),
}

/// The newest lines, and those that follow without a gap.
pub struct Lines {
    /// Oldest first, one JSON object each.
    pub newest: Vec<String>,
    /// What is written from then on.
    pub following: broadcast::Receiver<Arc<str>>,
}

impl Audit {
    /// The audit in `dir`. A file that cannot be opened does not keep the daemon from starting: it is tried again.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn open(dir: &Path, size: Size, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::sync_channel(QUEUE);
        let shared = Arc::new(Shared {
            jobs,
            trouble: Mutex::default(),
            told: broadcast::Sender::new(FOLLOWED),
            clock,
        });
        let path = dir.join(FILE);
        let mut ledger = Ledger::new(path.clone(), size);
        let opened = fs::create_dir_all(dir).and_then(|()| ledger.try_open());
        shared.note(&opened, &path);
        let writer = Writer {
            ledger,
            path,
            bursts: Bursts::default(),
            // Weak: the thread must not keep alive what ends it.
            shared: Arc::downgrade(&shared),
        };
        thread::Builder::new()
            .name("audit".into())
            .spawn(move || writer.run(&queue))?;
        Ok(Self { shared: Some(shared) })
    }

    /// Writes down what was done; on disk when it answers.
    ///
    /// # Errors
    /// Whoever is remote must be refused then.
    pub async fn record(&self, entry: Entry) -> Result<(), AuditError> {
        let shared = self.shared.as_ref().ok_or(AuditError::Absent)?;
        let (answer, answered) = oneshot::channel();
        shared.queue(Job::Record(Box::new(entry), answer))?;
        answered.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Counts a refusal: the first of a burst is written, the rest are summed up. Waits for nothing.
    pub fn refused(&self, entry: Entry) {
        if let Some(shared) = &self.shared {
            // A full queue has seen enough of them.
            let _dropped = shared.queue(Job::Refusal(Box::new(entry)));
        }
    }

    /// Whether something from outside may be done at all, asked before it is.
    ///
    /// # Errors
    /// What [`record`](Self::record) would answer, as far as is known.
    pub fn check(&self) -> Result<(), AuditError> {
        let shared = self.shared.as_ref().ok_or(AuditError::Absent)?;
        match shared.trouble() {
            Some(why) => Err(AuditError::Unwritable(why)),
            None => Ok(()),
        }
    }

    /// Why nothing can be written now, if that is so.
    pub fn trouble(&self) -> Option<String> {
        self.shared.as_ref()?.trouble().map(|why| why.to_string())
    }

    /// The newest lines, `most` of them, and what follows.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn lines(&self, most: usize) -> Result<Lines, AuditError> {
        let shared = self.shared.as_ref().ok_or(AuditError::Absent)?;
        let (answer, answered) = oneshot::channel();
        shared.queue(Job::Look(answer))?;
        let (parts, following) = answered.await.map_err(|_| AuditError::Closed)?;
        let read = tokio::task::spawn_blocking(move || ledger::tail(parts, most)).await;
        let newest = read
            .map_err(std::io::Error::other)
            .and_then(|lines| lines)
            .map_err(|error| AuditError::Unwritable(error.to_string().into()))?;
        Ok(Lines { newest, following })
    }

    /// Writes what is counted and takes no more.
    pub async fn close(&self) {
        let Some(shared) = &self.shared else { return };
        let (answer, closed) = oneshot::channel();
        if shared.queue(Job::Close(answer)).is_ok() {
            let _ended = closed.await;
        }
    }
}

impl Shared {
    fn queue(&self, job: Job) -> Result<(), AuditError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => AuditError::Busy,
            TrySendError::Disconnected(_) => AuditError::Closed,
        })
    }

    fn trouble(&self) -> Option<Arc<str>> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, outcome: &std::io::Result<()>, path: &Path) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (outcome, trouble.is_some()) {
            (Ok(()), true) => {
                info!(file = %path.display(), "the audit can be written again");
                *trouble = None;
            }
            (Err(error), was) => {
                if !was {
                    warn!(file = %path.display(), %error, "the audit cannot be written: remote actions are refused");
                }
                *trouble = Some(format!("{}: {error}", path.display()).into());
            }
            (Ok(()), false) => {}
        }
    }
}

/// The thread that writes.
struct Writer {
    ledger: Ledger,
    path: PathBuf,
    bursts: Bursts,
    shared: std::sync::Weak<Shared>,
}

impl Writer {
    fn run(mut self, queue: &mpsc::Receiver<Job>) {
        loop {
            let first = match queue.recv_timeout(TICK) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut jobs: Vec<Job> = first.into_iter().collect();
            jobs.extend(queue.try_iter().take(TOGETHER.saturating_sub(jobs.len())));
            let Some(shared) = self.shared.upgrade() else {
                break;
            };
            if let Some(closed) = self.turn(jobs, &shared) {
                let _gone = closed.send(());
                return;
            }
        }
        let last = self.bursts.end();
        let lines = last.iter().filter_map(line).collect::<String>();
        if !lines.is_empty() {
            let _nobody_listens = self.ledger.append(&lines);
        }
    }

    fn turn(&mut self, jobs: Vec<Job>, shared: &Shared) -> Option<oneshot::Sender<()>> {
        let (mut lines, mut answers, mut looks, mut close) = (Vec::new(), Vec::new(), Vec::new(), None);
        for job in jobs {
            match job {
                Job::Record(entry, answer) => {
                    lines.extend(line(&entry));
                    answers.push(answer);
                }
                Job::Refusal(entry) => lines.extend(self.bursts.heard(*entry).as_ref().and_then(line)),
                Job::Look(answer) => looks.push(answer),
                Job::Close(answer) => close = Some(answer),
            }
        }
        let now = shared.clock.now();
        let told = match close {
            Some(_) => self.bursts.end(),
            None => self.bursts.over(now),
        };
        lines.extend(told.iter().filter_map(line));
        if lines.is_empty() && shared.trouble().is_some() {
            lines.extend(line(&gap(now)));
        }
        if !lines.is_empty() {
            let written = self.ledger.append(&lines.concat());
            shared.note(&written, &self.path);
            if written.is_ok() {
                for line in &lines {
                    let _nobody_follows = shared.told.send(line.trim_end().into());
                }
            }
            let outcome = written.map_err(|error| AuditError::Unwritable(error.to_string().into()));
            for answer in answers {
                let _hung_up = answer.send(outcome.clone());
            }
        }
        for look in looks {
            let _hung_up = look.send((self.ledger.parts(), shared.told.subscribe()));
        }
        close
    }
}

fn line(entry: &Entry) -> Option<String> {
    let mut line = serde_json::to_string(entry).ok()?; // texts and numbers only: that can always be written
    line.push('\n');
    Some(line)
}

/// Says in the file itself that some lines may be missing before this one.
fn gap(now: Millis) -> Entry {
    Entry::new(Action::Gap, now)
        .by_itself()
        .note("could not be written for a while; remote actions were refused meanwhile")
}

#[cfg(test)]
mod tests;
