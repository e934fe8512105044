//! The supervisor against real processes: redis-server, shells, and itself killed.

#![allow(clippy::expect_used)] // a test that cannot go on says so and ends

mod adoption;
mod house;
mod program;
mod redis_life;
mod redis_trouble;
mod script;
mod shells;
