//! The first result of an action is the result of every repetition (SECURITY rule 15): a phone that lost the answer on a
//! bad network asks again under the same key, and nothing happens twice.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{body::Bytes, http::StatusCode};
use tokio::sync::OnceCell;

use crate::domain::{DeviceId, SendKey};

/// Newest actions that are remembered for one device.
const ACTIONS: usize = 128;
/// Devices for which any are.
const DEVICES: usize = 64;

/// What an action came to. Always JSON, and short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// HTTP status.
    pub status: StatusCode,
    /// The answer.
    pub body: Bytes,
}

/// The outcome of one action: whoever comes first fills it, others wait for it.
pub type Outcome = Arc<OnceCell<Kept>>;

/// Says what is asked for, so that a key used for something else is noticed.
pub type Fingerprint = [u8; 32];

/// The key was used for something else before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyReused;

struct Action {
    key: SendKey,
    asked: Fingerprint,
    outcome: Outcome,
}

/// The newest actions of each device.
#[derive(Default)]
pub struct Once {
    known: Mutex<HashMap<DeviceId, VecDeque<Action>>>,
}

impl Once {
    /// The outcome of what `device` asks under `key`: empty the first time.
    ///
    /// # Errors
    /// Something else was asked under this key.
    pub fn outcome(&self, device: &DeviceId, key: SendKey, asked: Fingerprint) -> Result<Outcome, KeyReused> {
        // Whole after every step, so a poisoned lock is taken all the same.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= DEVICES && !known.contains_key(device) {
            // There are never so many at work; whichever goes loses only the memory of its repetitions.
            if let Some(other) = known.keys().next().cloned() {
                known.remove(&other);
            }
        }
        let actions = known.entry(device.clone()).or_default();
        if let Some(action) = actions.iter().find(|action| action.key == key) {
            return if action.asked == asked {
                Ok(action.outcome.clone())
            } else {
                Err(KeyReused)
            };
        }
        if actions.len() >= ACTIONS {
            actions.pop_front();
        }
        let outcome = Outcome::default();
        actions.push_back(Action {
            key,
            asked,
            outcome: outcome.clone(),
        });
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Id;

    use super::*;

    fn device(n: usize) -> DeviceId {
        Id::parse(&format!("dev_{n}")).unwrap()
    }

    fn key(text: &str) -> SendKey {
        SendKey::parse(text).unwrap()
    }

    fn kept(text: &'static str) -> Kept {
        Kept {
            status: StatusCode::OK,
            body: Bytes::from_static(text.as_bytes()),
        }
    }

    #[test]
    fn a_repetition_gets_the_first_outcome_and_a_change_is_refused() {
        let once = Once::default();
        let first = once.outcome(&device(1), key("a"), [1; 32]).unwrap();
        first.set(kept("done")).unwrap();
        let again = once.outcome(&device(1), key("a"), [1; 32]).unwrap();
        assert_eq!(again.get(), Some(&kept("done")));
        assert_eq!(once.outcome(&device(1), key("a"), [2; 32]).err(), Some(KeyReused));
        let other = once.outcome(&device(2), key("a"), [2; 32]).unwrap();
        assert_eq!(other.get(), None, "another device has keys of its own");
    }

    #[test]
    fn only_so_much_is_remembered() {
        let once = Once::default();
        for n in 0..1000 {
            once.outcome(&device(1), key(&n.to_string()), [1; 32]).unwrap();
            once.outcome(&device(n), key("x"), [1; 32]).unwrap();
        }
        let known = once.known.lock().unwrap();
        assert!(known.len() <= DEVICES);
        assert!(known.values().all(|actions| actions.len() <= ACTIONS));
    }
}
