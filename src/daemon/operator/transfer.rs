//! Import, export, backup: work that takes a while, told step by step.

use std::path::PathBuf;

use serde_json::json;
use tokio::sync::mpsc;

use crate::control::protocol::{Problem, Progress};
use crate::hub::Hub;
use crate::store::Embedded;

/// Steps on their way to one operator.
const QUEUE: usize = 16;

/// Reads a JSON data directory into the store.
pub fn import(_hub: &Hub, _store: &Embedded, _dir: PathBuf) -> mpsc::Receiver<Progress> {
    unavailable()
}

/// Writes the store as a JSON data directory.
pub fn export(_hub: &Hub, _store: &Embedded, _dir: PathBuf) -> mpsc::Receiver<Progress> {
    unavailable()
}

fn unavailable() -> mpsc::Receiver<Progress> {
    let (tx, rx) = mpsc::channel(1);
    let problem = Problem::new("unavailable", "this build cannot carry data in or out");
    let _fits = tx.try_send(Progress::Failed { problem });
    rx
}

/// Writes a consistent copy of the store to a new file.
pub fn backup(store: &Embedded, file: PathBuf) -> mpsc::Receiver<Progress> {
    let (tx, rx) = mpsc::channel(QUEUE);
    let database = store.database().clone();
    tokio::task::spawn_blocking(move || {
        let end = if file.exists() {
            let problem = Problem::new("exists", format!("{} exists already", file.display()));
            Progress::Failed {
                problem: problem.remedy("choose a new file name"),
            }
        } else {
            // A step that nobody has read yet is superseded by the next one: the work does not wait for a reader.
            let told = |done, total| {
                let _unread = tx.try_send(Progress::Working {
                    what: "copying the store".into(),
                    done,
                    total: Some(total),
                });
            };
            match database.backup(&file, told) {
                Ok(report) => Progress::Done {
                    report: json!({"file": report.file, "bytes": report.bytes}),
                },
                Err(error) => Progress::Failed {
                    problem: Problem::new("backup_failed", error.to_string()),
                },
            }
        };
        let _nobody_waits = tx.blocking_send(end);
    });
    rx
}
