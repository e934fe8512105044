//! What one phone asks for: in order, one at a time, a bounded number waiting, and not faster than a person.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde_json::Value;

use super::{
    reply::Reply,
    verbs::{Refusal, Verb},
};

/// Requests that may wait.
const WAITING: usize = 32;
/// Requests a second that can be kept up.
const RATE: f64 = 20.0;
/// Requests that may come at once.
const BURST: f64 = 100.0;

/// One request.
#[derive(Debug)]
pub struct Request {
    /// What for.
    pub verb: Verb,
    /// Its payload, if that was one JSON value.
    pub data: Option<Value>,
    /// Who waits for the answer.
    pub reply: Reply,
}

/// What became of a request.
#[derive(Debug)]
pub enum Taken {
    /// Somebody must now do what waits, until there is nothing left.
    First,
    /// Somebody is at it.
    Queued,
    /// It is not done.
    Refused(Request, Refusal),
}

/// The requests of one socket.
#[derive(Debug, Default)]
pub struct Requests {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Request>,
    busy: bool,
    bucket: Bucket,
}

impl Requests {
    /// Takes one in.
    pub fn take(&self, request: Request) -> Taken {
        let mut state = self.state();
        if !state.bucket.pass(Instant::now()) {
            return Taken::Refused(request, Refusal::new("rate", "too many requests: slow down"));
        }
        if state.waiting.len() >= WAITING {
            let busy = Refusal::new("busy", "too many requests are waiting: try again");
            return Taken::Refused(request, busy);
        }
        state.waiting.push_back(request);
        match std::mem::replace(&mut state.busy, true) {
            true => Taken::Queued,
            false => Taken::First,
        }
    }

    /// The next one; after `None` the next one taken in is a first one again.
    pub fn next(&self) -> Option<Request> {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        state.busy = next.is_some();
        next
    }

    // A poisoned lock is taken all the same: what it guards is valid after every single step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many at once, so many a second.
#[derive(Debug, Default)]
struct Bucket {
    used: f64,
    at: Option<Instant>,
}

impl Bucket {
    fn pass(&mut self, now: Instant) -> bool {
        let passed = self
            .at
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.used = (self.used - passed * RATE).max(0.0);
        let pass = self.used + 1.0 <= BURST;
        if pass {
            self.used += 1.0;
        }
        pass
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_as_many_as_can_be_kept_up() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        let passed = (0..200).filter(|_| bucket.pass(start)).count();
        assert_eq!(passed, 100);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..200).filter(|_| bucket.pass(later)).count(), 20);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!((0..200).filter(|_| bucket.pass(much_later)).count(), 100);
    }
}
