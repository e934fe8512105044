//! What the store acknowledged is there after `kill -9` and on a full disk, and nothing is there by half.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says why and stops

mod disk_full;
mod kill;
mod place;
