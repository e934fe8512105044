//! Where mail is kept: embedded in the hub's own database, or in Redis Streams; and how it moves between the two.

mod embedded;
mod home;
mod moving;
mod pen;
mod receipt;
#[cfg(test)]
mod stand_in;
mod streams;
#[cfg(test)]
mod suite;

pub use embedded::{CHAPTER, Elsewhere, EmbeddedMailbox};
pub use home::Home;
pub use moving::{Place, Stage};
pub use receipt::Receipt;
#[cfg(test)]
pub(crate) use stand_in::StandIn;
pub use streams::StreamMailbox;
