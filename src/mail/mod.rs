//! Where mail is kept: embedded in the hub's own database, or in Redis Streams; and how it moves between the two.

mod embedded;
mod moving;
mod pen;
mod streams;
#[cfg(test)]
mod suite;

pub use embedded::{CHAPTER, EmbeddedMailbox};
pub use moving::{Home, Place, Stage};
pub use streams::StreamMailbox;
