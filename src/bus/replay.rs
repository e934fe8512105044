//! What happened lately, for those who were away: a bounded log of this epoch's events, and one question to it.
//!
//! It is written before anybody is told of an event, so whoever subscribes first and asks then misses nothing; what it
//! hears twice has the same number. Facts are kept, not what was sent: a session's long history is shared by all its
//! versions, is counted once, and is rendered again only if somebody asks.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use thiserror::Error;

use crate::domain::{Event, Log, Millis, Published};

/// How much is kept. The newest event is always kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Events.
    pub events: usize,
    /// Bytes of memory, about.
    pub bytes: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            events: 10_000,
            bytes: 32 << 20,
        }
    }
}

/// How much one answer may hold. One event always fits.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// Events.
    pub events: usize,
    /// Bytes of payload, about.
    pub bytes: usize,
}

/// What somebody missed.
#[derive(Clone, Debug)]
pub enum Missed {
    /// Exactly this.
    Events {
        /// Our epoch.
        epoch: Arc<str>,
        /// All up to this number was looked at: the `since` of the next question.
        seq: u64,
        /// In order.
        events: Vec<Arc<Published>>,
        /// True if there is more after `seq`.
        more: bool,
    },
    /// It cannot be told: what they know is to be thrown away, and read anew.
    Reset {
        /// Our epoch.
        epoch: Arc<str>,
        /// The newest event: the `since` of the next question.
        seq: u64,
        /// Why.
        reason: Lost,
    },
}

/// Why it cannot be told what somebody missed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Lost {
    /// The hub started anew since.
    #[error("the hub was started anew since")]
    AnotherEpoch,
    /// Too much happened since.
    #[error("too much happened since")]
    TooOld,
    /// There was no such event yet.
    #[error("there was no such event yet")]
    Ahead,
}

/// The log. Clones share it.
#[derive(Clone)]
pub struct Replay {
    state: Arc<Mutex<State>>,
}

struct State {
    epoch: Arc<str>,
    kept: Kept,
    /// Numbered without gaps; the last one is `newest`.
    events: VecDeque<Entry>,
    newest: u64,
    bytes: usize,
    /// Pieces of histories that kept events share, by address: how often, so that each is counted once.
    pieces: HashMap<usize, usize>,
}

struct Entry {
    seq: u64,
    at: Millis,
    event: Event,
    /// Memory that nobody else holds.
    own: usize,
    /// Length of its payload.
    payload: usize,
}

impl Default for Replay {
    fn default() -> Self {
        Self::keeping(Kept::default())
    }
}

