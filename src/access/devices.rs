//! Devices that were paired: who they are, what proves them, and what became of them.
//!
//! A device proves itself with two halves, both needed: one lies in a cookie that no script can read, the other where
//! only our own page finds it (SECURITY rule 6). Neither is kept: only their hashes are.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use thiserror::Error;
use tokio::sync::{broadcast, watch};

use crate::domain::{Device, DeviceId, Millis};

/// Changes that may wait for one listener; who lags asks for every device anew.
const CHANGES: usize = 256;

/// What a request shows to prove a device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credential<'a> {
    /// The half in the `__Host-maestro` cookie.
    pub cookie: Option<&'a str>,
    /// The half the page sends: `X-Maestro-Device` of a request, `auth.token` of a Socket.IO handshake.
    pub token: Option<&'a str>,
}

/// Why a device is not let in. The words are what phones get to know as `code`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Denied {
    /// Nothing, or not everything, was shown.
    #[error("this needs a paired device")]
    Unpaired,
    /// What was shown proves nothing.
    #[error("this device is not known here: pair it again")]
    Unknown,
    /// It was paired once, and is no more.
    #[error("this device was revoked: pair it again")]
    Revoked,
    /// It was not seen for too long, or paired too long ago.
    #[error("this pairing is over: pair the device again")]
    Expired,
    /// Nobody is let in now.
    #[error("the hub is locked down")]
    LockedDown,
    /// Too many wrong ones came lately.
    #[error("too many failed attempts: try again later")]
    TooMany {
        /// Seconds to wait.
        retry_after_s: u32,
    },
}

impl Denied {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unpaired => "unpaired",
            Self::Unknown => "unknown_device",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::LockedDown => "locked_down",
            Self::TooMany { .. } => "rate",
        }
    }
}

/// What became of a device that may be connected now.
#[derive(Clone, Debug)]
pub enum DeviceChange {
    /// It is no device of ours any more: close what it has open, and say why.
    Gone(DeviceId, Denied),
    /// Its name, scopes or projects are others now.
    Changed(Arc<Device>),
}

/// All paired devices. Clones share them.
#[derive(Clone)]
pub struct Devices {
    shared: Arc<Shared>,
}

struct Shared {
    known: Mutex<HashMap<DeviceId, Arc<Device>>>,
    changes: broadcast::Sender<DeviceChange>,
    open: watch::Sender<bool>,
}

impl Default for Devices {
    fn default() -> Self {
        let shared = Shared {
            known: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES),
            open: watch::Sender::new(false),
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl Devices {
    /// The device that shows this.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn authenticate(&self, shown: Credential<'_>, _now: Millis) -> Result<Arc<Device>, Denied> {
        match (shown.cookie, shown.token) {
            (Some(_), Some(_)) => Err(Denied::Unknown),
            _ => Err(Denied::Unpaired),
        }
    }

    /// A device as it is now; `None` if it is none of ours (any more).
    pub fn device(&self, id: &DeviceId) -> Option<Arc<Device>> {
        self.known().get(id).cloned()
    }

    /// What becomes of devices from now on.
    pub fn changes(&self) -> broadcast::Receiver<DeviceChange> {
        self.shared.changes.subscribe()
    }

    /// True while somebody may come in from outside: a device is paired, or a pairing code is live.
    pub fn open(&self) -> watch::Receiver<bool> {
        self.shared.open.subscribe()
    }

    // A poisoned lock is taken all the same: the map is whole after every step.
    fn known(&self) -> MutexGuard<'_, HashMap<DeviceId, Arc<Device>>> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
