mod property;
mod stories;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::SeqCst},
        mpsc,
    },
};

use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{CHAPTER, Embedded};
use crate::domain::{Log, Millis, Project, ProjectId, Published, Session, SessionId, Task, TaskId};
use crate::ports::{Clock, CommitError, EventBus, Pending, Store, StoreError, Tx, View};
use crate::sqlite::{Chapter, Database, SqliteError};

/// A table whose rules are only checked at the COMMIT: a way to make one fail.
const POISON: Chapter = Chapter {
    name: "poison",
    migrations: &[
        "CREATE TABLE debt (owed INTEGER REFERENCES projects (place) DEFERRABLE INITIALLY DEFERRED)",
    ],
};

/// A clock that moves by one with every look.
#[derive(Default)]
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> Millis {
        Millis(1_700_000_000_000 + self.0.fetch_add(1, SeqCst))
    }
}

/// Keeps what was published.
#[derive(Default)]
struct Ear {
    heard: Mutex<Vec<Arc<Published>>>,
}

impl EventBus for Ear {
    fn publish(&self, events: Vec<Arc<Published>>) {
        self.heard.lock().unwrap().extend(events);
    }
}

impl Ear {
    fn names(&self) -> Vec<(u64, String)> {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .map(|event| (event.seq, event.event.name().to_owned()))
            .collect()
    }
}

/// A store in a directory of its own.
struct Shop {
    dir: Arc<TempDir>,
    store: Embedded,
    ear: Arc<Ear>,
    runtime: Runtime,
}

impl Shop {
    fn new() -> Self {
        Self::at(Arc::new(tempfile::tempdir().unwrap()), 1 << 20)
    }

    fn at(dir: Arc<TempDir>, cache: usize) -> Self {
        let ear = Arc::new(Ear::default());
        let db = Database::open(&dir.path().join("maestro.db"), &[CHAPTER, POISON]).unwrap();
        let store = Embedded::open_with(db, ear.clone(), Arc::new(Ticks::default()), cache).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self {
            dir,
            store,
            ear,
            runtime,
        }
    }

    fn file(&self) -> PathBuf {
        self.store.database().path().to_owned()
    }

    /// Stops, and starts again on the same file.
    fn reopen(self, cache: usize) -> Self {
        self.store.database().close();
        Self::at(self.dir.clone(), cache)
    }

    fn view(&self) -> Arc<dyn View + Send + Sync> {
        self.store.view()
    }

    fn ask(
        &self,
        rule: impl FnOnce(&mut dyn Tx) -> Result<(), CommitError> + Send + 'static,
    ) -> Pending<'_, Result<(), CommitError>> {
        self.store.commit(Box::new(rule))
    }

    fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }

    /// A change that must succeed.
    fn change(&self, rule: impl FnOnce(&mut dyn Tx) + Send + 'static) {
        let answer = self.ask(|tx| {
            rule(tx);
            Ok(())
        });
        self.wait(answer).unwrap();
    }

    /// Keeps the writer busy until dropped, so that what is asked meanwhile is one batch.
    fn hold(&self) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        drop(self.store.database().write(move |_| {
            started.send(()).unwrap();
            let _ = held.recv(); // ends when the other side is dropped
            Ok::<_, SqliteError>(())
        }));
        running.recv().unwrap();
        release
    }

    /// Makes the COMMIT of this batch fail.
    fn poison(&self) {
        drop(self.store.database().write(|db| {
            db.execute("INSERT INTO debt VALUES (-1)", [])?;
            Ok::<_, SqliteError>(())
        }));
    }

    fn count(&self, table: &str) -> u32 {
        let sql = format!("SELECT count(*) FROM {table}");
        let db = self.store.database();
        db.read_blocking(|db| db.query_row(&sql, [], |row| row.get(0)))
            .unwrap()
    }
}

fn project_id(n: u32) -> ProjectId {
    ProjectId::parse(&format!("proj_{n}")).unwrap()
}

fn task_id(n: u32) -> TaskId {
    TaskId::parse(&format!("task_{n}")).unwrap()
}

fn session_id(n: u32) -> SessionId {
    SessionId::parse(&format!("sess_{n}")).unwrap()
}

fn project(n: u32, name: &str) -> Arc<Project> {
    let value = json!({"id": project_id(n), "name": name, "createdAt": n, "updatedAt": n});
    Arc::new(serde_json::from_value(value).unwrap())
}

fn task(n: u32, project: u32, parent: Option<u32>) -> Arc<Task> {
    let value = json!({
        "id": task_id(n), "projectId": project_id(project), "parentId": parent.map(task_id), "title": "t",
        "status": "todo", "priority": "medium", "createdAt": n, "updatedAt": n,
    });
    Arc::new(serde_json::from_value(value).unwrap())
}

fn session(n: u32, project: u32, tasks: &[u32]) -> Session {
    let tasks: Vec<_> = tasks.iter().map(|&n| task_id(n)).collect();
    let value = json!({
        "id": session_id(n), "projectId": project_id(project), "taskIds": tasks, "name": "s", "status": "working",
        "startedAt": n, "lastActivity": n, "hostname": "h", "platform": "linux",
    });
    Session {
        head: Arc::new(serde_json::from_value(value).unwrap()),
        events: Log::default(),
        timeline: Log::default(),
        docs: Log::default(),
    }
}

/// Appends entries to the timeline of a stored session.
fn append(tx: &mut dyn Tx, n: u32, entries: &[&str]) -> Result<(), CommitError> {
    let Some(mut session) = tx.session(&session_id(n))? else {
        return Ok(());
    };
    for entry in entries {
        session.timeline.append(&json!(entry)).unwrap();
    }
    tx.put_session(session);
    Ok(())
}

fn timeline(view: &(impl View + ?Sized), n: u32) -> Result<Vec<serde_json::Value>, StoreError> {
    let session = view.session(&session_id(n))?;
    Ok(session.map_or_else(Vec::new, |session| session.timeline.values().unwrap()))
}
