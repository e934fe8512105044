//! Us and the init system: signals, readiness, logging, sleep, limits, and the lock that makes us the only one.
//!
//! Nothing here knows what the daemon does; off systemd and off launchd all of it still works, or does nothing.

pub mod activation;
pub mod lock;
mod log_file;
mod log_writer;
pub mod logging;
pub mod manager;
pub mod memory;
pub mod network;
pub mod notify;
pub mod recent;
pub mod rlimit;
pub mod signals;
pub mod sleep;
