//! Which devices have the page on their screen at this moment, by what their living sockets say.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::domain::DeviceId;

/// Who looks. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Watching {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    lost: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many sockets of a device say that it is visible.
    looking: HashMap<DeviceId, usize>,
    /// Devices that were visible when their last such socket ended without a word. There are never more than sockets
    /// that ended since the last look.
    lost: Vec<DeviceId>,
}

/// What one socket says of its page. Dropped with the socket: if it was visible to the last, perhaps nobody saw the end.
#[derive(Debug)]
pub struct Look {
    watching: Watching,
    device: DeviceId,
    visible: bool,
}

impl Watching {
    /// A socket of this device; nothing is said yet.
    pub fn look(&self, device: DeviceId) -> Look {
        Look {
            watching: self.clone(),
            device,
            visible: false,
        }
    }

    /// True if the page is on the screen of that device.
    pub(super) fn is_looking(&self, device: &DeviceId) -> bool {
        self.state().looking.contains_key(device)
    }

    /// Devices that looked until their connection was gone. Waits for the first. Cancel-safe.
    pub(super) async fn lost(&self) -> Vec<DeviceId> {
        loop {
            let lost = std::mem::take(&mut self.state().lost);
            if !lost.is_empty() {
                return lost;
            }
            self.shared.lost.notified().await;
        }
    }

    fn set(&self, device: &DeviceId, visible: bool, in_words: bool) {
        let mut state = self.state();
        if visible {
            *state.looking.entry(device.clone()).or_default() += 1;
            return;
        }
        let Some(count) = state.looking.get_mut(device) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        state.looking.remove(device);
        if !in_words && !state.lost.contains(device) {
            state.lost.push(device.clone());
            drop(state);
            self.shared.lost.notify_one();
        }
    }

    // A poisoned lock is taken all the same: the state is whole after every step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Look {
    /// The page says whether it can be seen.
    pub fn say(&mut self, visible: bool) {
        if self.visible != visible {
            self.visible = visible;
            self.watching.set(&self.device, visible, true);
        }
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        if self.visible {
            self.watching.set(&self.device, false, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Id;

    use super::*;

    #[tokio::test]
    async fn a_device_looks_while_one_of_its_sockets_says_so() {
        let watching = Watching::default();
        let id: DeviceId = Id::parse("dev_1").unwrap();
        let (mut one, mut two) = (watching.look(id.clone()), watching.look(id.clone()));
        assert!(!watching.is_looking(&id), "connected is not enough");
        one.say(true);
        one.say(true);
        two.say(true);
        one.say(false);
        assert!(watching.is_looking(&id));
        two.say(false);
        assert!(!watching.is_looking(&id));
        drop((one, two));
        assert!(watching.state().lost.is_empty(), "it said so itself");
    }

    #[tokio::test]
    async fn who_looked_until_the_connection_was_gone_is_told_of() {
        let watching = Watching::default();
        let id: DeviceId = Id::parse("dev_1").unwrap();
        let mut look = watching.look(id.clone());
        look.say(true);
        drop(look);
        assert!(!watching.is_looking(&id));
        assert_eq!(watching.lost().await, [id]);
    }
}
