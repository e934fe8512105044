//! What holds whatever comes over the control socket, in both directions: the daemon answers or hangs up and never
//! fails itself; `maestroctl` gets what was meant or a reason, and never waits for more than there is.
//!
//! The input of [`requests`] is what a client sends; that of [`answers`] is a line that says what was asked
//! (`status`, `lines`, `steps`, `act`), then what a daemon sends.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a check fails

use std::{path::PathBuf, sync::Arc};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    runtime::{Builder, Runtime},
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use super::{
    Lines, Operations, Pending,
    client::{Client, ClientError},
    protocol::{ChildAct, LogSource, Problem, Progress, Status},
    server::{MOST_LINES, connection, router},
};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
}

pub(crate) fn requests(bytes: &[u8]) {
    let answer = RUNTIME.with(|runtime| runtime.block_on(ask(bytes)));
    if !answer.is_empty() {
        let head = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .or(head.strip_prefix("HTTP/1.0 "))
            .unwrap_or_default();
        assert!(matches!(status.parse(), Ok(200..=499)), "answered {head:?}");
    }
}

async fn ask(bytes: &[u8]) -> Vec<u8> {
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    let stop = CancellationToken::new();
    let daemon = connection(far, router(Arc::new(Daemon), stop.clone()), stop);
    let (mut from, mut to) = near.into_split();
    let asking = async move {
        // Refused when the daemon has hung up already.
        let _ = to.write_all(bytes).await;
        let _ = to.shutdown().await;
    };
    let mut answer = Vec::new();
    let reading = async {
        let _ = from.read_to_end(&mut answer).await;
    };
    tokio::join!(daemon, asking, reading);
    answer
}

pub(crate) fn answers(bytes: &[u8]) {
    let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (asked, said) = (&bytes[..end], &bytes[bytes.len().min(end + 1)..]);
    let result = RUNTIME.with(|runtime| runtime.block_on(hear(asked, said)));
    match result {
        Ok(lines) => assert!(lines <= said.len() + 1, "more lines than bytes"),
        Err(ClientError::Silent | ClientError::NotRunning | ClientError::NoPermission) => {
            panic!("it was there and said something")
        }
        Err(ClientError::Refused(_) | ClientError::Broken(_)) => {}
    }
}

/// How many lines were heard.
async fn hear(asked: &[u8], said: &[u8]) -> Result<usize, ClientError> {
    let (near, mut far) = UnixStream::pair().expect("a pair of sockets");
    let daemon = async move {
        let mut request = [0; 4096];
        let _ = far.read(&mut request).await;
        let _ = far.write_all(said).await;
        let _ = far.shutdown().await;
        // Until the client hangs up: what is unread at the end would reset the connection.
        while matches!(far.read(&mut request).await, Ok(1..)) {}
    };
    let client = async move {
        let mut client = Client::over(near).await?;
        let mut heard = 0;
        match asked {
            b"lines" => {
                let mut lines = client.lines("/v1/logs/hub").await?;
                while let Some(line) = lines.next().await? {
                    assert!(!line.contains('\n'), "two lines at once");
                    heard += 1;
                }
                assert!(lines.next().await?.is_none(), "it had ended");
            }
            b"steps" => {
                let mut steps = client.long("import", &PathBuf::from("/x")).await?;
                while steps.step().await?.is_some() {
                    heard += 1;
                }
            }
            b"act" => client.act("redis", ChildAct::Restart).await?,
            _ => {
                let status = client.status().await?;
                let text = serde_json::to_string(&status).expect("a status is JSON");
                // What an older `maestroctl` does not know it leaves out; the rest it hands on as it was.
                assert_eq!(serde_json::from_str::<Status>(&text).ok(), Some(status));
            }
        }
        Ok(heard)
    };
    tokio::join!(client, daemon).0
}

/// A daemon that has little to say and says it at once.
struct Daemon;

fn lines(of: &[&str]) -> Lines {
    let (tx, rx) = mpsc::channel(of.len().max(1));
    for line in of {
        tx.try_send((*line).to_owned()).expect("there is room");
    }
    rx
}

fn done(path: &std::path::Path) -> mpsc::Receiver<Progress> {
    let (tx, rx) = mpsc::channel(1);
    let report = json!({"path": path});
    tx.try_send(Progress::Done { report }).expect("there is room");
    rx
}

impl Operations for Daemon {
    fn status(&self) -> Pending<'_, Status> {
        Box::pin(async { Status::default() })
    }
    fn changes(&self) -> watch::Receiver<u64> {
        watch::channel(0).1 // nothing will ever change: a watch ends after the first look
    }
    fn config(&self) -> serde_json::Value {
        json!({})
    }
    fn agents(&self) -> Pending<'_, serde_json::Value> {
        Box::pin(async { json!([]) })
    }
    fn act(&self, child: String, _: ChildAct) -> Pending<'_, Result<(), Problem>> {
        Box::pin(async move {
            match child.as_str() {
                "redis" => Ok(()),
                _ => Err(Problem::new("unknown_child", child)),
            }
        })
    }
    fn events(&self) -> Lines {
        lines(&["{}"])
    }
    fn logs(&self, source: LogSource, most: usize, _: bool) -> Result<Lines, Problem> {
        assert!(most <= MOST_LINES, "{most} lines at once");
        match source {
            LogSource::Hub => Ok(lines(&["one", "two"])),
            LogSource::Child(child) => Err(Problem::new("unknown_child", child)),
        }
    }
    fn reload(&self) -> Pending<'_, Result<serde_json::Value, Problem>> {
        Box::pin(async { Err(Problem::new("bad_config", "line 3")) })
    }
    fn stop(&self) {}
    fn import(&self, dir: PathBuf) -> mpsc::Receiver<Progress> {
        done(&dir)
    }
    fn export(&self, dir: PathBuf) -> mpsc::Receiver<Progress> {
        done(&dir)
    }
    fn backup(&self, file: PathBuf) -> mpsc::Receiver<Progress> {
        done(&file)
    }
}
