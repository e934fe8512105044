//! May this connection talk to us? Pure decisions; the hub asks them before anything else.

mod agent_key;
mod devices;
mod gate;

pub use agent_key::{KeyError, agent_key};
pub use devices::{Credential, Denied, DeviceChange, Devices};
pub use gate::{Gate, Turned};
