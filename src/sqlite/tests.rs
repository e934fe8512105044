use std::{path::Path, sync::mpsc, time::Duration};

use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;

const V1: &str = "CREATE TABLE note (text TEXT NOT NULL UNIQUE);
    CREATE TABLE debt (owed TEXT REFERENCES note (text) DEFERRABLE INITIALLY DEFERRED);";
const V2: &str = "ALTER TABLE note ADD COLUMN stars INTEGER NOT NULL DEFAULT 5";
const NOTES: Chapter = Chapter {
    name: "notes",
    migrations: &[V1],
};

struct Desk {
    dir: TempDir,
    db: Database,
    runtime: Runtime,
}

fn desk_with(limits: Limits) -> Desk {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open_with(&dir.path().join("notes.db"), &[NOTES], limits).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    Desk { dir, db, runtime }
}

fn desk() -> Desk {
    desk_with(Limits::default())
}

fn add(db: &Connection, text: &str) -> Result<(), SqliteError> {
    db.prepare_cached("INSERT INTO note (text) VALUES (?1)")?
        .execute([text])?;
    Ok(())
}

/// Makes the COMMIT fail: a debt to a note that does not exist is only noticed there.
fn poison(db: &Connection) -> Result<(), SqliteError> {
    db.execute("INSERT INTO debt VALUES ('no such note')", [])?;
    Ok(())
}

fn notes(db: &Database) -> Vec<String> {
    db.read_blocking(|db| {
        let mut statement = db.prepare_cached("SELECT text FROM note ORDER BY rowid")?;
        statement.query_map([], |row| row.get(0))?.collect()
    })
    .unwrap()
}

/// Keeps the writer busy until dropped, so that what is queued meanwhile is one batch.
fn hold(db: &Database) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (started, running) = mpsc::channel();
    drop(db.write(move |_| {
        started.send(()).unwrap();
        let _ = held.recv(); // ends when the other side is dropped
        Ok::<_, SqliteError>(())
    }));
    running.recv().unwrap();
    release
}

#[test]
fn a_failed_write_and_a_panicking_one_leave_nothing_and_their_neighbours_do_not_notice() {
    let desk = desk();
    let held = hold(&desk.db);
    let good = desk.db.write(|db| add(db, "first"));
    let double = desk.db.write(|db| {
        add(db, "half")?;
        add(db, "first")
    });
    let bug = desk.db.write(|db| -> Result<(), SqliteError> {
        add(db, "never")?;
        panic!("a bug")
    });
    let last = desk.db.write(|db| add(db, "last"));
    drop(held);
    desk.runtime.block_on(async {
        good.await.unwrap();
        assert!(matches!(double.await, Err(SqliteError::Engine(_))));
        assert_eq!(bug.await, Err(SqliteError::Panicked("a bug".into())));
        last.await.unwrap();
    });
    assert_eq!(notes(&desk.db), ["first", "last"]);
}

#[test]
fn when_a_commit_fails_everyone_in_it_hears_so_nothing_is_kept_and_work_goes_on() {
    let desk = desk();
    let held = hold(&desk.db);
    let before = desk.db.write(|db| add(db, "before"));
    let poison = desk.db.write(poison);
    let after = desk.db.write(|db| add(db, "after"));
    drop(held);
    desk.runtime.block_on(async {
        for answer in [before.await, poison.await, after.await] {
            assert!(matches!(answer, Err(SqliteError::Engine(_))), "{answer:?}");
        }
        assert!(desk.db.trouble().is_some());
        assert_eq!(notes(&desk.db), [""; 0]);
        desk.db.write(|db| add(db, "later")).await.unwrap();
    });
    assert!(desk.db.trouble().is_none());
    assert_eq!(notes(&desk.db), ["later"]);
}

#[test]
fn a_full_queue_refuses_at_once_and_a_closed_database_says_that_it_stops() {
    let desk = desk_with(Limits { queue: 2, batch: 256 });
    let held = hold(&desk.db);
    let first = desk.db.write(|db| add(db, "1"));
    let second = desk.db.write(|db| add(db, "2"));
    let third = desk.runtime.block_on(desk.db.write(|db| add(db, "3")));
    assert_eq!(third, Err(SqliteError::Overloaded));
    drop(held);
    desk.db.close();
    desk.runtime.block_on(async {
        // What was accepted is finished by the close.
        first.await.unwrap();
        second.await.unwrap();
        let late = desk.db.write(|db| add(db, "4")).await;
        assert_eq!(late, Err(SqliteError::Stopping));
    });
    assert!(
        !desk.dir.path().join("notes.db-wal").exists(),
        "the WAL was not written back"
    );
    let again = Database::open(&desk.dir.path().join("notes.db"), &[NOTES]).unwrap();
    assert_eq!(notes(&again), ["1", "2"]);
}

#[test]
fn a_writer_that_hangs_does_not_come_round_and_one_with_a_full_queue_does() {
    let desk = desk_with(Limits { queue: 2, batch: 1 });
    let comes_round = |limit| {
        let answer = async { tokio::time::timeout(limit, desk.db.comes_round()).await };
        desk.runtime.block_on(answer)
    };
    let (soon, long) = (Duration::from_millis(100), Duration::from_secs(30));
    let held = hold(&desk.db);
    assert!(comes_round(soon).is_err(), "it hangs");
    let waiting = desk.db.write(|db| add(db, "1"));
    assert!(comes_round(soon).is_err(), "it hangs, and its queue is full");
    drop(held);
    assert_eq!(comes_round(long), Ok(true));
    desk.runtime.block_on(waiting).unwrap();
    desk.db.close();
    assert_eq!(comes_round(long), Ok(false));
}

