//! The test runs itself as a second process, which writes as fast as it can and says what was acknowledged, and
//! kills it in the middle of that, again and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use maestro::{
    domain::{SessionId, Task},
    ports::{CommitError, Store, Tx, View},
    store::Embedded,
};
use serde_json::json;

use super::place;

const NAME: &str = "kill::killed_at_any_moment_the_store_has_all_it_acknowledged_and_nothing_by_half";
const DIR: &str = "DURABILITY_DIR";
const ROUND: &str = "DURABILITY_ROUND";
const ROUNDS: u64 = 30;
const WRITERS: u64 = 8;

#[test]
fn killed_at_any_moment_the_store_has_all_it_acknowledged_and_nothing_by_half() {
    if let (Some(dir), Ok(round)) = (env::var_os(DIR), env::var(ROUND)) {
        write_until_killed(&PathBuf::from(dir), &round);
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (mut promised, mut random) = (Promised::default(), 0x9E37_79B9_u64);
    for round in 0..ROUNDS {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let heard = promised.acknowledged;
        Writer::start(dir.path(), round).kill_after(random >> 56, &mut promised);
        assert!(
            promised.acknowledged > heard,
            "round {round}: the writer said nothing"
        );
        promised.check(dir.path(), round);
    }
    println!("{} acknowledged writes, {ROUNDS} kills", promised.acknowledged);
}

/// The process that is killed.
struct Writer {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Writer {
    fn start(dir: &Path, round: u64) -> Self {
        let mut child = Command::new(env::current_exe().expect("we run"))
            .args([NAME, "--exact", "--nocapture"])
            .env(DIR, dir)
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("we can be run again");
        let says = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, says }
    }

    /// Kills it after so many acknowledgements, and takes in all it said before it died.
    fn kill_after(mut self, acknowledgements: u64, promised: &mut Promised) {
        let enough = promised.acknowledged + acknowledgements + 1;
        let mut line = String::new();
        while promised.acknowledged < enough && self.next(&mut line) {
            promised.hear(&line);
        }
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it died");
        while self.next(&mut line) {
            promised.hear(&line);
        }
    }

    /// The next whole line.
    fn next(&mut self, line: &mut String) -> bool {
        line.clear();
        self.says.read_line(line).expect("a pipe") > 0 && line.ends_with('\n')
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the writer was promised.
#[derive(Default)]
struct Promised {
    acknowledged: u64,
    /// Sessions that exist, and entries their timelines have at least.
    sessions: BTreeMap<String, usize>,
    /// Sessions whose removal was asked for: they may be there or not.
    doomed: BTreeSet<String>,
    removed: BTreeSet<String>,
}

impl Promised {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["removing", session] => drop(self.doomed.insert(session.to_owned())),
            ["ack", "made", session] => drop(self.sessions.insert(session.to_owned(), 1)),
            ["ack", "grown", session, entries] => {
                let entries = entries.parse().expect("a number");
                self.sessions.insert(session.to_owned(), entries);
            }
            ["ack", "removed", session] => drop(self.removed.insert(session.to_owned())),
            _ => return, // the test runner's own lines
        }
        self.acknowledged += u64::from(words[0] == "ack");
    }

    fn check(&self, dir: &Path, round: u64) {
        let store = place::open(dir);
        let view = store.view();
        for (id, entries) in &self.sessions {
            let session = view.session(&place::session_id(id)).expect("readable");
            match session {
                Some(session) => assert!(
                    session.timeline.len() >= *entries,
                    "round {round}: {id} lost an entry"
                ),
                None => assert!(
                    self.doomed.contains(id),
                    "round {round}: {id} was acknowledged and is lost"
                ),
            }
        }
        for id in &self.removed {
            let there = view.session_head(&place::session_id(id)).is_some();
            assert!(!there, "round {round}: {id} was removed and is back");
        }
        nothing_by_half(&*view, round);
        let verdict: String = store
            .database()
            .read_blocking(|db| db.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
            .expect("the check runs");
        assert_eq!(verdict, "ok", "round {round}");
        store.database().close();
    }
}

/// Every session is linked to its task, and every task to its sessions.
fn nothing_by_half(view: &dyn View, round: u64) {
    for head in view.session_heads(None) {
        for task in &head.task_ids {
            let task = view.task(&place::task_id(task));
            let linked = task.is_some_and(|task| task.session_ids.iter().any(|id| id == head.id.as_str()));
            assert!(linked, "round {round}: session {} without its link", head.id);
        }
    }
    for task in view.tasks(None) {
        for id in &task.session_ids {
            let there = view.session_head(&place::session_id(id)).is_some();
            assert!(
                there,
                "round {round}: task {} links to {id}, which is not there",
                task.id
            );
        }
    }
}

/// What the second process does: it never returns.
fn write_until_killed(dir: &Path, round: &str) -> ! {
    let store = place::open(dir);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let writers = (0..WRITERS).map(|n| tokio::spawn(work(store.clone(), format!("{round}_{n}"))));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("a writer never ends");
        }
    });
    unreachable!("writers never end")
}

async fn work(store: Embedded, name: String) {
    for n in 0_u64.. {
        let id = place::session_id(&format!("sess_{name}_{n}"));
        let task = format!("task_{name}_{}", n / 8);
        let made = (id.clone(), task.clone());
        ask(&store, move |tx| make(tx, &made.0, &made.1)).await;
        say(&format!("ack made {id}"));
        for entries in 2..=1 + n % 3 {
            let grown = id.clone();
            ask(&store, move |tx| grow(tx, &grown)).await;
            say(&format!("ack grown {id} {entries}"));
        }
        if n % 4 == 3 {
            say(&format!("removing {id}"));
            let removed = (id.clone(), task);
            ask(&store, move |tx| remove(tx, &removed.0, &removed.1)).await;
            say(&format!("ack removed {id}"));
        }
    }
}

async fn ask(store: &Embedded, rule: impl FnOnce(&mut dyn Tx) -> Result<(), CommitError> + Send + 'static) {
    store.commit(Box::new(rule)).await.expect("it commits");
}

/// A line in one piece, at once.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())
        .and_then(|()| out.flush())
        .expect("somebody listens");
}

fn linked(tx: &dyn Tx, task: &str) -> Task {
    let id = place::task_id(task);
    tx.task(&id)
        .map_or_else(|| place::task(&id), |task| (*task).clone())
}

fn make(tx: &mut dyn Tx, id: &SessionId, task: &str) -> Result<(), CommitError> {
    let mut session = place::session(id, &place::task_id(task));
    session
        .timeline
        .append(&json!({"type": "session_started"}))
        .expect("JSON");
    tx.put_session(session);
    let mut task = linked(tx, task);
    task.session_ids.push(id.to_string());
    tx.put_task(Arc::new(task));
    Ok(())
}

fn grow(tx: &mut dyn Tx, id: &SessionId) -> Result<(), CommitError> {
    let mut session = tx.session(id)?.expect("it was made");
    session
        .timeline
        .append(&json!({"type": "progress", "message": "x".repeat(100)}))
        .expect("JSON");
    tx.put_session(session);
    Ok(())
}

fn remove(tx: &mut dyn Tx, id: &SessionId, task: &str) -> Result<(), CommitError> {
    tx.remove_session(id);
    let mut task = linked(tx, task);
    task.session_ids.retain(|linked| linked != id.as_str());
    tx.put_task(Arc::new(task));
    Ok(())
}
