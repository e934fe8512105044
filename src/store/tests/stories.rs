use std::sync::OnceLock;

use rusqlite::StatementStatus;

use super::super::rows;
use super::*;
use crate::domain::{Event, Refusal};

fn refusal() -> CommitError {
    Refusal::invalid("no").into()
}

/// Looks at the file and at the store while events are published.
#[derive(Default)]
struct Witness {
    store: OnceLock<Embedded>,
    saw: Mutex<Vec<(u32, usize, u64)>>,
}

impl EventBus for Witness {
    fn publish(&self, events: Vec<Arc<Published>>) {
        let store = self.store.get().unwrap();
        let in_file = store
            .database()
            .read_blocking(|db| db.query_row("SELECT count(*) FROM projects", [], |row| row.get(0)))
            .unwrap();
        let in_view = store.view().projects().len();
        self.saw.lock().unwrap().push((in_file, in_view, events[0].seq));
    }
}

#[test]
fn a_change_is_in_the_file_and_in_the_view_before_its_events_are_published_and_only_then_answered() {
    let dir = tempfile::tempdir().unwrap();
    let witness = Arc::new(Witness::default());
    let db = Database::open(&dir.path().join("maestro.db"), &[CHAPTER]).unwrap();
    let store = Embedded::open(db, witness.clone(), Arc::new(Ticks::default())).unwrap();
    witness.store.set(store.clone()).ok().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for n in 1..=3 {
        let rule = move |tx: &mut dyn Tx| {
            tx.put_project(project(n, "p"));
            tx.emit(Event::ProjectCreated(project(n, "p")));
            Ok(())
        };
        runtime.block_on(store.commit(Box::new(rule))).unwrap();
        let expected: Vec<_> = (1..=n).map(|n| (n, n as usize, u64::from(n))).collect();
        assert_eq!(*witness.saw.lock().unwrap(), expected);
    }
    assert_eq!(store.view().seq(), 3);
    store.database().close();
}

