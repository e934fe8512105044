//! Delivers committed events. Rendering, sockets and audiences are the hub's; this room knows queues only.

mod local;
mod redis;
mod replay;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing {
    pub(crate) use super::redis::fuzzing::envelopes;
}

pub use local::{Bounds, Cut, Delivery, Kind, Local, Subscription};
pub use redis::{Exchange, Outbox, Parties};
pub use replay::{Kept, Lost, Missed, Portion, Replay};
