//! A real disk without room: a small tmpfs, which only root may mount.

use std::{fs, path::Path, process::Command};

use maestro::access::{Action, Audit, AuditError, Entry, Size};
use maestro::clock::SystemClock;
use maestro::domain::Millis;
use maestro::ports::{CommitError, Store, StoreError, Tx};
use serde_json::json;

use super::place;

/// A file system of two megabytes; gone when dropped.
struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(dir.path())
            .output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        mounted.then_some(Self { dir })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}

/// One session more, with a document.
async fn add(store: &impl Store, n: u32, size: usize) -> Result<(), CommitError> {
    let rule = move |tx: &mut dyn Tx| -> Result<(), CommitError> {
        let (id, task) = (place::session_id(&format!("sess_{n}")), place::task_id("task_1"));
        let mut session = place::session(&id, &task);
        session
            .docs
            .append(&json!({"content": "x".repeat(size)}))
            .expect("JSON");
        tx.put_session(session);
        let mut task = tx
            .task(&task)
            .map_or_else(|| place::task(&task), |task| (*task).clone());
        task.session_ids.push(id.to_string());
        tx.put_task(task.into());
        Ok(())
    };
    store.commit(Box::new(rule)).await
}

#[tokio::test]
async fn a_full_disk_is_named_loses_nothing_and_work_goes_on_when_there_is_room_again() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: a small file system can only be mounted by root");
        return;
    };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 700_000]).expect("there is room");
    let store = place::open(disk.path());
    let mut kept = 0;
    let error = loop {
        match add(&store, kept, 10_000).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1000, "two megabytes hold no ten");
    };
    assert!(
        matches!(error, CommitError::Store(StoreError::DiskFull)),
        "{error}"
    );
    assert!(store.database().trouble().is_some());
    let there = |store: &maestro::store::Embedded| {
        let view = store.view();
        let task = view.task(&place::task_id("task_1")).expect("it was made");
        let sessions = view.session_heads(None);
        assert!(
            sessions
                .iter()
                .all(|head| view.session(&head.id).unwrap().unwrap().docs.len() == 1)
        );
        assert_eq!(task.session_ids.len(), sessions.len());
        sessions.len() as u32
    };
    assert_eq!(there(&store), kept);

    fs::remove_file(&ballast).expect("it is there");
    add(&store, kept, 10_000).await.expect("there is room again");
    assert!(store.database().trouble().is_none());
    store.database().close();
    assert_eq!(there(&place::open(disk.path())), kept + 1);
}

#[tokio::test]
async fn an_audit_on_a_full_disk_refuses_tears_no_line_and_goes_on_when_there_is_room_again() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: a small file system can only be mounted by root");
        return;
    };
    let audit =
        Audit::open(disk.path(), Size::default(), std::sync::Arc::new(SystemClock)).expect("a thread");
    let line = |n: usize| Entry::new(Action::Answer, Millis(1)).note(&format!("{n} {}", "x".repeat(100)));
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 1_900_000]).expect("there is room");
    let mut kept = 0;
    let error = loop {
        match audit.record(line(kept)).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 10_000, "the rest of two megabytes hold no two");
    };
    assert!(matches!(error, AuditError::Unwritable(_)), "{error}");
    assert!(audit.trouble().is_some() && audit.check().is_err());
    fs::remove_file(&ballast).expect("it is there");
    audit.record(line(kept)).await.expect("there is room again");
    assert!(audit.check().is_ok());
    let text = fs::read_to_string(disk.path().join("audit.jsonl")).expect("it is there");
    let entries = text
        .lines()
        .map(|line| serde_json::from_str::<Entry>(line).expect("a whole line"));
    let answers = entries.filter(|entry| entry.action == Action::Answer);
    let notes: Vec<usize> = answers
        .filter_map(|entry| entry.note?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(notes, (0..=kept).collect::<Vec<_>>());
}
