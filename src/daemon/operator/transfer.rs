//! Import, export, backup: work that takes a while, told step by step.

use std::{path::PathBuf, sync::Arc};

use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::control::protocol::{Problem, Progress};
use crate::ports::{MailArchive, Store};
use crate::service::logging::Chain;
use crate::store::{
    Embedded,
    layout::{self, LayoutError},
};

/// Steps on their way to one operator.
const QUEUE: usize = 16;

/// Where entities and mail are carried in and out.
#[derive(Clone)]
pub struct Stock {
    /// Entities.
    pub store: Embedded,
    /// Mail.
    pub mail: Arc<dyn MailArchive>,
}

/// Reads a JSON data directory into the store.
pub fn import(stock: Stock, dir: PathBuf) -> mpsc::Receiver<Progress> {
    let (tx, rx) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut told = teller(&tx);
        let end = layout::import(&stock.store, &*stock.mail, &dir, &mut told).await;
        let _nobody_waits = tx.send(finish(end)).await;
    });
    rx
}

/// Writes the store as a JSON data directory.
pub fn export(stock: Stock, dir: PathBuf) -> mpsc::Receiver<Progress> {
    let (tx, rx) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut told = teller(&tx);
        let end = layout::export(stock.store.view(), &*stock.mail, &dir, &mut told).await;
        let _nobody_waits = tx.send(finish(end)).await;
    });
    rx
}

/// Tells how far it is. A step that finds the queue full is left out, the next one says more anyway: the work does
/// not wait for a reader, and goes on if there is none.
fn teller(tx: &mpsc::Sender<Progress>) -> impl FnMut(&'static str, u64, u64) + Send + use<> {
    let tx = tx.clone();
    move |what, done, total| {
        let _unread = tx.try_send(Progress::Working {
            what: what.into(),
            done,
            total: Some(total),
        });
    }
}

fn finish(end: Result<impl Serialize, LayoutError>) -> Progress {
    let report = match end {
        Ok(report) => serde_json::to_value(report).map_err(|error| error.to_string()),
        Err(error) => Err(Chain(&error).to_string()),
    };
    match report {
        Ok(report) => Progress::Done { report },
        Err(reason) => Progress::Failed {
            problem: Problem::new("transfer_failed", reason).remedy(
                "what was carried until then stays; mend the cause and do it again, it goes on from there",
            ),
        },
    }
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
            let mut told = teller(&tx);
            match database.backup(&file, |done, total| told("copying the store", done, total)) {
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
