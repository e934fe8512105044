//! Notifications from end to end: the real daemon, phones paired at its ingress, and a push service that verifies
//! signatures and decrypts contents with nothing of the hub's own code.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a test fails

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../attacks/phone.rs"]
#[allow(dead_code, reason = "tests/attacks uses the rest")]
mod phone;
#[path = "../attacks/wire.rs"]
#[allow(dead_code, reason = "tests/attacks uses the rest")]
mod wire;

mod attacks;
mod choices;
mod delivery;
mod house;
mod looking;
mod questions;
