//! May this connection talk to us? The hub asks before anything else: the gate of each listener, the devices that were
//! paired, how often somebody may try; and what was done from outside is written down here.

mod audit;
mod book;
mod code;
mod credential;
mod devices;
mod gate;
pub mod nonce;
mod pairing;
mod public_url;
mod rate;

pub use audit::{Action, Audit, AuditError, Entry, Lines, Origin, Size, TextPrint};
pub use book::CHAPTER;
pub use code::Code;
pub use devices::{
    AccessError, ChangeError, CodeWatch, Credential, Denied, DeviceChange, Devices, Introduction,
    MintRefused, Minted, Paired, SpawnSlot, Unfound,
};
pub use gate::{Gate, Turned};
pub use pairing::{CodeId, Fate, Pass, Refused};
pub use public_url::PublicUrl;
