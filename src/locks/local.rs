//! Leases in memory: the embedded default. They end with the process; fencing numbers do not start over.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::domain::Millis;
use crate::ports::{Lease, LockError, Locks, Pending};

use super::table::Table;

/// Leases of one hub.
#[derive(Debug)]
pub struct LocalLocks {
    // Held for a few map operations only, never across an await.
    table: Mutex<Table>,
    started: Instant,
}

impl LocalLocks {
    /// Fencing numbers start at the wall clock's milliseconds: above everything an earlier run handed out, as long
    /// as it granted fewer than one lease a millisecond.
    pub fn new(now: Millis) -> Self {
        let floor = u64::try_from(now.0).unwrap_or(0);
        Self {
            table: Mutex::new(Table::above(floor)),
            started: Instant::now(),
        }
    }

    /// How many names are held.
    pub fn len(&self) -> usize {
        self.table().len(self.now())
    }

    /// True if no name is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Every operation leaves the table whole, so a panic elsewhere while holding the lock spoils nothing.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ready<T: Send + 'static>(value: T) -> Pending<'static, T> {
    Box::pin(std::future::ready(value))
}

impl Locks for LocalLocks {
    fn acquire(&self, name: &str, owner: &str, ttl: Duration) -> Pending<'_, Result<Lease, LockError>> {
        ready(self.table().acquire(name, owner, ttl, self.now()))
    }

    fn renew(&self, name: &str, owner: &str, ttl: Duration) -> Pending<'_, Result<Lease, LockError>> {
        ready(self.table().renew(name, owner, ttl, self.now()))
    }

    fn release(&self, name: &str, owner: &str) -> Pending<'_, Result<bool, LockError>> {
        ready(Ok(self.table().release(name, owner, self.now())))
    }

    fn release_all(&self, owner: &str) -> Pending<'_, Result<Vec<String>, LockError>> {
        ready(Ok(self.table().release_all(owner, self.now())))
    }

    fn holder(&self, name: &str) -> Pending<'_, Result<Option<Lease>, LockError>> {
        ready(Ok(self.table().holder(name, self.now())))
    }
}
