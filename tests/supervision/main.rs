//! The supervisor against real processes: redis-server, shells, and itself killed.

#![allow(clippy::expect_used)] // a test that cannot go on says so and ends

mod house;
mod redis_life;
