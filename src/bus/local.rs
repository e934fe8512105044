//! The event bus of one hub: a bounded queue per subscriber.
//!
//! Publishing never waits. A subscriber that does not keep up is cut off, its queue is freed at once, and it is told
//! why; nobody else notices. What was published is kept for a while: see [`Replay`].

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::Notify;

use crate::domain::{Event, Published};
use crate::metrics::{Counters, Page, counters};
use crate::ports::{Desktops, EventBus};

use super::replay::Replay;

/// Who subscribes: for counting, and for how an event weighs in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A connection of the raw WebSocket protocol: weighs what its frame weighs.
    Raw,
    /// The `/ui` namespace.
    Ui,
    /// The `/mobile` namespace.
    Mobile,
    /// A part of the daemon itself.
    Inside,
}

/// How much may wait for one subscriber. One event is always taken, however large.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Events and answers.
    pub frames: usize,
    /// Bytes of raw frames and answers.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            frames: 1024,
            bytes: 8 << 20,
        }
    }
}

/// What a subscriber gets, in order.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A fact.
    Event(Arc<Published>),
    /// What the subscriber itself put into its queue, so that it keeps its place among the events.
    Answer(Bytes),
}

/// Why a subscriber was cut off.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too slow: {frames} events ({bytes} bytes) were waiting")]
pub struct Cut {
    /// How many were waiting.
    pub frames: usize,
    /// How large they were.
    pub bytes: usize,
}

/// What waits for a subscriber now and then.
const USUAL: usize = 32;

/// The bus. Clones share it.
#[derive(Clone, Default)]
pub struct Local {
    shared: Arc<Shared>,
}

struct Shared {
    queues: RwLock<Vec<Arc<Queue>>>,
    replay: Replay,
    cut_off: AtomicU64,
    published: Counters,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            queues: RwLock::default(),
            replay: Replay::default(),
            cut_off: AtomicU64::default(),
            published: counters(
                "maestro_bus_events_total",
                "Events that were published, those of other hubs included",
                &["event"],
            ),
        }
    }
}

struct Queue {
    kind: Kind,
    bounds: Bounds,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    filter: Option<HashSet<String>>,
    waiting: VecDeque<(Delivery, usize)>,
    bytes: usize,
    cut: Option<Cut>,
}

impl Local {
    /// A bus nobody listens to yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hears every event published from now on.
    pub fn subscribe(&self, kind: Kind, bounds: Bounds) -> Subscription {
        let queue = Arc::new(Queue {
            kind,
            bounds,
            state: Mutex::default(),
            wake: Notify::new(),
        });
        self.shared.write().push(queue.clone());
        Subscription {
            shared: self.shared.clone(),
            queue,
        }
    }

    /// What was published lately.
    pub fn replay(&self) -> &Replay {
        &self.shared.replay
    }

    /// How many subscribers of this kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.shared
            .read()
            .iter()
            .filter(|queue| queue.kind == kind)
            .count()
    }

    /// How many subscribers of this kind hear everything: they have no filter, and keep up.
    pub fn unfiltered(&self, kind: Kind) -> usize {
        let queues = self.shared.read();
        let of_kind = queues.iter().filter(|queue| queue.kind == kind);
        let hears_all = |queue: &&Arc<Queue>| {
            let state = queue.state();
            state.filter.is_none() && state.cut.is_none()
        };
        of_kind.filter(hears_all).count()
    }

    /// How many events wait for the subscriber of this kind that lags most.
    pub fn longest_queue(&self, kind: Kind) -> usize {
        let queues = self.shared.read();
        let of_kind = queues.iter().filter(|queue| queue.kind == kind);
        of_kind
            .map(|queue| queue.state().waiting.len())
            .max()
            .unwrap_or_default()
    }

    /// Puts what it counts on `page`.
    pub fn show(&self, page: &Page) {
        page.meter(&self.shared.published);
    }

    /// How many subscribers were cut off since the start.
    pub fn cut_off(&self) -> u64 {
        self.shared.cut_off.load(Ordering::Relaxed)
    }
}

