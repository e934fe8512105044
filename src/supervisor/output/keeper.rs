//! The task that keeps a child's output within its limits and copies some of it to our own log.
//!
//! It looks now and then, so the limit is not a hard one: what a child writes between two looks comes on top.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Follower, Output, collapse::Collapser};
use crate::supervisor::clock;

/// How soon a look follows the last: at once while much is written, rarely while nothing is.
const BUSY: Duration = Duration::from_millis(10);
const CALM: Duration = Duration::from_millis(250);
const IDLE: Duration = Duration::from_secs(1);

/// Runs until told to stop.
pub async fn keep(name: String, output: Output, stop: CancellationToken) {
    let mut collapser = Collapser::new(clock::boot());
    let mut follower = output.follow(0);
    let mut wakeup = Wakeup::new(&output);
    let mut before = output.len();
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            () = wakeup.wait() => {}
        }
        let written = output.len();
        wakeup.adapt(written.abs_diff(before), output.limits.file);
        before = written;
        if written >= output.limits.file {
            rotate(&name, &output).await;
            before = output.len();
        }
        if output.limits.copy_to_log {
            copy(&name, &mut follower, &mut collapser);
        }
    }
}

async fn rotate(name: &str, output: &Output) {
    let output = output.clone();
    let done = tokio::task::spawn_blocking(move || output.rotate_if_full()).await;
    match done {
        Ok(Ok(_)) => {}
        Ok(Err(err)) => warn!(child = name, %err, "its output could not be rotated"),
        Err(err) => warn!(child = name, %err, "rotating its output panicked"),
    }
}

fn copy(name: &str, follower: &mut Follower, collapser: &mut Collapser) {
    let Ok(news) = follower.news() else { return };
    let now = clock::boot();
    let mut said: Vec<String> = news
        .lines
        .iter()
        .flat_map(|line| collapser.line(line, now))
        .collect();
    if news.lines.is_empty() {
        said.extend(collapser.flush(now));
    }
    for line in said {
        info!(target: "maestro::child", child = name, "{line}");
    }
}

/// When to look again.
struct Wakeup {
    pause: Duration,
}

impl Wakeup {
    fn new(_output: &Output) -> Wakeup {
        Wakeup { pause: CALM }
    }

    async fn wait(&self) {
        tokio::time::sleep(self.pause).await;
    }

    fn adapt(&mut self, grown: u64, limit: u64) {
        self.pause = match grown {
            0 => (self.pause * 2).clamp(CALM, IDLE),
            _ if grown > limit / 64 => BUSY,
            _ => CALM,
        };
    }
}
