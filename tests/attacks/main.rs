//! What strangers, pages from elsewhere, thieves of half a secret and impatient crowds try at the ingress, through the real
//! daemon over its unix socket; and what a paired phone may do there, and no more.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a test fails

#[path = "../harness/mod.rs"]
mod harness;

mod actions;
mod bombs;
mod closed;
mod doors;
mod flood;
mod halves;
mod mobile;
mod pairing;
mod phone;
mod projects;
mod redaction;
mod sockets;
mod spelling;
mod table;
mod wire;
