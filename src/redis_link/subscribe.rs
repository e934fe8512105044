//! Hearing what is published, across losses of the connection; whoever listens is told when it was deaf.

use std::sync::Arc;

use futures_util::StreamExt;
use redis::{Msg, RedisResult, aio::PubSub};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use super::{LinkState, Shared, keeper::Backoff};

/// How many messages may wait for a listener. One more is dropped, and said so.
const QUEUE: usize = 4096;

/// What to hear.
#[derive(Clone, Debug, Default)]
pub struct Topics {
    /// Channels by name.
    pub channels: Vec<String>,
    /// Channels by glob pattern.
    pub patterns: Vec<String>,
}

/// What a subscription hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// From here on it hears everything. What was published before, since the last message, is lost.
    Listening,
    /// A message.
    Message {
        /// Where it was published.
        channel: String,
        /// What.
        payload: Vec<u8>,
    },
    /// The connection is gone; nothing is heard until `Listening` comes again.
    Deaf,
    /// The listener was too slow; messages were dropped here.
    Dropped,
}

/// A subscription; it ends when it is dropped.
pub struct Subscription {
    heard: mpsc::Receiver<Heard>,
    _end: DropGuard,
}

impl Subscription {
    pub(super) fn open(shared: Arc<Shared>, state: watch::Receiver<LinkState>, topics: Topics) -> Self {
        let (tell, heard) = mpsc::channel(QUEUE);
        let end = CancellationToken::new();
        let ear = Ear {
            shared: shared.clone(),
            state,
            topics,
            tell,
            dropped: false,
        };
        let ended = end.clone();
        shared.tasks.spawn("redis subscription", |stop| async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = ended.cancelled() => {}
                () = ear.listen() => {}
            }
        });
        Self {
            heard,
            _end: end.drop_guard(),
        }
    }

    /// What is heard next; `None` when the daemon stops.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }
}

struct Ear {
    shared: Arc<Shared>,
    state: watch::Receiver<LinkState>,
    topics: Topics,
    tell: mpsc::Sender<Heard>,
    dropped: bool,
}

impl Ear {
    async fn listen(mut self) {
        let mut backoff = Backoff::new(&self.shared.settings);
        loop {
            let Some(times) = self.until_up().await else {
                return; // the keeper is gone
            };
            match self.connect().await {
                Some(line) => {
                    backoff.reset();
                    self.say(Heard::Listening).await;
                    self.hear(line, times).await;
                    self.say(Heard::Deaf).await;
                    // The keeper's connection may not have noticed yet.
                    self.shared.doubt.notify_one();
                }
                None => sleep(backoff.next()).await,
            }
        }
    }

    async fn until_up(&mut self) -> Option<u64> {
        let up = self.state.wait_for(|state| state.up().is_some()).await.ok()?;
        up.up().map(|up| up.times)
    }

    async fn connect(&self) -> Option<PubSub> {
        let subscribed = async {
            let mut line = self.shared.settings.client.get_async_pubsub().await?;
            for channel in &self.topics.channels {
                line.subscribe(channel).await?;
            }
            for pattern in &self.topics.patterns {
                line.psubscribe(pattern).await?;
            }
            RedisResult::Ok(line)
        };
        match timeout(self.shared.settings.timings.connect, subscribed).await {
            Ok(Ok(line)) => Some(line),
            Ok(Err(error)) => {
                debug!(%error, "cannot subscribe");
                None
            }
            Err(_) => None,
        }
    }

    /// Passes on what comes, until the connection ends or the link goes down: a server that is hung closes nothing.
    async fn hear(&mut self, line: PubSub, times: u64) {
        let mut messages = line.into_on_message();
        let mut state = self.state.clone();
        let down = async move {
            let gone = |state: &LinkState| state.up().map(|up| up.times) != Some(times);
            let _ = state.wait_for(gone).await;
        };
        tokio::pin!(down);
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.pass(&message),
                    None => return,
                },
                () = &mut down => return,
            }
        }
    }

    /// Never waits for the listener: a server drops clients that do not read.
    fn pass(&mut self, message: &Msg) {
        if self.dropped && self.tell.try_send(Heard::Dropped).is_err() {
            return;
        }
        let heard = Heard::Message {
            channel: message.get_channel_name().to_owned(),
            payload: message.get_payload_bytes().to_vec(),
        };
        self.dropped = self.tell.try_send(heard).is_err();
    }

    async fn say(&mut self, heard: Heard) {
        let _ = self.tell.send(heard).await; // nobody listens any more: the task is about to end
    }
}
