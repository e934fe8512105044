//! All sockets of a namespace.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{clients::Counted, peer::Peer};

/// The sockets. None is in it twice.
#[derive(Default)]
pub struct Peers {
    list: RwLock<Vec<Arc<Peer>>>,
}

/// A place among the sockets, given back on drop. Lies in the socket's own extensions, for the case that it is never
/// told of its end: it may have left before its CONNECT was answered.
pub struct Seat {
    peers: Arc<Peers>,
    peer: Arc<Peer>,
    _counted: Counted,
}

impl Seat {
    /// The socket.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.peers.remove(&self.peer);
    }
}

impl Peers {
    /// Takes a socket in, unless there are `most` already, or `most_alike` of its device. Events of now on reach it.
    pub fn seat(
        self: &Arc<Self>,
        peer: Peer,
        most: usize,
        most_alike: usize,
        counted: Counted,
    ) -> Option<Arc<Seat>> {
        let peer = Arc::new(peer);
        let mut list = self.write();
        let full = list.len() >= most;
        let crowded = || {
            let device = peer.device();
            device.is_some() && list.iter().filter(|known| known.device() == device).count() >= most_alike
        };
        if full || crowded() {
            return None;
        }
        list.push(peer.clone());
        drop(list);
        Some(Arc::new(Seat {
            peers: self.clone(),
            peer,
            _counted: counted,
        }))
    }

    /// Forgets a socket; what waits for it is freed.
    pub fn remove(&self, peer: &Arc<Peer>) {
        peer.end(super::peer::End::Left);
        let mut list = self.write();
        if let Some(at) = list.iter().position(|known| Arc::ptr_eq(known, peer)) {
            list.swap_remove(at);
        }
    }

    /// Does something with each of them.
    pub fn each(&self, mut act: impl FnMut(&Arc<Peer>)) {
        self.read().iter().for_each(&mut act);
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    // A poisoned lock is taken all the same: the list is whole after every step.
    fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<Peer>>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Arc<Peer>>> {
        self.list.write().unwrap_or_else(PoisonError::into_inner)
    }
}
