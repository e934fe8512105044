//! Hubs that share one Redis tell each other what happens: each event is published once, and every hub passes what it
//! hears on to its own clients.
//!
//! Our own clients come first and never wait for Redis. What could not be published stays in a bounded queue
//! ([`Outbox`]) until Redis is back. What is heard goes through the store like everything else, so that it has its
//! number and its place among our own events, in the log of what was missed too. What was missed itself cannot be had
//! again: then the event [`Event::Resync`] goes through the store. Socket.IO clients are told `state:reset` and ask
//! for a snapshot; whoever asks [`Replay`](super::Replay) for what came after an event before it is told to begin anew.

mod envelope;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod ledger;
mod outbox;

pub use outbox::Outbox;

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::domain::{Event, Remote};
use crate::ports::{Store, Tx};
use crate::redis_link::{Heard, LinkError, RedisLink, Topics};
use crate::shutdown::TaskGroup;

use ledger::{Ledger, Verdict};

/// Before an event that could not be published is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest message that is listened to, in bytes.
const LONGEST: usize = 16 << 20;

/// What an exchange works with.
pub struct Parties {
    /// The way to Redis.
    pub link: RedisLink,
    /// What our channels begin with.
    pub prefix: String,
    /// Where our own events come from.
    pub outbox: Outbox,
    /// Where others' events go.
    pub store: Arc<dyn Store>,
    /// Our events are numbered within it.
    pub epoch: Arc<str>,
    /// True if other hubs are to be expected there: while it was away they may have said something. Otherwise that is
    /// assumed only after somebody was heard once.
    pub shared: bool,
}

/// The exchange with other hubs.
pub struct Exchange {
    resyncs: watch::Receiver<(u64, &'static str)>,
}

impl Exchange {
    /// Publishes and listens until `tasks` is stopped.
    pub fn start(parties: Parties, tasks: &TaskGroup) -> Self {
        let Parties {
            link,
            prefix,
            outbox,
            store,
            epoch,
            shared,
        } = parties;
        // Unique among the hubs of one Redis, and another one after each start, as the epoch is.
        let source: Arc<str> = format!("hub-{epoch}").into();
        let channels: Arc<str> = format!("{prefix}events:").into();
        let (missed, resyncs) = watch::channel((0, ""));
        outbox.open();
        let teller = Teller {
            link: link.clone(),
            channels: channels.clone(),
            outbox,
            source: source.clone(),
            epoch,
        };
        let listener = Listener {
            link,
            channels,
            own: envelope::beginning(&source),
            ledger: Ledger::new(source.to_string()),
            store: store.clone(),
            missed,
            shared,
        };
        let crier = Crier {
            store,
            missed: resyncs.clone(),
        };
        tasks.spawn("events to other hubs", |stop| teller.run(stop));
        tasks.spawn("events of other hubs", |stop| listener.run(stop));
        tasks.spawn("missed events", |stop| crier.run(stop));
        Self { resyncs }
    }

    /// Changes whenever events of other hubs were missed: how often that was, and why it was the last time.
    pub fn resyncs(&self) -> watch::Receiver<(u64, &'static str)> {
        self.resyncs.clone()
    }
}

struct Teller {
    link: RedisLink,
    channels: Arc<str>,
    outbox: Outbox,
    source: Arc<str>,
    epoch: Arc<str>,
}

impl Teller {
    async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.tell() => {}
        }
    }

    async fn tell(&self) {
        let mut state = self.link.watch();
        loop {
            if state.wait_for(|state| state.up().is_some()).await.is_err() {
                return; // the link's keeper is gone: we stop
            }
            // Taken when it can be sent, not before: it may have been dropped for newer ones.
            let (event, before) = self.outbox.next().await;
            let Some(text) = envelope::write(&event, before, &self.source, &self.epoch) else {
                self.outbox.done(event.seq);
                continue;
            };
            let channel = format!("{}{}", self.channels, event.event.name());
            match self.link.publish(&channel, &text).await {
                Ok(_) => self.outbox.done(event.seq),
                // Would fail for ever.
                Err(error @ LinkError::Command(_)) => {
                    warn!(%error, event = event.event.name(), "an event was not told to other hubs");
                    self.outbox.done(event.seq);
                }
                // It may have been heard: then it is a repeat, which is dropped there.
                Err(error) => {
                    debug!(%error, "telling other hubs is tried again");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

struct Listener {
    link: RedisLink,
    channels: Arc<str>,
    ledger: Ledger,
    /// What our own events begin with.
    own: Vec<u8>,
    store: Arc<dyn Store>,
    /// How often something was missed, and why last.
    missed: watch::Sender<(u64, &'static str)>,
    shared: bool,
}

impl Listener {
    async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.listen() => {}
        }
    }

    async fn listen(&mut self) {
        let mut subscription = self.link.subscribe(Topics {
            channels: Vec::new(),
            patterns: vec![format!("{}*", escaped(&self.channels))],
        });
        let mut listened = false;
        while let Some(heard) = subscription.next().await {
            match heard {
                Heard::Message { channel, payload } => self.hear(&channel, &payload).await,
                Heard::Listening if listened && self.shared => self.resync("redis was away"),
                Heard::Listening => listened = true,
                Heard::Dropped => self.resync("we were too slow"),
                Heard::Deaf => {}
            }
        }
    }

    async fn hear(&mut self, channel: &str, payload: &[u8]) {
        if payload.starts_with(&self.own) {
            return; // redis tells us everything we tell it
        }
        let name = channel.strip_prefix(&*self.channels).unwrap_or(channel);
        if payload.len() > LONGEST {
            return self.resync("an event was too long");
        }
        let Some(envelope) = envelope::read(payload) else {
            debug!(channel, "a message that is no event");
            return;
        };
        match self.ledger.judge(&envelope) {
            Verdict::Drop => return,
            Verdict::AfterGap => self.resync("events were missing"),
            Verdict::New => {}
        }
        match envelope.into_remote(name) {
            Some(remote) => {
                self.shared = true;
                self.pass_on(remote).await;
            }
            None => debug!(channel, "an event without a name"),
        }
    }

    async fn pass_on(&self, remote: Remote) {
        let event = Event::Remote(Arc::new(remote));
        let rule = Box::new(move |tx: &mut dyn Tx| {
            tx.emit(event);
            Ok(())
        });
        if let Err(error) = self.store.commit(rule).await {
            debug!(%error, "an event of another hub was not passed on");
            self.resync("we were too busy");
        }
    }

    fn resync(&self, why: &'static str) {
        info!(why, "events of other hubs were missed");
        self.missed.send_modify(|(count, reason)| {
            *count += 1;
            *reason = why;
        });
    }
}

/// Tells our own clients that something was missed: once for what was missed while the last time was being told.
struct Crier {
    store: Arc<dyn Store>,
    missed: watch::Receiver<(u64, &'static str)>,
}

impl Crier {
    async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.cry() => {}
        }
    }

    async fn cry(&mut self) {
        while self.missed.changed().await.is_ok() {
            let (_, reason) = *self.missed.borrow_and_update();
            loop {
                let rule = Box::new(move |tx: &mut dyn Tx| {
                    tx.emit(Event::Resync { reason });
                    Ok(())
                });
                match self.store.commit(rule).await {
                    Ok(()) => break,
                    Err(error) => debug!(%error, "that something was missed is told again"),
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// A prefix as part of a pattern.
fn escaped(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len());
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
