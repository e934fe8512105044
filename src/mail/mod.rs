//! Where mail is kept: embedded in the hub's own database.

mod embedded;
#[cfg(test)]
mod suite;

pub use embedded::{CHAPTER, EmbeddedMailbox};
