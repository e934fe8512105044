//! Sessions from outside: so many of each device, so many in all (SECURITY rule 10). They are counted from the
//! handshake on, which takes but one half of a credential: whoever has stolen that half can fill its device's places, and
//! nobody else's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::domain::DeviceId;

/// Sessions of one device at once.
pub const PER_DEVICE: usize = 4;
/// Sessions of all devices at once.
const ALL: usize = 64;

/// All sessions from outside. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    open: Arc<Mutex<HashMap<DeviceId, usize>>>,
}

/// The place of a session, given back on drop.
#[derive(Debug)]
pub struct Place {
    outside: Outside,
    device: DeviceId,
}

impl Outside {
    /// A place for one more of `device`, if there is one.
    pub fn place(&self, device: &DeviceId) -> Option<Place> {
        let mut open = self.open();
        let mine = open.get(device).copied().unwrap_or(0);
        if mine >= PER_DEVICE || open.values().sum::<usize>() >= ALL {
            return None;
        }
        open.insert(device.clone(), mine + 1);
        Some(Place {
            outside: self.clone(),
            device: device.clone(),
        })
    }

    // A poisoned lock is taken all the same: the map is whole after every step.
    fn open(&self) -> MutexGuard<'_, HashMap<DeviceId, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.outside.open();
        if let Some(count) = open.get_mut(&self.device) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Id;

    use super::*;

    #[test]
    fn each_device_has_its_places_all_have_theirs_and_each_is_given_back() {
        let outside = Outside::default();
        let device = |n: usize| Id::parse(&format!("dev_{n}")).unwrap();
        let of = |n: usize| {
            (0..10)
                .filter_map(|_| outside.place(&device(n)))
                .collect::<Vec<_>>()
        };
        let mut held = of(0);
        assert_eq!(held.len(), PER_DEVICE);
        held.extend((1..100).flat_map(of));
        assert_eq!(held.len(), ALL);
        held.pop();
        assert!(outside.place(&device(0)).is_none(), "it is not for who has four");
        assert!(outside.place(&device(50)).is_some());
        drop(held);
        assert!(outside.open().is_empty());
    }
}