#[test]
fn what_was_stored_is_there_after_a_restart_in_order_of_creation() {
    let shop = Shop::new();
    shop.change(|tx| {
        for n in [3, 1, 2] {
            tx.put_project(project(n, "old"));
            tx.put_task(task(n, 1, Some(9)));
            tx.put_session(session(n, 1, &[2]));
        }
    });
    shop.change(|tx| {
        tx.put_project(project(1, "new")); // keeps its place
        append(tx, 3, &["a", "b"]).unwrap();
    });
    shop.change(|tx| append(tx, 3, &["c"]).unwrap());
    let shop = shop.reopen(1 << 20);
    let view = shop.view();
    let names: Vec<_> = view
        .projects()
        .iter()
        .map(|p| (p.id.to_string(), p.name.clone()))
        .collect();
    let expected = [("proj_3", "old"), ("proj_1", "new"), ("proj_2", "old")];
    assert_eq!(names, expected.map(|(id, name)| (id.to_owned(), name.to_owned())));
    let order = |ids: Vec<String>| ids.join(" ");
    assert_eq!(
        order(
            view.tasks(Some(&project_id(1)))
                .iter()
                .map(|t| t.id.to_string())
                .collect()
        ),
        "task_3 task_1 task_2"
    );
    assert_eq!(view.children(&task_id(9)).len(), 3);
    assert_eq!(
        order(
            view.sessions_of_task("task_2")
                .iter()
                .map(|s| s.id.to_string())
                .collect()
        ),
        "sess_3 sess_1 sess_2"
    );
    assert_eq!(timeline(&*view, 3).unwrap(), ["a", "b", "c"]);
    assert_eq!(
        view.sessions(&[session_id(2), session_id(7), session_id(3)])
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_refused_rule_and_a_panicking_one_leave_nothing_behind() {
    let shop = Shop::new();
    let no = shop.ask(|tx| {
        tx.put_project(project(1, "p"));
        tx.emit(Event::ProjectCreated(project(1, "p")));
        Err(refusal())
    });
    assert!(matches!(
        shop.wait(no),
        Err(CommitError::Refused(Refusal::Invalid(_)))
    ));
    let bug = shop.ask(|tx| {
        tx.put_project(project(2, "p"));
        panic!("a bug")
    });
    assert!(matches!(
        shop.wait(bug),
        Err(CommitError::Store(StoreError::Engine(_)))
    ));
    shop.change(|tx| {
        assert!(tx.projects().is_empty());
        tx.put_project(project(3, "p"));
        tx.emit(Event::ProjectCreated(project(3, "p")));
    });
    assert_eq!(shop.ear.names(), [(1, "project:created".to_owned())]);
    let shop = shop.reopen(1 << 20);
    assert_eq!(shop.view().projects().len(), 1);
}

#[test]
fn when_a_commit_fails_all_its_rules_hear_so_and_nobody_saw_anything() {
    let shop = Shop::new();
    shop.change(|tx| tx.put_session(session(1, 1, &[])));
    let held = shop.hold();
    let first = shop.ask(|tx| {
        append(tx, 1, &["lost"])?;
        tx.emit(Event::ProjectDeleted(project_id(1)));
        Ok(())
    });
    let second = shop.ask(|tx| {
        // Rules of one batch see each other.
        assert_eq!(timeline(tx, 1)?, ["lost"]);
        append(tx, 1, &["lost, too"])
    });
    let refused = shop.ask(|_| Err(refusal()));
    shop.poison();
    drop(held);
    for answer in [first, second, refused] {
        let answer = shop.wait(answer);
        assert!(
            matches!(answer, Err(CommitError::Store(StoreError::Engine(_)))),
            "{answer:?}"
        );
    }
    assert_eq!(timeline(&*shop.view(), 1).unwrap(), [""; 0]);
    shop.change(|tx| {
        append(tx, 1, &["kept"]).unwrap();
        tx.emit(Event::ProjectDeleted(project_id(2)));
    });
    assert_eq!(shop.ear.names(), [(1, "project:deleted".to_owned())]);
    assert_eq!(timeline(&*shop.view(), 1).unwrap(), ["kept"]);
    let shop = shop.reopen(1 << 20);
    assert_eq!(timeline(&*shop.view(), 1).unwrap(), ["kept"]);
}

#[test]
fn events_without_a_change_are_published_in_order_and_cost_no_disk_write() {
    let shop = Shop::new();
    shop.change(|tx| tx.put_project(project(1, "p")));
    let before = wal(&shop);
    let held = shop.hold();
    let answers: Vec<_> = (1..=20)
        .map(|n| {
            shop.ask(move |tx| {
                tx.emit(Event::ProjectDeleted(project_id(n)));
                Ok(())
            })
        })
        .collect();
    drop(held);
    for answer in answers {
        shop.wait(answer).unwrap();
    }
    assert_eq!(wal(&shop), before);
    let heard = shop.ear.heard.lock().unwrap();
    let order: Vec<_> = heard.iter().map(|event| event.seq).collect();
    assert_eq!(order, (1..=20).collect::<Vec<u64>>());
    assert!(matches!(&heard[19].event, Event::ProjectDeleted(id) if *id == project_id(20)));
}

/// Steps of SQLite's machine so far, in what an append runs.
fn steps(shop: &Shop) -> i32 {
    let steps = shop.store.database().write(|db| {
        let mut steps = 0;
        for sql in [rows::PUT_SESSION, rows::HISTORIES[1].add] {
            steps += db.prepare_cached(sql)?.get_status(StatementStatus::VmStep);
        }
        Ok::<_, SqliteError>(steps)
    });
    shop.wait(steps).unwrap()
}

/// Bytes of the write-ahead log.
fn wal(shop: &Shop) -> u64 {
    std::fs::metadata(shop.dir.path().join("maestro.db-wal"))
        .unwrap()
        .len()
}

#[test]
fn an_append_costs_the_same_however_old_the_session_is() {
    let shop = Shop::new();
    let entry = "x".repeat(150);
    let long: Vec<String> = vec![entry.clone(); 2000];
    shop.change(move |tx| {
        tx.put_session(session(1, 1, &[]));
        tx.put_session(session(2, 1, &[]));
        let long: Vec<_> = long.iter().map(String::as_str).collect();
        append(tx, 2, &long).unwrap();
    });
    let cost = |n: u32| {
        let before = (steps(&shop), wal(&shop));
        let entry = entry.clone();
        shop.change(move |tx| append(tx, n, &[&entry]).unwrap());
        (steps(&shop) - before.0, wal(&shop) - before.1)
    };
    cost(1);
    let (young, old) = (cost(1), cost(2));
    assert!(young.0 > 0 && young.1 > 0, "{young:?}");
    assert_eq!(old.0, young.0, "steps at 2,000 entries and at 2");
    assert!(
        old.1 <= young.1 + 3 * 4096,
        "{old:?} bytes at 2,000 entries, {young:?} at 2"
    );
    assert_eq!(timeline(&*shop.view(), 2).unwrap().len(), 2001);
}

#[test]
fn a_removed_session_takes_its_histories_along() {
    let shop = Shop::new();
    shop.change(|tx| {
        let mut session = session(1, 1, &[4]);
        session.events.append(&json!(1)).unwrap();
        session.docs.append(&json!(2)).unwrap();
        tx.put_session(session);
        append(tx, 1, &["a"]).unwrap();
    });
    let tables = ["sessions", "session_events", "session_timeline", "session_docs"];
    assert_eq!(tables.map(|table| shop.count(table)), [1; 4]);
    shop.change(|tx| tx.remove_session(&session_id(1)));
    assert_eq!(tables.map(|table| shop.count(table)), [0; 4]);
    assert!(shop.view().sessions_of_task("task_4").is_empty());
    assert!(shop.view().session(&session_id(1)).unwrap().is_none());
}

#[test]
fn a_replaced_session_starts_afresh_and_keeps_its_place() {
    let shop = Shop::new();
    shop.change(|tx| {
        tx.put_session(session(1, 1, &[1]));
        tx.put_session(session(2, 1, &[]));
        append(tx, 1, &["a", "b", "c"]).unwrap();
    });
    shop.change(|tx| {
        let mut fresh = session(1, 2, &[2]);
        fresh.timeline.append(&json!("new")).unwrap();
        tx.put_session(fresh);
    });
    let shop = shop.reopen(1 << 20);
    let view = shop.view();
    assert_eq!(timeline(&*view, 1).unwrap(), ["new"]);
    assert_eq!(view.session_heads(None)[0].id, session_id(1));
    assert!(view.sessions_of_task("task_1").is_empty());
    assert_eq!(view.session_heads(Some(&project_id(2))).len(), 1);
    assert_eq!(shop.count("session_timeline"), 1);
}

#[test]
fn histories_beyond_the_cache_are_read_again_and_a_view_keeps_its_instant() {
    let shop = Shop::at(Arc::new(tempfile::tempdir().unwrap()), 4096);
    shop.change(|tx| {
        for n in 0..20 {
            tx.put_session(session(n, 1, &[]));
            append(tx, n, &[&"x".repeat(1000)]).unwrap();
        }
    });
    let before = shop.view();
    for n in 0..20 {
        shop.change(move |tx| append(tx, n, &["later"]).unwrap());
    }
    assert!(shop.store.shared.cache.bytes() <= 4096);
    for n in 0..20 {
        assert_eq!(timeline(&*before, n).unwrap().len(), 1, "the view of before");
        assert_eq!(timeline(&*shop.view(), n).unwrap().len(), 2);
    }
    assert!(shop.store.shared.cache.bytes() <= 4096);
    // What was replaced or removed after the view was taken is answered as it is now.
    shop.change(|tx| {
        tx.put_session(session(0, 1, &[]));
        tx.remove_session(&session_id(1));
    });
    let gone = before.session(&session_id(1)).unwrap();
    assert!(gone.is_none_or(|session| session.timeline.len() == 1));
    let replaced = timeline(&*before, 0).unwrap();
    assert!(replaced.is_empty() || replaced.len() == 1);
}

#[test]
fn a_stopped_store_says_so_and_every_start_has_an_epoch_of_its_own() {
    let shop = Shop::new();
    shop.store.database().close();
    let late = shop.ask(|tx| {
        tx.put_project(project(1, "p"));
        Ok(())
    });
    assert!(matches!(
        shop.wait(late),
        Err(CommitError::Store(StoreError::Stopping))
    ));
    assert!(shop.file().exists());
    assert_ne!(shop.store.epoch(), Shop::new().store.epoch());
}

#[test]
fn a_record_that_cannot_be_read_is_named_at_the_start() {
    let shop = Shop::new();
    shop.change(|tx| tx.put_session(session(1, 1, &[])));
    let damage = shop.store.database().write(|db| {
        db.execute("UPDATE sessions SET json = '{}'", [])?;
        Ok::<_, SqliteError>(())
    });
    shop.wait(damage).unwrap();
    let again = Embedded::open(
        shop.store.database().clone(),
        shop.ear.clone(),
        Arc::new(Ticks::default()),
    );
    let error = again.err().unwrap().to_string();
    assert!(error.contains("record 1 of `sessions`"), "{error}");
}
