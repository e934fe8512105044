//! Who asks. Made where a request comes in, from the listener and what was proved there; never from what it says.

use std::sync::Arc;

use super::{Device, Scope, SessionId};

/// Who asks, and how far that is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody on this machine, through the local listener: as today's clients, unverified.
    Local,
    /// An agent that has proved which session is its own.
    Agent(SessionId),
    /// A paired device, from outside.
    Device(Arc<Device>),
}

impl Caller {
    /// True if the caller may do this in that project; `None` is what belongs to no project. Who is on this machine
    /// may do everything, as with the server we replace.
    pub fn may(&self, scope: Scope, project: Option<&str>) -> bool {
        match self {
            Self::Local | Self::Agent(_) => true,
            Self::Device(device) => device.may(scope, project),
        }
    }

    /// The device, if it is one.
    pub fn device(&self) -> Option<&Arc<Device>> {
        match self {
            Self::Device(device) => Some(device),
            Self::Local | Self::Agent(_) => None,
        }
    }
}
