//! What is still to be told to other hubs: a bounded queue. When it is full the oldest goes, and is counted; the next
//! event that is published says which one went before it, so whoever listens sees that something is missing.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::domain::{Event, Published};
use crate::ports::EventBus;

/// Most events that wait.
const MOST: usize = 4096;
/// Most bytes of payload that wait, about; one event always fits.
const BYTES: usize = 16 << 20;
/// What a small record weighs.
const SMALL: usize = 2048;

/// The queue. Clones share it. Nothing is kept until somebody takes from it.
#[derive(Clone, Default)]
pub struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    open: bool,
    waiting: VecDeque<Arc<Published>>,
    bytes: usize,
    newest: u64,
    /// The number before each waiting one's is the number that was queued before it.
    before: VecDeque<u64>,
    dropped: u64,
}

impl Outbox {
    /// A bus that delivers to `bus`, and then queues what is our own news.
    pub fn behind(&self, bus: Arc<dyn EventBus>) -> Arc<dyn EventBus> {
        Arc::new(TellingBus {
            bus,
            outbox: self.clone(),
        })
    }

    /// How many events were dropped because nobody took them in time.
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// How many events wait to be told.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Keeps events from now on.
    pub(super) fn open(&self) {
        self.state().open = true;
    }

    /// The oldest event and the number of the one queued before it. It stays until [`Outbox::done`]. Waits for one.
    pub(super) async fn next(&self) -> (Arc<Published>, u64) {
        loop {
            {
                let state = self.state();
                if let (Some(event), Some(before)) = (state.waiting.front(), state.before.front()) {
                    return (event.clone(), *before);
                }
            }
            self.shared.wake.notified().await;
        }
    }

    /// Forgets the event with this number, which was told.
    pub(super) fn done(&self, seq: u64) {
        let mut state = self.state();
        if state.waiting.front().is_some_and(|event| event.seq == seq) {
            state.pop();
        }
    }

    fn queue(&self, events: &[Arc<Published>]) {
        let mut state = self.state();
        if !state.open {
            return;
        }
        for event in events {
            state.push(event);
        }
        drop(state);
        self.shared.wake.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, event: &Arc<Published>) {
        if matches!(event.event, Event::Remote(_) | Event::Resync { .. }) {
            return; // heard from others, or not: that is no news of ours
        }
        self.bytes += weight(&event.event);
        self.waiting.push_back(event.clone());
        self.before.push_back(self.newest);
        self.newest = event.seq;
        while self.waiting.len() > 1 && (self.waiting.len() > MOST || self.bytes > BYTES) {
            self.pop();
            self.dropped += 1;
        }
    }

    fn pop(&mut self) {
        if let Some(event) = self.waiting.pop_front() {
            self.bytes -= weight(&event.event);
            self.before.pop_front();
        }
    }
}

/// Never less than what is rendered of a session, and the same each time.
fn weight(event: &Event) -> usize {
    let large = match event {
        Event::SessionModal { modal, .. } => modal.html.len(),
        _ => 0,
    };
    let session = event.session_told().map_or(0, |session| {
        session.events.bytes() + session.timeline.bytes() + session.docs.bytes()
    });
    SMALL + large + session
}

struct TellingBus {
    bus: Arc<dyn EventBus>,
    outbox: Outbox,
}

impl EventBus for TellingBus {
    fn publish(&self, events: Vec<Arc<Published>>) {
        // Our own clients first and always; then the others, if there are any.
        self.bus.publish(events.clone());
        self.outbox.queue(&events);
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{Id, Millis, Remote};

    use super::super::super::{Bounds, Kind, Local};
    use super::*;

    fn event(seq: u64) -> Arc<Published> {
        let gone = Event::ProjectDeleted(Id::parse("p").unwrap());
        Arc::new(Published::new(seq, Millis(1), gone))
    }

    fn remote(seq: u64) -> Arc<Published> {
        let remote = Remote {
            name: "x".into(),
            data: "1".into(),
            session: None,
            project: None,
        };
        Arc::new(Published::new(seq, Millis(1), Event::Remote(remote.into())))
    }

    #[tokio::test]
    async fn everything_is_delivered_here_and_only_our_own_is_told_to_others() {
        let (local, outbox) = (Local::new(), Outbox::default());
        let heard = local.subscribe(Kind::Inside, Bounds::default());
        let bus = outbox.behind(Arc::new(local));
        bus.publish(vec![event(1)]); // nobody takes from it yet: nothing is kept
        outbox.open();
        bus.publish(vec![event(2), remote(3), event(4)]);
        let mut out = Vec::new();
        heard.take(&mut out, 9).unwrap();
        assert_eq!(out.len(), 4);
        let (first, before) = outbox.next().await;
        assert_eq!((first.seq, before), (2, 0));
        outbox.done(2);
        let (second, before) = outbox.next().await;
        assert_eq!((second.seq, before), (4, 2));
    }

    #[tokio::test]
    async fn when_it_is_full_the_oldest_goes_and_the_next_one_tells_that_one_is_missing() {
        let outbox = Outbox::default();
        outbox.open();
        let all: Vec<_> = (1..=MOST as u64 + 10).map(event).collect();
        outbox.queue(&all);
        let (oldest, before) = outbox.next().await;
        assert_eq!((oldest.seq, before, outbox.dropped()), (11, 10, 10));
        outbox.done(5); // told too late: it was dropped meanwhile
        assert_eq!(outbox.next().await.0.seq, 11);
    }
}
