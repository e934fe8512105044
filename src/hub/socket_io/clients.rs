//! How many are connected by Socket.IO. Known to the whole hub; the library is not.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// The counts. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sessions: AtomicUsize,
    ui: AtomicUsize,
    mobile: AtomicUsize,
    cut_off: AtomicU64,
}

impl Clients {
    /// Engine.IO sessions: transports that are open, whatever namespace they are in, if any.
    pub fn sessions(&self) -> usize {
        self.counts.sessions.load(Ordering::Relaxed)
    }

    /// Sockets on `/ui`.
    pub fn ui(&self) -> usize {
        self.counts.ui.load(Ordering::Relaxed)
    }

    /// Sockets on `/mobile`.
    pub fn mobile(&self) -> usize {
        self.counts.mobile.load(Ordering::Relaxed)
    }

    /// Sockets that were cut off because they did not keep up, since the start.
    pub fn cut_off(&self) -> u64 {
        self.counts.cut_off.load(Ordering::Relaxed)
    }

    /// One session more, until the guard is dropped.
    pub(super) fn session(&self) -> Counted {
        Counted::of(self, |counts| &counts.sessions)
    }

    /// One socket on `/ui` more, until the guard is dropped.
    pub(super) fn on_ui(&self) -> Counted {
        Counted::of(self, |counts| &counts.ui)
    }

    /// One socket on `/mobile` more, until the guard is dropped.
    pub(super) fn on_mobile(&self) -> Counted {
        Counted::of(self, |counts| &counts.mobile)
    }

    /// One that was cut off.
    pub(super) fn note_cut_off(&self) {
        self.counts.cut_off.fetch_add(1, Ordering::Relaxed);
    }
}

/// Something that is counted while this is held.
#[derive(Debug)]
pub struct Counted {
    clients: Clients,
    which: fn(&Counts) -> &AtomicUsize,
}

impl Counted {
    fn of(clients: &Clients, which: fn(&Counts) -> &AtomicUsize) -> Self {
        which(&clients.counts).fetch_add(1, Ordering::Relaxed);
        Self {
            clients: clients.clone(),
            which,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.which)(&self.clients.counts).fetch_sub(1, Ordering::Relaxed);
    }
}
