//! What the people and programs around the hub do with it, told through the real binary: one file per actor.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a test fails

#[path = "../harness/mod.rs"]
mod harness;

mod agent;
mod answers;
mod claims;
mod crowd;
mod desktop;
mod devices;
mod doors;
mod hubs;
mod identity;
mod liveness;
mod mail;
mod mail_home;
mod mail_shared;
mod operator;
mod page;
mod reload;
mod redis_trouble;
mod replay;
mod skills;
mod slow_client;
mod spawn;
mod start;
mod stop;
mod team;
