//! May this connection talk to us? Pure decisions; the hub asks them before anything else.

mod devices;
mod gate;

pub use devices::{Credential, Denied, DeviceChange, Devices};
pub use gate::{Gate, Turned};
