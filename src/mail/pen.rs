//! What a new mail needs besides its letter: a time and a name.

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{MailId, Millis, Mint};
use crate::ports::Clock;

/// Writes ids that no other mail has, not even of another hub.
pub(super) struct Pen {
    clock: Arc<dyn Clock>,
    serial: Mutex<u32>,
}

impl Pen {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let serial = Mutex::new(0);
        Self { clock, serial }
    }

    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// A name that nobody else makes up.
    pub(super) fn name(&self) -> String {
        let noise = getrandom::u64().unwrap_or_default();
        format!("{:x}{noise:016x}", self.now().0)
    }

    /// Ids of mails of one instant, in order.
    pub(super) fn ids(&self, at: Millis, count: usize) -> Vec<MailId> {
        let mut serial = self.serial.lock().unwrap_or_else(PoisonError::into_inner);
        // Without randomness the serial still tells the mails of this process apart.
        let noise = getrandom::u64().unwrap_or_else(|_| u64::from(*serial));
        let mut mint = Mint::new(at, *serial, noise);
        let ids = (0..count).map(|_| mint.id()).collect();
        *serial = mint.serial();
        ids
    }
}
