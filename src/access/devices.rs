//! Devices that were paired: who they are, what proves them, and what became of them.
//!
//! A device proves itself with two halves, both needed: one lies in a cookie that no script can read, the other where
//! only our own page finds it (SECURITY rule 6). Neither is kept: only their hashes are. What is asked on every request
//! is answered from memory; what changes is on disk before anybody hears of it.

mod change;
mod pair;
mod proof;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::sync::{Notify, broadcast, watch};

use crate::domain::{Device, DeviceId, Millis};
use crate::ports::Clock;
use crate::shutdown::TaskGroup;
use crate::sqlite::{Database, SqliteError};

use super::{
    Action, Audit, Entry, Origin,
    book::{Book, End, Row},
    credential::{self, Prints},
    pairing::Codes,
    rate::{Rates, Wait},
};

pub use change::{ChangeError, Unfound};
pub use pair::{CodeWatch, Introduction, MintRefused, Minted, Paired};
pub use proof::{Credential, Denied};

/// Changes that may wait for one listener; who lags asks for every device anew.
const CHANGES: usize = 256;
/// Devices that can be paired at once.
const MOST: usize = 100;
/// Devices that are none of ours any more and still told so.
const REMEMBERED: usize = 200;
/// That one was seen is written down this often, in milliseconds.
const SEEN_EVERY: i64 = 60_000;
/// What ends by itself is looked for at least this often.
const SWEEP: Duration = Duration::from_secs(60);

/// What became of a device that may be connected now.
#[derive(Clone, Debug)]
pub enum DeviceChange {
    /// It is no device of ours any more: close what it has open, and say why.
    Gone(DeviceId, Denied),
    /// Its name, scopes or projects are others now.
    Changed(Arc<Device>),
    /// It has just become one.
    Paired(Arc<Device>),
}

