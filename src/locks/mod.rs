//! Leases on names: in memory, or in Redis when several hubs share one.

mod local;
mod redis;
#[cfg(test)]
mod suite;
mod table;

pub use local::LocalLocks;
pub use redis::RedisLocks;
