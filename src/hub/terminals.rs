//! Desktops: the programs that own terminals. None says that it is one; what it listens to tells.

use crate::bus::{Kind, Local};
use crate::ports::Desktops;

use super::Clients;

/// Desktops that are connected, by either protocol.
#[derive(Clone)]
pub struct Terminals {
    bus: Local,
    clients: Clients,
}

impl Terminals {
    /// Those who hear `bus` over the raw protocol, or are counted among `clients`.
    pub fn new(bus: Local, clients: Clients) -> Self {
        Self { bus, clients }
    }

    /// How many: everybody on `/ui`, and who hears the raw protocol's events of every session.
    pub fn count(&self) -> usize {
        self.clients.ui() + self.bus.unfiltered(Kind::Raw)
    }
}

impl Desktops for Terminals {
    fn connected(&self) -> bool {
        self.count() > 0
    }
}