#[test]
fn a_disk_without_room_is_named_as_such() {
    let desk = desk();
    let big = desk.runtime.block_on(desk.db.write(|db| {
        db.query_row("PRAGMA max_page_count = 20", [], |_| Ok(()))?;
        add(db, &"x".repeat(200_000))
    }));
    assert_eq!(big, Err(SqliteError::Full));
    desk.runtime
        .block_on(desk.db.write(|db| add(db, "small")))
        .unwrap();
    assert_eq!(notes(&desk.db), ["small"]);
}

#[test]
fn a_reader_sees_one_state_while_writes_go_on() {
    let desk = desk();
    let (db, runtime) = (&desk.db, &desk.runtime);
    db.read_blocking(|reader| {
        let count =
            |db: &Connection| db.query_row("SELECT count(*) FROM note", [], |row| row.get::<_, u32>(0));
        assert_eq!(count(reader)?, 0);
        runtime.block_on(db.write(|db| add(db, "meanwhile"))).unwrap();
        assert_eq!(count(reader)?, 0);
        Ok(())
    })
    .unwrap();
    assert_eq!(notes(db), ["meanwhile"]);
}

#[test]
fn readers_cannot_write() {
    let desk = desk();
    let answer = desk.db.read_blocking(|db| db.execute("DELETE FROM note", []));
    assert!(matches!(answer, Err(SqliteError::Engine(_))), "{answer:?}");
}

#[test]
fn a_backup_made_under_load_is_one_consistent_file() {
    let desk = desk();
    let copy = desk.dir.path().join("copy.db");
    let writes: Vec<_> = (0..500)
        .map(|n| {
            desk.db.write(move |db| {
                add(db, &format!("{n} {}", "x".repeat(2000)))?;
                add(db, &format!("{n} pair"))
            })
        })
        .collect();
    let mut heard = 0;
    let report = desk.db.backup(&copy, |done, _| heard = done).unwrap();
    assert_eq!(report.bytes, std::fs::metadata(&copy).unwrap().len());
    assert_eq!(heard, report.bytes);
    let twice = desk.db.backup(&copy, |_, _| {});
    assert!(
        matches!(twice, Err(SqliteError::File { .. })),
        "a file was replaced"
    );
    let copied = notes(&Database::open(&copy, &[NOTES]).unwrap());
    assert_eq!(copied.len() % 2, 0, "half a write was copied");
    desk.runtime.block_on(async {
        for write in writes {
            write.await.unwrap();
        }
    });
    assert_eq!(notes(&desk.db)[..copied.len()], copied[..]);
    assert_eq!(notes(&desk.db).len(), 1000);
}

fn with_notes(path: &Path, texts: &[&str]) {
    let db = Database::open(path, &[NOTES]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for text in texts {
        let text = (*text).to_owned();
        runtime.block_on(db.write(move |db| add(db, &text))).unwrap();
    }
    db.close();
}

#[test]
fn an_old_file_is_copied_and_then_upgraded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    with_notes(&path, &["old"]);
    let newer = Chapter {
        name: "notes",
        migrations: &[V1, V2],
    };
    let db = Database::open(&path, &[newer]).unwrap();
    let stars: u32 = db
        .read_blocking(|db| db.query_row("SELECT stars FROM note WHERE text = 'old'", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(stars, 5);
    let copy = Database::open(&dir.path().join("notes.db.v1"), &[NOTES]).unwrap();
    assert_eq!(notes(&copy), ["old"]);
}

#[test]
fn a_newer_file_is_refused_by_name_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    let newer = Chapter {
        name: "notes",
        migrations: &[V1, V2],
    };
    Database::open(&path, &[newer]).unwrap().close();
    let before = std::fs::read(&path).unwrap();
    let error = Database::open(&path, &[NOTES]).err().unwrap();
    assert!(
        matches!(
            &error,
            SqliteError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("newer version"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    // A chapter this program has never heard of is newer as well.
    let stranger = Chapter {
        name: "tunes",
        migrations: &["CREATE TABLE tune (x)"],
    };
    Database::open(&path, &[newer, stranger]).unwrap().close();
    let error = Database::open(&path, &[newer]).err().unwrap();
    assert!(matches!(&error, SqliteError::Newer { known: 0, .. }), "{error}");
}

#[test]
fn a_migration_that_fails_leaves_the_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    with_notes(&path, &["old"]);
    let broken = Chapter {
        name: "notes",
        migrations: &[V1, "CREATE TABLE half (x); CREATE TABLE note (again)"],
    };
    let error = Database::open(&path, &[broken]).err().unwrap();
    assert!(error.to_string().contains("notes schema"), "{error}");
    assert_eq!(notes(&Database::open(&path, &[NOTES]).unwrap()), ["old"]);
}

#[test]
fn somebody_elses_database_and_a_text_file_are_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.db");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    let error = Database::open(&other, &[NOTES]).err();
    assert_eq!(error, Some(SqliteError::Foreign(other)));
    let text = dir.path().join("text.db");
    std::fs::write(&text, "just words, ".repeat(100)).unwrap();
    assert!(matches!(
        Database::open(&text, &[NOTES]),
        Err(SqliteError::File { .. })
    ));
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("just words"));
}

#[cfg(unix)]
#[test]
fn the_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let desk = desk();
    for name in ["notes.db", "notes.db-wal"] {
        let mode = std::fs::metadata(desk.dir.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
