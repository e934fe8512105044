//! How claims went since the start, counted from what this hub was asked. A lease that was granted and never heard of
//! again is counted as lapsed when its time is over.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::ports::Lease;

/// Leases remembered between two looks for those that lapsed.
const SWEEP_AT: usize = 1024;

/// The numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimCounts {
    /// Claims held now, as far as this hub gave them.
    pub held: u64,
    /// Given to somebody who did not have it.
    pub granted: u64,
    /// Prolonged for who had it.
    pub renewed: u64,
    /// Refused: somebody else had it.
    pub refused: u64,
    /// Given back by the holder.
    pub released: u64,
    /// Given back because the holder's session ended.
    pub ended: u64,
    /// Taken back because the holder's agent died.
    pub died: u64,
    /// Lapsed, as nobody prolonged or gave it back.
    pub expired: u64,
}

/// Why all of a session's claims are given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Session,
    Agent,
}

#[derive(Debug, Default)]
pub(super) struct ClaimLedger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: ClaimCounts,
    held: HashMap<String, Held>,
    sweep_at: usize,
}

#[derive(Debug)]
struct Held {
    fence: u64,
    until: Instant,
}

impl ClaimLedger {
    pub fn given(&self, name: &str, lease: &Lease, now: Instant) {
        let mut state = self.state();
        let until = now + lease.left;
        let fence = lease.fence;
        match state.held.insert(name.to_owned(), Held { fence, until }) {
            Some(before) if before.fence == fence => state.counts.renewed += 1,
            // Another grant of the same name: the one before must have lapsed, or was given back at another hub.
            Some(_) => {
                state.counts.expired += 1;
                state.counts.granted += 1;
            }
            None => state.counts.granted += 1,
        }
        if state.held.len() >= state.sweep_at.max(SWEEP_AT) {
            state.sweep(now);
            state.sweep_at = 2 * state.held.len();
        }
    }

    pub fn refused(&self) {
        self.state().counts.refused += 1;
    }

    pub fn released(&self, name: &str) {
        let mut state = self.state();
        state.held.remove(name);
        state.counts.released += 1;
    }

    pub fn ended(&self, names: &[String], ending: Ending) {
        let mut state = self.state();
        for name in names {
            state.held.remove(name);
        }
        match ending {
            Ending::Session => state.counts.ended += names.len() as u64,
            Ending::Agent => state.counts.died += names.len() as u64,
        }
    }

    pub fn counts(&self, now: Instant) -> ClaimCounts {
        let mut state = self.state();
        state.sweep(now);
        ClaimCounts {
            held: state.held.len() as u64,
            ..state.counts
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sweep(&mut self, now: Instant) {
        let before = self.held.len();
        self.held.retain(|_, held| held.until > now);
        self.counts.expired += (before - self.held.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lease(fence: u64) -> Lease {
        Lease {
            owner: "a".into(),
            fence,
            left: SECOND,
        }
    }

    #[test]
    fn every_way_a_claim_can_go_is_counted_once() {
        let (ledger, start) = (ClaimLedger::default(), Instant::now());
        for (name, fence) in [
            ("one", 1),
            ("one", 1),
            ("two", 2),
            ("three", 3),
            ("four", 4),
            ("five", 5),
        ] {
            ledger.given(name, &lease(fence), start);
        }
        ledger.refused();
        ledger.released("one");
        ledger.ended(&["two".into()], Ending::Session);
        ledger.ended(&["three".into(), "elsewhere".into()], Ending::Agent);
        ledger.given("four", &lease(9), start + 2 * SECOND); // lapsed, and granted anew
        let expected = ClaimCounts {
            held: 1,
            granted: 6,
            renewed: 1,
            refused: 1,
            released: 1,
            ended: 1,
            died: 2,
            expired: 2,
        };
        assert_eq!(ledger.counts(start + 2 * SECOND), expected);
        assert_eq!(
            ledger.counts(start + 2 * SECOND),
            expected,
            "looking counts nothing"
        );
    }

    #[test]
    fn what_is_remembered_is_bounded_by_what_is_held() {
        let (ledger, start) = (ClaimLedger::default(), Instant::now());
        for n in 0..10 * SWEEP_AT as u64 {
            let now = start + Duration::from_millis(n * 10);
            ledger.given(&format!("t{n}"), &lease(n), now);
        }
        assert!(ledger.state().held.len() <= 2 * SWEEP_AT);
    }
}