impl EventBus for Local {
    fn publish(&self, events: Vec<Arc<Published>>) {
        // First: who subscribes and then asks what happened before must find it in one of the two.
        self.shared.replay.record(&events);
        for event in &events {
            let name = match &event.event {
                Event::Remote(_) => "remote", // named by another hub: who knows what
                event => event.name(),
            };
            self.shared.published.with_label_values(&[name]).inc();
        }
        for queue in self.shared.read().iter() {
            if queue.offer(&events) {
                self.shared.cut_off.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A connection of the raw protocol says nothing of what it is; agents' watchers set a filter, the desktop does not.
impl Desktops for Local {
    fn connected(&self) -> bool {
        self.unfiltered(Kind::Raw) > 0
    }
}

// A poisoned lock is taken all the same: what it guards is valid after every single step.
impl Shared {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<Arc<Queue>>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Vec<Arc<Queue>>> {
        self.queues.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues what passes the filter; true if that cut the subscriber off.
    fn offer(&self, events: &[Arc<Published>]) -> bool {
        let mut state = self.state();
        if state.cut.is_some() {
            return false;
        }
        let before = state.waiting.len();
        for event in events {
            if self.understands(event) && state.passes(event) {
                state.push(Delivery::Event(event.clone()), self.weight(event), self.bounds);
            }
        }
        let (cut, news) = (state.cut.is_some(), state.waiting.len() != before);
        drop(state);
        if cut || news {
            self.wake.notify_one();
        }
        cut
    }

    /// The raw protocol is the contract's and knows nothing of a resync.
    fn understands(&self, event: &Published) -> bool {
        !(self.kind == Kind::Raw && matches!(event.event, Event::Resync { .. }))
    }

    fn weight(&self, event: &Published) -> usize {
        match self.kind {
            Kind::Raw => event.raw_frame().len(),
            // These render what they send, if they send it at all.
            Kind::Ui | Kind::Mobile | Kind::Inside => 0,
        }
    }
}

impl State {
    /// EVENTS.md section 3.
    fn passes(&self, event: &Published) -> bool {
        match (&self.filter, event.event.filter_id()) {
            (Some(filter), Some(id)) => filter.contains(id),
            (None, _) | (_, None) => true,
        }
    }

    fn push(&mut self, delivery: Delivery, weight: usize, bounds: Bounds) {
        if self.cut.is_some() {
            return;
        }
        let full = self.waiting.len() >= bounds.frames || self.bytes + weight > bounds.bytes;
        if full && !self.waiting.is_empty() {
            self.cut = Some(Cut {
                frames: self.waiting.len(),
                bytes: self.bytes,
            });
            self.waiting = VecDeque::new();
            self.bytes = 0;
            return;
        }
        self.bytes += weight;
        self.waiting.push_back((delivery, weight));
    }
}

/// One subscriber's end of its queue. Dropping it ends the subscription.
pub struct Subscription {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
}

impl Subscription {
    /// Moves what is waiting, at most `frames` of it, to `out`; waits until there is something. Cancel-safe.
    ///
    /// # Errors
    /// The subscriber was cut off; what was waiting is gone.
    pub async fn next(&self, out: &mut Vec<Delivery>, frames: usize) -> Result<(), Cut> {
        loop {
            if self.take(out, frames)? {
                return Ok(());
            }
            self.queue.wake.notified().await;
        }
    }

    /// As [`Subscription::next`] without waiting; false if there was nothing.
    ///
    /// # Errors
    /// The subscriber was cut off; what was waiting is gone.
    pub fn take(&self, out: &mut Vec<Delivery>, frames: usize) -> Result<bool, Cut> {
        let mut state = self.queue.state();
        if let Some(cut) = state.cut {
            return Err(cut);
        }
        let count = frames.min(state.waiting.len());
        let taken: usize = state.waiting.range(..count).map(|(_, weight)| weight).sum();
        state.bytes -= taken;
        out.extend(state.waiting.drain(..count).map(|(delivery, _)| delivery));
        if state.waiting.is_empty() && state.waiting.capacity() > USUAL {
            // It was behind for once. A crowd that was needs no room for that ever after.
            state.waiting = VecDeque::new();
        }
        Ok(count > 0)
    }

    /// Waits until the subscriber is cut off, whatever else is waiting.
    pub async fn cut(&self) -> Cut {
        loop {
            if let Some(cut) = self.queue.state().cut {
                return cut;
            }
            self.queue.wake.notified().await;
        }
    }

    /// Queues an answer to the subscriber itself, behind all events queued before.
    pub fn answer(&self, answer: Bytes) {
        let mut state = self.queue.state();
        self.push(&mut state, answer);
    }

    /// Replaces the filter (session ids; `None` lets everything pass) and queues the answer, in one step.
    pub fn set_filter(&self, filter: Option<HashSet<String>>, answer: Bytes) {
        let mut state = self.queue.state();
        state.filter = filter;
        self.push(&mut state, answer);
    }

    fn push(&self, state: &mut State, answer: Bytes) {
        let weight = answer.len();
        let before = state.cut;
        state.push(Delivery::Answer(answer), weight, self.queue.bounds);
        if before.is_none() && state.cut.is_some() {
            self.shared.cut_off.fetch_add(1, Ordering::Relaxed);
        }
        self.queue.wake.notify_one();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared
            .write()
            .retain(|queue| !Arc::ptr_eq(queue, &self.queue));
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{Id, Kind as IdKind, Millis, ModalClosed};

    use super::*;

    const ROOMY: Bounds = Bounds {
        frames: 100,
        bytes: 1 << 20,
    };

    fn id<K: IdKind>(text: &str) -> Id<K> {
        Id::parse(text).unwrap()
    }

    fn about(session: &str) -> Arc<Published> {
        let closed = ModalClosed {
            session_id: session.into(),
            modal_id: "m".into(),
            timestamp: Millis(1),
        };
        Arc::new(Published::new(
            1,
            Millis(1),
            Event::SessionModalClosed(closed.into()),
        ))
    }

    fn about_nobody() -> Arc<Published> {
        Arc::new(Published::new(1, Millis(1), Event::ProjectDeleted(id("p"))))
    }

    #[test]
    fn a_resync_reaches_everybody_but_those_of_the_raw_protocol() {
        let bus = Local::new();
        let kinds = [Kind::Raw, Kind::Ui, Kind::Mobile, Kind::Inside];
        let all = kinds.map(|kind| bus.subscribe(kind, ROOMY));
        let resync = Event::Resync { reason: "why" };
        bus.publish(vec![Arc::new(Published::new(1, Millis(1), resync))]);
        let heard = all.map(|subscription| subscription.take(&mut Vec::new(), 9).unwrap());
        assert_eq!(heard, [false, true, true, true]);
    }

    fn names(subscription: &Subscription) -> Vec<String> {
        let mut out = Vec::new();
        subscription.take(&mut out, usize::MAX).unwrap();
        out.iter()
            .map(|delivery| match delivery {
                Delivery::Event(event) => event.event.filter_id().unwrap_or("-").to_owned(),
                Delivery::Answer(text) => format!("answer {}", String::from_utf8_lossy(text)),
            })
            .collect()
    }

    #[test]
    fn a_filter_lets_its_sessions_and_facts_without_a_session_pass() {
        let bus = Local::new();
        let (all, one) = (bus.subscribe(Kind::Raw, ROOMY), bus.subscribe(Kind::Raw, ROOMY));
        bus.publish(vec![about("a")]);
        one.set_filter(Some(HashSet::from(["b".to_owned()])), "subscribed".into());
        bus.publish(vec![about("a"), about("b"), about_nobody()]);
        one.set_filter(None, "unsubscribed".into());
        bus.publish(vec![about("a")]);
        assert_eq!(names(&all), ["a", "a", "b", "-", "a"]);
        assert_eq!(
            names(&one),
            ["a", "answer subscribed", "b", "-", "answer unsubscribed", "a"]
        );
        one.set_filter(Some(HashSet::new()), "subscribed".into());
        assert_eq!((bus.unfiltered(Kind::Raw), bus.unfiltered(Kind::Ui)), (1, 0));
    }

    #[test]
    fn a_desktop_is_who_hears_the_raw_events_of_every_session() {
        let bus = Local::new();
        assert!(!bus.connected());
        let _inside = bus.subscribe(Kind::Inside, ROOMY);
        let watcher = bus.subscribe(Kind::Raw, ROOMY);
        assert!(bus.connected());
        watcher.set_filter(Some(HashSet::new()), "subscribed".into());
        assert!(!bus.connected());
        let narrow = Bounds { frames: 1, bytes: 1 };
        let lost = bus.subscribe(Kind::Raw, narrow);
        assert!(bus.connected());
        bus.publish(vec![about("a"), about("a")]);
        assert!(
            lost.take(&mut Vec::new(), 1).is_err() && !bus.connected(),
            "who was cut off hears nothing"
        );
    }

    #[test]
    fn whoever_lags_is_cut_off_and_told_so_and_nobody_else_is() {
        let bus = Local::new();
        let few = Bounds {
            frames: 3,
            bytes: 1 << 20,
        };
        let (slow, other) = (bus.subscribe(Kind::Raw, few), bus.subscribe(Kind::Raw, ROOMY));
        for _ in 0..10 {
            bus.publish(vec![about("a")]);
        }
        let cut = slow.take(&mut Vec::new(), 9).unwrap_err();
        assert_eq!((cut.frames, bus.cut_off()), (3, 1));
        assert_eq!(
            slow.queue.state().waiting.capacity(),
            0,
            "the queue is freed at once"
        );
        assert_eq!(names(&other).len(), 10);
    }

    #[test]
    fn who_was_behind_and_has_caught_up_keeps_no_room_for_it() {
        let bus = Local::new();
        let slow = bus.subscribe(Kind::Raw, ROOMY);
        for _ in 0..100 {
            bus.publish(vec![about("a")]);
        }
        assert_eq!(names(&slow).len(), 100);
        assert_eq!(slow.queue.state().waiting.capacity(), 0);
        bus.publish(vec![about("a")]);
        assert_eq!(names(&slow).len(), 1);
        assert_ne!(slow.queue.state().waiting.capacity(), 0, "the usual room stays");
    }

    #[test]
    fn bytes_are_bounded_but_one_frame_always_fits() {
        let bus = Local::new();
        let narrow = Bounds { frames: 9, bytes: 10 };
        let slow = bus.subscribe(Kind::Raw, narrow);
        bus.publish(vec![about("a")]);
        assert_eq!(names(&slow), ["a"]);
        bus.publish(vec![about("a"), about("a")]);
        assert_eq!(slow.take(&mut Vec::new(), 9).unwrap_err().frames, 1);
    }

    #[test]
    fn answers_count_too_so_a_flood_of_pings_ends_like_any_other() {
        let bus = Local::new();
        let few = Bounds {
            frames: 3,
            bytes: 1 << 20,
        };
        let slow = bus.subscribe(Kind::Raw, few);
        for _ in 0..4 {
            slow.answer("pong".into());
        }
        assert!(slow.take(&mut Vec::new(), 9).is_err());
        assert_eq!(bus.cut_off(), 1);
    }

    #[test]
    fn nothing_is_rendered_for_those_who_render_themselves() {
        let bus = Local::new();
        let _inside = bus.subscribe(Kind::Inside, Bounds { frames: 1, bytes: 0 });
        bus.publish(vec![about("a")]);
        assert_eq!((bus.count(Kind::Inside), bus.count(Kind::Raw)), (1, 0));
    }

    #[tokio::test]
    async fn a_waiting_subscriber_is_woken_and_a_dropped_one_is_forgotten() {
        let bus = Local::new();
        let subscription = bus.subscribe(Kind::Raw, ROOMY);
        let mut out = Vec::new();
        let (taken, ()) = tokio::join!(subscription.next(&mut out, 9), async {
            tokio::task::yield_now().await;
            bus.publish(vec![about("a")]);
        });
        assert_eq!((taken, out.len()), (Ok(()), 1));
        drop(subscription);
        assert_eq!(bus.count(Kind::Raw), 0);
    }
}
