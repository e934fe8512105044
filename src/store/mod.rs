//! Durable state in one SQLite file, with what is asked all the time in memory.
//!
//! The file is the truth. The records (a session without its histories) are held in memory as one immutable
//! [`model::Model`]: a view is a pointer to it, a transaction changes a copy that shares everything else, and a commit
//! swaps the pointer. Histories are rows of their own, read when needed and kept in a cache of bounded size.
//!
//! A rule runs inside the writer thread of `sqlite`, on a copy that already holds what earlier rules of the same
//! batch did. After the `COMMIT`, and for each rule in turn: the copy becomes the committed model, its events go to the
//! bus, the caller is answered. If the `COMMIT` fails the copies are dropped, and nobody saw anything.
//!
//! It deliberately does not decide anything (rules do), and it keeps no mail (the mailbox is a room of its own, with
//! tables in the same file).

mod draft;
mod embedded;
mod histories;
mod index;
pub mod layout;
mod model;
mod rows;
mod snapshot;
#[cfg(test)]
mod tests;

pub use embedded::Embedded;
pub use rows::CHAPTER;
