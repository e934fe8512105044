//! Leases on names: in memory, or in Redis when several hubs share one.

mod local;
mod table;

pub use local::LocalLocks;