/// Devices cannot be read.
#[derive(Debug, Error)]
#[error("the paired devices cannot be read")]
pub struct AccessError(#[from] SqliteError);

/// All paired devices. Clones share them; the default ones are none, and none can be paired.
#[derive(Clone)]
pub struct Devices {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Changes happen one after the other, on disk and in memory in the same order.
    turn: tokio::sync::Mutex<()>,
    changes: broadcast::Sender<DeviceChange>,
    open: watch::Sender<bool>,
    /// Counts up when something became of a code.
    codes: watch::Sender<u64>,
    /// A code was made, so the next one to end may be another.
    sooner: Notify,
    kept: Option<Arc<Kept>>,
}

/// Where it is all kept.
struct Kept {
    book: Book,
    audit: Audit,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    known: HashMap<DeviceId, Known>,
    codes: Codes,
    rates: Rates,
    locked: Option<Millis>,
    burned: Option<Millis>,
}

struct Known {
    device: Arc<Device>,
    prints: Prints,
    end: Option<End>,
}

impl Known {
    /// Whether it still is a device of ours.
    fn holds(&self, now: Millis) -> Result<(), Denied> {
        match self.end {
            Some(End { expired: true, .. }) => Err(Denied::Expired),
            Some(End { expired: false, .. }) => Err(Denied::Revoked),
            None => credential::holds(&self.device, now),
        }
    }
}

impl State {
    fn paired(&self) -> impl Iterator<Item = &Arc<Device>> {
        let paired = self.known.values().filter(|known| known.end.is_none());
        paired.map(|known| &known.device)
    }

    fn is_open(&self) -> bool {
        self.locked.is_none() && (self.codes.live() > 0 || self.paired().next().is_some())
    }
}

impl Default for Devices {
    fn default() -> Self {
        Self::over(State::default(), None)
    }
}

impl Devices {
    /// The devices kept in `db` (opened with [`CHAPTER`](super::CHAPTER)). What ends by itself does so in a task of
    /// `tasks`. Blocks for a short read.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn load(
        db: Database,
        audit: Audit,
        clock: Arc<dyn Clock>,
        tasks: &TaskGroup,
    ) -> Result<Self, AccessError> {
        let book = Book::new(db);
        let (rows, locked) = book.all()?;
        let known = rows.into_iter().map(|row| (row.device.id.clone(), row.into()));
        let state = State {
            known: known.collect(),
            locked,
            ..State::default()
        };
        let devices = Self::over(state, Some(Arc::new(Kept { book, audit, clock })));
        let sweeping = devices.clone();
        tasks.spawn("pairings", move |stop| async move {
            loop {
                let pause = sweeping.sweep().await;
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sweeping.shared.sooner.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
        Ok(devices)
    }

    fn over(state: State, kept: Option<Arc<Kept>>) -> Self {
        let shared = Shared {
            open: watch::Sender::new(state.is_open()),
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::default(),
            changes: broadcast::Sender::new(CHANGES),
            codes: watch::Sender::new(0),
            sooner: Notify::new(),
            kept,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The device that shows this, by a request of which no more is known.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn authenticate(&self, shown: Credential<'_>, now: Millis) -> Result<Arc<Device>, Denied> {
        self.authenticate_from(shown, &Origin::default(), now)
    }

    /// The device that shows this. Wrong halves spend the budgets of whom they come from; right ones always let in.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn authenticate_from(
        &self,
        shown: Credential<'_>,
        from: &Origin,
        now: Millis,
    ) -> Result<Arc<Device>, Denied> {
        let mut state = self.state();
        if state.locked.is_some() {
            return Err(Denied::LockedDown);
        }
        let (Some(cookie), Some(token)) = (shown.cookie, shown.token) else {
            return Err(Denied::Unpaired);
        };
        let named = credential::named_by(cookie);
        let known = named.as_ref().and_then(|id| state.known.get_mut(id));
        let is_named = known.is_some();
        if let Some(known) = known.filter(|known| known.prints.know(cookie, token)) {
            known.holds(now)?;
            self.note_seen(known, now);
            return Ok(known.device.clone());
        }
        let named = named.filter(|_| is_named);
        let spent = state.rates.wrong_secret(named.as_ref(), from.ip, now);
        drop(state);
        let denied = spent.err().map_or(Denied::Unknown, Denied::from);
        self.tell_refusal(named.as_ref(), from, &denied, now);
        Err(denied)
    }

    /// Whose cookie this is, by that half alone. It grants nothing: it only says that a connection is worth opening,
    /// over which both halves can be shown.
    pub fn recognises(&self, cookie: &str) -> Option<DeviceId> {
        let id = credential::named_by(cookie)?;
        let state = self.state();
        let known = state.known.get(&id).filter(|_| state.locked.is_none())?;
        (known.end.is_none() && known.prints.know_cookie(cookie)).then_some(id)
    }

    /// A device as it is now; `None` if it is none of ours (any more).
    pub fn device(&self, id: &DeviceId) -> Option<Arc<Device>> {
        let state = self.state();
        let known = state.known.get(id).filter(|_| state.locked.is_none())?;
        known.end.is_none().then(|| known.device.clone())
    }

    /// All of them, the one that was paired first before the others.
    pub fn all(&self) -> Vec<Arc<Device>> {
        let mut all: Vec<_> = self.state().paired().cloned().collect();
        all.sort_by(|a, b| (a.paired_at, &a.id).cmp(&(b.paired_at, &b.id)));
        all
    }

    /// What becomes of devices from now on.
    pub fn changes(&self) -> broadcast::Receiver<DeviceChange> {
        self.shared.changes.subscribe()
    }

    /// True while somebody may come in from outside: a device is paired, or a pairing code is live, and the hub is not
    /// locked down.
    pub fn open(&self) -> watch::Receiver<bool> {
        self.shared.open.subscribe()
    }

    /// Since when the hub is locked down, if it is.
    pub fn locked(&self) -> Option<Millis> {
        self.state().locked
    }

    /// When all live codes were given up because of wrong guesses, until a new one is made.
    pub fn burned(&self) -> Option<Millis> {
        self.state().burned
    }

    /// How many codes are live.
    pub fn live_codes(&self) -> usize {
        self.state().codes.live()
    }

    /// What is done from outside is written down there.
    pub fn audit(&self) -> Audit {
        self.shared
            .kept
            .as_ref()
            .map(|kept| kept.audit.clone())
            .unwrap_or_default()
    }

    /// One more request or message of a device; it counts as seen.
    ///
    /// # Errors
    /// When it says too much, or is none of ours any more.
    pub fn may_send(&self, id: &DeviceId, now: Millis) -> Result<(), Denied> {
        let mut state = self.state();
        if state.locked.is_some() {
            return Err(Denied::LockedDown);
        }
        let known = state.known.get_mut(id).ok_or(Denied::Unknown)?;
        known.holds(now)?;
        self.note_seen(known, now);
        Ok(state.rates.message(id, now)?)
    }

    /// Whether one more agent may be started from outside, while `running` of those that were are at work. The answer
    /// is kept until the session is there to be counted.
    ///
    /// # Errors
    /// When too many were started, or are at work.
    pub fn may_spawn(&self, running: usize, now: Millis) -> Result<SpawnSlot, Denied> {
        self.state().rates.spawn(running, now)?;
        Ok(SpawnSlot {
            devices: self.clone(),
        })
    }

    fn note_seen(&self, known: &mut Known, now: Millis) {
        // Either way: a clock that was wrong once must not keep a device for ever.
        if now.0.abs_diff(known.device.last_seen.0) < SEEN_EVERY.unsigned_abs() {
            return;
        }
        Arc::make_mut(&mut known.device).last_seen = now;
        if let Some(kept) = &self.shared.kept {
            // Queued by now; nobody waits for it.
            drop(kept.book.seen(&known.device.id, now));
        }
    }

    fn tell_refusal(&self, named: Option<&DeviceId>, from: &Origin, denied: &Denied, now: Millis) {
        let Some(kept) = &self.shared.kept else { return };
        let entry = Entry::new(Action::Authenticate, now)
            .from(from)
            .refused(denied.code());
        kept.audit.refused(match named {
            Some(id) => entry.of(id),
            None => entry,
        });
    }

    /// Says anew whether somebody may come in.
    fn tell_open(&self) {
        let open = self.state().is_open();
        self.shared.open.send_if_modified(|known| {
            let changed = *known != open;
            *known = open;
            changed
        });
    }

    // A poisoned lock is taken all the same: the state is whole after every step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Row> for Known {
    fn from(row: Row) -> Self {
        Self {
            device: Arc::new(row.device),
            prints: row.prints,
            end: row.end,
        }
    }
}

/// The place of an agent that is being started from outside; given back when dropped.
pub struct SpawnSlot {
    devices: Devices,
}

impl Drop for SpawnSlot {
    fn drop(&mut self) {
        let mut state = self.devices.state();
        state.rates.spawning = state.rates.spawning.saturating_sub(1);
    }
}
