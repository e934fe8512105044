//! The programs we keep running: what they are started with, how they are asked, what their ends mean.
//!
//! How patiently they are restarted is the supervisor's business; which of them run is the daemon's.

mod binary;
mod cloudflared;
mod files;
mod redis;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing {
    pub(crate) use super::{cloudflared::fuzzing::cloudflared, redis::fuzzing::redis_reply};
}

pub use self::cloudflared::{
    Cloudflared, Kind as TunnelKind, QuickPauses, TUNNEL, TunnelParams, cloudflared, told as tunnel_told,
};
pub use self::redis::{Fsync, Login, Redis, RedisError, RedisParams, Tcp, redis_server};
