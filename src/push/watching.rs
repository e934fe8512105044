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
    left: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many sockets of a device say that it is visible.
    looking: HashMap<DeviceId, usize>,
    /// Devices whose last visible page is not visible any more, since the last look at this; each is there once.
    left: HashMap<DeviceId, Parting>,
}

/// How a page ceased to be on the screen. The greater, the less is known of what was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parting {
    /// It said so itself.
    Said,
    /// Its connection ended without a word.
    Lost,
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

    /// Devices that look no more, and how they left. Waits for the first. Cancel-safe.
    pub(super) async fn left(&self) -> HashMap<DeviceId, Parting> {
        loop {
            let left = std::mem::take(&mut self.state().left);
            if !left.is_empty() {
                return left;
            }
            self.shared.left.notified().await;
        }
    }

    fn shows(&self, device: &DeviceId) {
        *self.state().looking.entry(device.clone()).or_default() += 1;
    }

    fn hides(&self, device: &DeviceId, how: Parting) {
        let mut state = self.state();
        let Some(count) = state.looking.get_mut(device) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        state.looking.remove(device);
        let left = state.left.entry(device.clone()).or_insert(how);
        *left = how.max(*left);
        drop(state);
        self.shared.left.notify_one();
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
            if visible {
                self.watching.shows(&self.device);
            } else {
                self.watching.hides(&self.device, Parting::Said);
            }
        }
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        if self.visible {
            self.watching.hides(&self.device, Parting::Lost);
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
        let said = HashMap::from([(id, Parting::Said)]);
        assert_eq!(watching.left().await, said, "it said so itself");
    }

    #[tokio::test]
    async fn who_looked_until_the_connection_was_gone_is_told_of() {
        let watching = Watching::default();
        let id: DeviceId = Id::parse("dev_1").unwrap();
        for polite in [false, true] {
            let mut look = watching.look(id.clone());
            look.say(true);
            look.say(!polite);
            drop(look);
        }
        assert!(!watching.is_looking(&id));
        let lost = HashMap::from([(id, Parting::Lost)]);
        assert_eq!(watching.left().await, lost, "once is enough");
    }
}
