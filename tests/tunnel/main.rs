//! The tunnel against a stand-in for cloudflared that really proxies: its states, its end, its adoption, and operators.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a test fails

#[path = "../harness/mod.rs"]
mod harness;

mod adoption;
mod check;
mod ends;
mod house;
mod operator;
mod origin;
mod phone;
mod proxy;
mod real;
mod searched;
mod secrets;
mod setup;
mod states;
