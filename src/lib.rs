//! maestro keeps a computer full of coding agents a dependable hub.
//!
//! This page is the table of contents, in reading order; docs/ARCHITECTURE.md is the map with the invariants.
//! `tests/layering.rs` holds which room may name which.

pub mod domain; // what is true: records, rules, events; names nobody
pub mod ports; // the edges: what the application asks of the world, one page of traits
pub mod access; // may this connection talk to us
pub mod app; // what can be asked: one noun per file, one function per use case

pub mod bus; // delivers committed events
pub mod locks; // leases with fencing numbers
pub mod manifest; // manifests of spawned sessions: our own, or the external program's
pub mod mail; // where mail is kept: embedded, or in Redis Streams
pub mod children; // the programs we keep running: redis-server, cloudflared
pub mod clock; // the only wall clock
pub mod skills; // folders with a SKILL.md, found where agents look for them
pub mod store; // durable state: one SQLite file, with the records in memory

pub mod presence; // is the agent alive
pub mod push; // notifications for phones that are not looking
pub mod tunnel; // the way in from outside: which one, whether it is wanted, its address, whether that leads to us
pub mod hub; // everything clients see
pub mod control; // the local socket: what an operator may ask of the running daemon
pub mod ctl; // maestroctl: one file per command, a call and a rendering

pub mod daemon; // the wiring: names every concrete adapter; build, run, stop order

pub mod supervisor; // keeps a child process running; knows nothing of redis or tunnels
pub mod process; // which process is this, does it live, tell me when it ends
pub mod redis_link; // the one way to redis: up since when, or down and why
pub mod sqlite; // one file, one writer thread, group commit, migrations, backup; names no domain
pub mod config; // TOML, environment and flags become one checked Config with origins
pub mod metrics; // how the daemon counts, and the page that shows it to Prometheus
pub mod service; // us and the init system: signals, sd_notify, journald, sleep
pub mod outward; // one bounded question to somebody outside
pub mod private_socket; // a unix socket for this user alone
pub mod crash; // where tests kill the daemon; nothing of it is in a release
pub mod shutdown; // tasks that are stopped and waited for together

#[cfg(any(test, fuzzing))]
pub mod fuzzing; // every parser of bytes that others made, and what must hold for any of them
