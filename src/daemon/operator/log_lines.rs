//! Lines of a log: the newest, then what follows.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    time::Duration,
};

use tokio::sync::{broadcast::error::RecvError, mpsc};
use tokio_util::sync::CancellationToken;

use crate::control::Lines;
use crate::service::recent::Recent;
use crate::supervisor::Output;

/// How often a child's file is looked at.
const PACE: Duration = Duration::from_millis(200);
/// At most so much of a child's file is read for its newest lines, in bytes.
const TAIL: u64 = 1 << 20;
/// Lines on their way to one operator.
const QUEUE: usize = 64;

/// Our own log.
pub fn ours(recent: &Recent, lines: usize, follow: bool, stop: CancellationToken) -> Lines {
    let (tx, rx) = mpsc::channel(QUEUE);
    let (newest, mut live) = recent.read(lines);
    tokio::spawn(async move {
        for line in newest {
            if tx.send(line.to_string()).await.is_err() {
                return;
            }
        }
        if !follow {
            return;
        }
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => return,
                () = tx.closed() => return,
                next = live.recv() => next,
            };
            let line = match next {
                Ok(line) => line.to_string(),
                Err(RecvError::Lagged(missed)) => format!("... {missed} lines went by too fast"),
                Err(RecvError::Closed) => return,
            };
            if tx.send(line).await.is_err() {
                return;
            }
        }
    });
    rx
}

/// A child's output.
pub fn of_child(output: &Output, lines: usize, follow: bool, stop: CancellationToken) -> Lines {
    let (tx, rx) = mpsc::channel(QUEUE);
    let output = output.clone();
    tokio::spawn(async move {
        let mut follower = output.follow(0);
        for line in newest(&output, lines) {
            if tx.send(line).await.is_err() {
                return;
            }
        }
        if !follow {
            return;
        }
        loop {
            let news = match follower.news() {
                Ok(news) => news,
                Err(error) => {
                    let _gone = tx.send(format!("... the log cannot be read: {error}")).await;
                    return;
                }
            };
            if news.skipped > 0
                && tx
                    .send(format!("... {} bytes went by too fast", news.skipped))
                    .await
                    .is_err()
            {
                return;
            }
            for line in news.lines {
                if tx.send(line).await.is_err() {
                    return;
                }
            }
            if !news.more {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tx.closed() => return,
                    () = tokio::time::sleep(PACE) => {}
                }
            }
        }
    });
    rx
}

fn newest(output: &Output, most: usize) -> Vec<String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(output.path())?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut text = Vec::new();
        file.take(TAIL).read_to_end(&mut text)?;
        Ok(text)
    };
    // No file yet: the child has not said anything.
    let text = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(most)..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}
