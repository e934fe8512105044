//! The page in a phone's hand: the real daemon with the real redis-server, the stand-in for Cloudflare, TLS, and Debian's
//! Chromium. No story lets anything happen that the content policy forbids, an error of the page, or a request to anybody
//! else: each phone is asked for that at its end.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a test fails

#[path = "../harness/mod.rs"]
mod harness;

mod chain;
mod driver;
mod form;
mod notifications;
mod pairing;
mod scene;
mod trouble;
mod truth;
