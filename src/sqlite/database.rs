//! The handle that rooms hold.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use rusqlite::Connection;
use tokio::{sync::oneshot, task};

use super::{
    BackupReport, Chapter, Job, Limits, Meters, SqliteError, Verdict, backup, migrate::migrate, open,
    readers::Readers, writer::Writer,
};

/// How often a busy writer is looked at.
const PULSE: Duration = Duration::from_millis(50);

/// One open file. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    // Before the writer, which is dropped last and checkpoints when nobody reads any more.
    readers: Readers,
    writer: Writer,
}

impl Database {
    /// Opens or makes the file and brings its schema up to date. Blocks.
    pub fn open(path: &Path, chapters: &[Chapter]) -> Result<Self, SqliteError> {
        Self::open_with(path, chapters, Limits::default())
    }

    /// [`open`](Self::open) with other bounds.
    pub fn open_with(path: &Path, chapters: &[Chapter], limits: Limits) -> Result<Self, SqliteError> {
        let mut conn = open::writer(path)?;
        migrate(&mut conn, path, chapters)?;
        let writer = Writer::start(conn, limits).map_err(|error| SqliteError::file(path, error))?;
        let inner = Inner {
            path: path.to_owned(),
            readers: Readers::new(path.to_owned()),
            writer,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Runs `work` alone on the newest state, in the writer thread; durable when it answers `Ok`. If `work` fails,
    /// or the commit does, nothing of it is left. It is queued at once, and runs even if nobody waits for the answer.
    pub fn write<T, E>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> impl Future<Output = Result<T, E>> + Send + 'static
    where
        T: Send + 'static,
        E: From<SqliteError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.submit(Box::new(Call {
            work: Some(work),
            result: None,
            answer,
        }));
        async move {
            answered
                .await
                .unwrap_or_else(|_| Err(SqliteError::Stopping.into()))
        }
    }

    /// [`Database::write`] of statements that answer nothing but how many rows they changed.
    pub fn execute(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<usize> + Send + 'static,
    ) -> impl Future<Output = Result<(), SqliteError>> + Send + 'static {
        self.write(move |db: &Connection| Ok(work(db).map(|_| ())?))
    }

    /// Queues a job of the caller's own making.
    pub fn submit(&self, job: Box<dyn Job>) {
        self.inner.writer.submit(job);
    }

    /// Runs `query` on one consistent, committed state, on a thread that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SqliteError> {
        let this = self.clone();
        task::spawn_blocking(move || this.read_blocking(query))
            .await
            .unwrap_or_else(|error| Err(SqliteError::Engine(error.to_string().into())))
    }

    /// [`read`](Self::read) on this very thread: for what is known to be short, or has a thread of its own.
    pub fn read_blocking<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SqliteError> {
        self.inner.readers.read(query)
    }

    /// Writes a consistent copy of everything into one new file, while work goes on. `progress` hears bytes done and
    /// bytes in all. A file that exists is not replaced. Blocks.
    pub fn backup(&self, to: &Path, mut progress: impl FnMut(u64, u64)) -> Result<BackupReport, SqliteError> {
        if to.symlink_metadata().is_ok() {
            return Err(SqliteError::file(to, "it exists already"));
        }
        backup::copy(&self.inner.path, to, &mut progress)
    }

    /// Why the newest writes could not be committed, if they could not: a full disk, say. `None` again after the
    /// first success.
    pub fn trouble(&self) -> Option<SqliteError> {
        self.inner.writer.trouble()
    }

    /// Answers once the writer thread has come round; nothing is written for that. True unless there is no writer any
    /// more. One that has much to do and gets on with it answers too, however long its queue; one that hangs does not.
    pub async fn comes_round(&self) -> bool {
        let before = self.inner.writer.rounds();
        let mut gets_on = pin!(async {
            while self.inner.writer.rounds() == before {
                tokio::time::sleep(PULSE).await;
            }
        });
        tokio::select! {
            () = &mut gets_on => true,
            answer = self.write(|_| Ok::<_, SqliteError>(())) => match answer {
                Err(SqliteError::Stopping) => false,
                Err(SqliteError::Overloaded) => {
                    gets_on.await;
                    true
                }
                Ok(()) | Err(_) => true, // a full disk is no dead thread
            },
        }
    }

    /// What its writer thread counts.
    pub fn meters(&self) -> &Meters {
        self.inner.writer.meters()
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Takes no more work, finishes what waits, and writes the WAL back. Blocks. Further calls answer `Stopping`.
    pub fn close(&self) {
        self.inner.readers.close();
        self.inner.writer.close();
    }
}

/// A closure as a job.
struct Call<W, T, E> {
    work: Option<W>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<W, T, E> Job for Call<W, T, E>
where
    W: FnOnce(&Connection) -> Result<T, E> + Send,
    T: Send,
    E: From<SqliteError> + Send,
{
    fn run(&mut self, db: &Connection) -> rusqlite::Result<Verdict> {
        let Some(work) = self.work.take() else {
            return Ok(Verdict::Undo);
        };
        let result = work(db);
        let verdict = if result.is_ok() {
            Verdict::Keep
        } else {
            Verdict::Undo
        };
        self.result = Some(result);
        Ok(verdict)
    }

    fn done(self: Box<Self>, outcome: Result<Verdict, SqliteError>) {
        let answer = match (outcome, self.result) {
            (Ok(_), Some(result)) => result,
            (Ok(_), None) => Err(SqliteError::Stopping.into()),
            (Err(error), _) => Err(error.into()),
        };
        let _ = self.answer.send(answer); // the caller may have gone
    }
}
