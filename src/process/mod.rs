//! Processes as the kernel knows them: which one is this, does it live, tell me when it ends. Starts and decides nothing.

pub mod clock;
pub mod identity;
mod watch;

pub use self::{
    identity::{Identity, Image, Life},
    watch::Watch,
};
