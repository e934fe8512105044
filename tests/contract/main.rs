//! Holds the server to the recorded behaviour of the one it replaces; what we decided to do differently is one table.

#[path = "../harness/mod.rs"]
mod harness;

mod decided;
mod matching;
mod recording;
mod replay;
