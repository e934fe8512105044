//! The supervisor against real processes: redis-server, shells, and itself killed.

mod house;
mod redis_life;
