//! May this connection talk to us? Pure decisions; the hub asks them before anything else.

mod gate;

pub use gate::{Gate, Turned};
