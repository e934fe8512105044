//! The histories of sessions: in the file, and some of them in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;

use crate::domain::{Log, Rendered, Session, SessionHead};

use super::{index::Place, rows};

/// Counted for every cached session beside its text.
const OVERHEAD: usize = 512;
/// Uses of one session within this time are one use: a list of thousands, asked for again and again, must not move each
/// of them to the front each time.
const SAME_USE: Duration = Duration::from_secs(1);

/// The three histories of a session.
#[derive(Clone, Default)]
pub(super) struct Logs {
    pub(super) events: Log,
    pub(super) timeline: Log,
    pub(super) docs: Log,
}

impl Logs {
    pub(super) fn of(session: &Session) -> Self {
        Self {
            events: session.events.clone(),
            timeline: session.timeline.clone(),
            docs: session.docs.clone(),
        }
    }

    pub(super) fn with(self, head: Arc<Rendered<SessionHead>>) -> Session {
        Session {
            head,
            events: self.events,
            timeline: self.timeline,
            docs: self.docs,
        }
    }

    /// In the order of [`rows::HISTORIES`].
    pub(super) fn each(&self) -> [&Log; 3] {
        [&self.events, &self.timeline, &self.docs]
    }

    pub(super) fn each_mut(&mut self) -> [&mut Log; 3] {
        [&mut self.events, &mut self.timeline, &mut self.docs]
    }

    pub(super) fn counts(&self) -> [u32; 3] {
        self.each().map(|log| log.len() as u32)
    }

    /// How many of their values are stored.
    pub(super) fn saved(&self) -> [u32; 3] {
        self.each().map(|log| (log.len() - log.unsaved().len()) as u32)
    }

    fn bytes(&self) -> usize {
        OVERHEAD + self.each().iter().map(|log| log.bytes()).sum::<usize>()
    }
}

/// The histories of one session at one instant: where they lie, how long they are, and perhaps their text.
///
/// A line of rows only grows, so its first `counts` rows stay that instant until the whole line goes.
pub(super) struct Histories {
    stamp: u64,
    pub(super) line: Place,
    pub(super) counts: [u32; 3],
    text: Mutex<Option<Logs>>,
    /// Until when a use is no news, in milliseconds of the cache's life; 0 while the cache does not count it.
    counted_until: AtomicU64,
}

impl Histories {
    /// `text`, if given, holds exactly `counts` values, all stored.
    pub(super) fn new(line: Place, counts: [u32; 3], text: Option<Logs>) -> Arc<Self> {
        static STAMPS: AtomicU64 = AtomicU64::new(0);
        let text = text.or_else(|| (counts == [0; 3]).then(Logs::default));
        Arc::new(Self {
            stamp: STAMPS.fetch_add(1, Relaxed),
            line,
            counts,
            text: Mutex::new(text),
            counted_until: AtomicU64::new(0),
        })
    }

    /// The text, if it is in memory.
    pub(super) fn cached(&self) -> Option<Logs> {
        self.text().clone()
    }

    /// Reads the text from the file; `None` if the session has gone.
    pub(super) fn load(&self, db: &Connection) -> rusqlite::Result<Option<Logs>> {
        let Some(logs) = rows::load_logs(db, self.line, self.counts)? else {
            return Ok(None);
        };
        *self.text() = Some(logs.clone());
        Ok(Some(logs))
    }

    fn text(&self) -> MutexGuard<'_, Option<Logs>> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the texts that were not used for the longest time, so that all together stay below a limit.
pub(super) struct Cache {
    limit: usize,
    began: Instant,
    shelf: Mutex<CacheShelf>,
}

#[derive(Default)]
struct CacheShelf {
    bytes: usize,
    tick: u64,
    slots: HashMap<u64, Slot>,
    by_age: BTreeMap<u64, u64>,
}

struct Slot {
    histories: Arc<Histories>,
    bytes: usize,
    tick: u64,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            began: Instant::now(),
            shelf: Mutex::default(),
        }
    }

    /// Notes that `histories` were used just now, and are in memory.
    pub(super) fn used(&self, histories: &Arc<Histories>) {
        let now = self.began.elapsed();
        if (now.as_millis() as u64) < histories.counted_until.load(Relaxed) {
            return;
        }
        let Some(bytes) = histories.text().as_ref().map(Logs::bytes) else {
            return;
        };
        let mut shelf = self.lock();
        shelf.forget(histories.stamp);
        shelf.tick += 1;
        let slot = Slot {
            histories: histories.clone(),
            bytes,
            tick: shelf.tick,
        };
        shelf.bytes += bytes;
        shelf.by_age.insert(slot.tick, histories.stamp);
        shelf.slots.insert(histories.stamp, slot);
        let until = now + SAME_USE;
        histories.counted_until.store(until.as_millis() as u64, Relaxed);
        // The newest stays even if it is larger than the limit: whoever uses it will use it again.
        while shelf.bytes > self.limit && shelf.slots.len() > 1 {
            let Some((_, stamp)) = shelf.by_age.pop_first() else {
                break;
            };
            if let Some(slot) = shelf.forget(stamp) {
                slot.histories.counted_until.store(0, Relaxed);
                *slot.histories.text() = None;
            }
        }
    }

    /// Counts no longer what a newer instant of the session has replaced. Views of the older one keep their text.
    pub(super) fn forget(&self, histories: &Histories) {
        self.lock().forget(histories.stamp);
    }

    /// Bytes held.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, CacheShelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheShelf {
    fn forget(&mut self, stamp: u64) -> Option<Slot> {
        let slot = self.slots.remove(&stamp)?;
        self.by_age.remove(&slot.tick);
        self.bytes -= slot.bytes;
        Some(slot)
    }
}