impl Replay {
    /// A log that keeps so much.
    pub fn keeping(kept: Kept) -> Self {
        let state = State {
            epoch: "".into(),
            kept,
            events: VecDeque::new(),
            newest: 0,
            bytes: 0,
            pieces: HashMap::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Numbers are counted in this epoch from now on, beginning after `seq`. What was kept is forgotten.
    pub fn begin(&self, epoch: Arc<str>, seq: u64) {
        let mut state = self.state();
        *state = State {
            epoch,
            kept: state.kept,
            events: VecDeque::new(),
            newest: seq,
            bytes: 0,
            pieces: HashMap::new(),
        };
    }

    /// Notes events, before anybody hears of them.
    pub fn record(&self, events: &[Arc<Published>]) {
        let entries: Vec<Entry> = events.iter().map(|event| Entry::of(event)).collect();
        let mut state = self.state();
        for entry in entries {
            state.push(entry);
        }
    }

    /// Our epoch and the number of the newest event.
    pub fn now(&self) -> (Arc<str>, u64) {
        let state = self.state();
        (state.epoch.clone(), state.newest)
    }

    /// What somebody missed who knows everything up to `since` of `epoch`, as far as `passes` lets it through.
    pub fn missed(
        &self,
        epoch: &str,
        since: u64,
        portion: Portion,
        passes: impl Fn(&Event) -> bool,
    ) -> Missed {
        let state = self.state();
        if let Some(reason) = state.lost(epoch, since) {
            return Missed::Reset {
                epoch: state.epoch.clone(),
                seq: state.newest,
                reason,
            };
        }
        let mut seq = state.newest;
        let (mut events, mut bytes, mut more) = (Vec::new(), 0, false);
        // The number of those that are newer fits: they are in memory.
        let newer = usize::try_from(state.newest - since).unwrap_or(usize::MAX);
        let first = state.events.len().saturating_sub(newer);
        for entry in state.events.range(first..).filter(|entry| passes(&entry.event)) {
            let full = events.len() >= portion.events || bytes + entry.payload > portion.bytes;
            if full && !events.is_empty() {
                (seq, more) = (entry.seq - 1, true);
                break;
            }
            bytes += entry.payload;
            events.push(Arc::new(Published::new(entry.seq, entry.at, entry.event.clone())));
        }
        Missed::Events {
            epoch: state.epoch.clone(),
            seq,
            events,
            more,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic may leave behind is a wrong sum of bytes, not a wrong event.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lost(&self, epoch: &str, since: u64) -> Option<Lost> {
        let oldest = self.events.front().map_or(self.newest + 1, |entry| entry.seq);
        if *epoch != *self.epoch {
            Some(Lost::AnotherEpoch)
        } else if since > self.newest {
            Some(Lost::Ahead)
        } else if since + 1 < oldest {
            Some(Lost::TooOld)
        } else {
            None
        }
    }

    fn push(&mut self, entry: Entry) {
        if entry.seq != self.newest + 1 {
            // Cannot be, as the store counts; but then there is no telling what is missing.
            while self.drop_oldest() {}
        }
        self.newest = entry.seq;
        self.bytes += entry.own;
        for piece in entry.pieces() {
            let held = self.pieces.entry(address(piece)).or_default();
            *held += 1;
            if *held == 1 {
                self.bytes += piece.len();
            }
        }
        self.events.push_back(entry);
        while self.events.len() > 1 && (self.events.len() > self.kept.events || self.bytes > self.kept.bytes)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(entry) = self.events.pop_front() else {
            return false;
        };
        self.bytes -= entry.own;
        for piece in entry.pieces() {
            let address = address(piece);
            if let Some(held) = self.pieces.get_mut(&address) {
                *held -= 1;
                if *held == 0 {
                    self.pieces.remove(&address);
                    self.bytes -= piece.len();
                }
            }
        }
        true
    }
}

/// Tells pieces apart while they are held.
fn address(piece: &Arc<str>) -> usize {
    Arc::as_ptr(piece).cast::<u8>() as usize
}

impl Entry {
    fn of(published: &Published) -> Self {
        let event = published.event.lean();
        let (own, payload) = match event.session_told() {
            Some(session) => {
                let head = serde_json::to_vec(&*session.head).map_or(0, |text| text.len());
                let logs = [&session.events, &session.timeline, &session.docs];
                let shared: usize = logs.iter().flat_map(|log| log.pieces()).map(|p| p.len()).sum();
                let all: usize = logs.iter().map(|log| log.bytes()).sum();
                let new: usize = logs
                    .iter()
                    .flat_map(|log| log.unsaved())
                    .map(|text| text.len())
                    .sum();
                (2 * head + all.saturating_sub(shared) + new, head + all)
            }
            None => (2 * published.data().len(), published.data().len()),
        };
        Self {
            seq: published.seq,
            at: published.at,
            event,
            own: own + size_of::<Self>(),
            payload,
        }
    }

    fn pieces(&self) -> impl Iterator<Item = &Arc<str>> {
        self.event
            .session_told()
            .into_iter()
            .flat_map(|session| [&session.events, &session.timeline, &session.docs])
            .flat_map(Log::pieces)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::domain::{Id, Machine, Maybe, Mint, NewSession, ProjectId, Session};

    use super::*;

    const ALL: Portion = Portion {
        events: usize::MAX,
        bytes: usize::MAX,
    };

    fn project(text: &str) -> ProjectId {
        Id::parse(text).unwrap()
    }

    fn published(seq: u64, event: Event) -> Arc<Published> {
        Arc::new(Published::new(seq, Millis(1), event))
    }

    fn small(seq: u64) -> Arc<Published> {
        published(seq, Event::ProjectDeleted(project(&format!("p{seq}"))))
    }

    fn replay(events: usize, bytes: usize) -> Replay {
        let replay = Replay::keeping(Kept { events, bytes });
        replay.begin("now".into(), 0);
        replay
    }

    /// Numbers of what was missed, the next `since`, and whether there is more; or why not.
    fn ask(
        replay: &Replay,
        epoch: &str,
        since: u64,
        portion: Portion,
    ) -> Result<(Vec<u64>, u64, bool), Lost> {
        match replay.missed(epoch, since, portion, |_| true) {
            Missed::Events {
                seq, events, more, ..
            } => Ok((events.iter().map(|event| event.seq).collect(), seq, more)),
            Missed::Reset { seq, reason, .. } => {
                assert_eq!(seq, replay.now().1);
                Err(reason)
            }
        }
    }

    proptest! {
        /// The model: everything ever said, and the rule "the last so many".
        #[test]
        fn whatever_was_missed_is_told_exactly_or_not_at_all(
            kept in 1usize..8,
            batches in prop::collection::vec(1u64..6, 0..12),
            epoch in prop::sample::select(vec!["now", "then"]),
            since in 0u64..70,
            portion in 1usize..6,
        ) {
            let replay = replay(kept, usize::MAX);
            let mut all: Vec<u64> = Vec::new();
            for size in batches {
                let first = all.len() as u64 + 1;
                let batch: Vec<_> = (first..first + size).map(small).collect();
                replay.record(&batch);
                all.extend(first..first + size);
            }
            let newest = all.len() as u64;
            let gone = newest.saturating_sub(kept as u64);
            let expected = if epoch != "now" {
                Err(Lost::AnotherEpoch)
            } else if since > newest {
                Err(Lost::Ahead)
            } else if since < gone {
                Err(Lost::TooOld)
            } else {
                Ok(all.iter().copied().filter(|seq| *seq > since).collect::<Vec<_>>())
            };
            // Asked in portions until nothing is left: the sum is the model's answer.
            let portion = Portion { events: portion, bytes: usize::MAX };
            let mut told = Vec::new();
            let mut from = since;
            let answer = loop {
                match ask(&replay, epoch, from, portion) {
                    Ok((some, seq, more)) => {
                        prop_assert!(some.len() <= portion.events);
                        prop_assert_eq!(some.last().copied().unwrap_or(seq), seq);
                        told.extend(some);
                        from = seq;
                        if !more {
                            prop_assert_eq!(seq, newest);
                            break Ok(told);
                        }
                    }
                    Err(lost) => break Err(lost),
                }
            };
            prop_assert_eq!(answer, expected);
        }
    }

    #[test]
    fn a_filter_hides_events_but_not_how_far_was_looked() {
        let replay = replay(10, usize::MAX);
        replay.record(&[small(1), small(2), small(3)]);
        let only = |event: &Event| event.project() == Some("p2");
        let Missed::Events {
            seq, events, more, ..
        } = replay.missed("now", 0, ALL, only)
        else {
            panic!("nothing was lost")
        };
        assert_eq!((seq, events.len(), events[0].seq, more), (3, 1, 2, false));
    }

    fn session() -> Session {
        let wish = NewSession::default();
        let machine = Machine {
            hostname: "here".into(),
            platform: "linux".into(),
        };
        Session::create(wish, project("p"), &[], &machine, &mut Mint::new(Millis(0), 0, 1)).0
    }

    fn bytes(replay: &Replay) -> usize {
        replay.state().bytes
    }

    #[test]
    fn a_long_history_is_counted_once_however_many_events_tell_it() {
        let replay = replay(10_000, 2 << 20);
        let mut long = session();
        for n in 1..=500 {
            let change = long.add_event(
                "tool".into(),
                Maybe::Value("x".repeat(2000).into()),
                &mut Mint::new(Millis(n), 0, 1),
            );
            long = change.session.unwrap();
            replay.record(&[published(n as u64, Event::SessionUpdated(long.clone()))]);
        }
        assert!(long.events.bytes() > 1_000_000);
        assert!(bytes(&replay) <= 2 << 20);
        let (told, ..) = ask(&replay, "now", 450, ALL).unwrap();
        assert_eq!(told.len(), 50, "fifty times a megabyte is told from two");
        // Nothing is left behind by those that were dropped.
        for n in 501..=10_600 {
            replay.record(&[small(n)]);
        }
        assert!(replay.state().pieces.is_empty());
        assert_eq!(
            bytes(&replay),
            replay.state().events.iter().map(|e| e.own).sum::<usize>()
        );
    }

    #[test]
    fn one_answer_is_no_larger_than_its_portion_but_never_empty() {
        let replay = replay(100, usize::MAX);
        replay.record(&[small(1), small(2), small(3)]);
        let tiny = Portion { events: 9, bytes: 1 };
        assert_eq!(ask(&replay, "now", 0, tiny), Ok((vec![1], 1, true)));
        assert_eq!(ask(&replay, "now", 2, tiny), Ok((vec![3], 3, false)));
    }

    #[test]
    fn a_progress_report_is_kept_without_the_history_it_came_with() {
        let replay = replay(100, usize::MAX);
        let mut long = session();
        for n in 0..100 {
            let change = long.add_event(
                "tool".into(),
                Maybe::Value("x".repeat(2000).into()),
                &mut Mint::new(Millis(n), 0, 1),
            );
            long = change.session.unwrap();
        }
        let told = published(1, Event::NotifySessionCompleted(long));
        replay.record(std::slice::from_ref(&told));
        assert!(bytes(&replay) < 10_000);
        let Missed::Events { events, .. } = replay.missed("now", 0, ALL, |_| true) else {
            panic!("nothing was lost")
        };
        assert_eq!(events[0].data(), told.data());
    }
}
