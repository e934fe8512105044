//! Keeps a child process running: a pure state machine and a thin driver.

mod child;
mod event;
mod machine;
mod policy;

pub use self::{child::*, event::*, machine::step, policy::*};
