//! Notifications for phones that are not looking: Web Push (RFC 8030, 8291, 8292).
//!
//! What a phone is told is decided by pure functions ([`decide`], [`question`]) from what is true now, and asked again
//! when it is sent: a phone whose scopes changed meanwhile, or a question that was answered, is not told. Delivery never
//! holds anything up: each device has a short queue of its own, in which a newer word about the same thing takes the
//! place of the older one, and what cannot be delivered in time is given up.

mod address;
mod book;
mod choice;
mod content;
mod decide;
mod desk;
mod endpoint;
mod letter;
mod news;
mod office;
mod outbox;
mod post;
mod question;
mod record;
mod vapid;
mod watching;

pub use book::CHAPTER;
pub use choice::{Kinds, Privacy};
pub use desk::{Ground, Push, PushError};
pub use endpoint::{AllowList, Service};
pub use record::{Last, Shown, Stopped, Wish};
pub use vapid::VapidError;
pub use watching::{Look, Watching};
