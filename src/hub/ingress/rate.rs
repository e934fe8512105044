//! How often somebody may ask: token buckets in a table whose size never changes.
//!
//! A stranger can invent any number of addresses, so nothing is remembered per address: each falls on one of a fixed
//! number of buckets, by a hash he does not know. Two that fall on the same one share it, which costs either little.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Buckets of one table.
const BUCKETS: usize = 1024;

/// How often.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// In the long run.
    pub per_second: f64,
    /// At once, after a rest.
    pub burst: f64,
}

/// It was asked too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften {
    /// Seconds until it may be asked again; at least 1.
    pub retry_after_s: u32,
}

/// One bucket: what was left when it was last looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    spent: f64,
    at: Duration,
}

impl Bucket {
    fn take(&mut self, rate: Rate, now: Duration) -> Result<(), TooOften> {
        let regained = now.saturating_sub(self.at).as_secs_f64() * rate.per_second;
        let spent = (self.spent - regained).max(0.0);
        self.at = now;
        if spent + 1.0 > rate.burst {
            self.spent = spent;
            let wait = (spent + 1.0 - rate.burst) / rate.per_second;
            return Err(TooOften {
                retry_after_s: wait.ceil().clamp(1.0, 3600.0) as u32,
            });
        }
        self.spent = spent + 1.0;
        Ok(())
    }
}

/// A table of buckets.
pub struct Buckets {
    rate: Rate,
    began: Instant,
    hasher: RandomState,
    buckets: Mutex<Vec<Bucket>>,
}

impl Buckets {
    /// Full buckets.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            began: Instant::now(),
            hasher: RandomState::new(),
            buckets: Mutex::new(vec![Bucket::default(); BUCKETS]),
        }
    }

    /// Takes one from the bucket that `key` falls on.
    ///
    /// # Errors
    /// When there will be one in it; nothing was taken.
    pub fn take(&self, key: impl Hash) -> Result<(), TooOften> {
        self.take_at(key, self.began.elapsed())
    }

    fn take_at(&self, key: impl Hash, now: Duration) -> Result<(), TooOften> {
        // The remainder is below BUCKETS, which is small.
        let place = (self.hasher.hash_one(key) % BUCKETS as u64) as usize;
        // A bucket is whole after every step, so a poisoned lock is taken all the same.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets[place].take(self.rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 2.0,
        burst: 3.0,
    };

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_burst_passes_then_it_trickles() {
        let buckets = Buckets::new(RATE);
        let take = |at| buckets.take_at("anna", s(at));
        assert_eq!([take(0.0), take(0.0), take(0.0)], [Ok(()); 3]);
        assert_eq!(take(0.0), Err(TooOften { retry_after_s: 1 }));
        assert_eq!(
            take(0.4),
            Err(TooOften { retry_after_s: 1 }),
            "a refusal costs nothing"
        );
        assert_eq!(take(0.5), Ok(()));
        assert!(take(0.6).is_err());
        assert_eq!([take(100.0), take(100.0), take(100.0)], [Ok(()); 3]);
        assert!(take(100.0).is_err(), "a long rest is worth one burst");
    }

    #[test]
    fn a_hundred_thousand_strangers_take_no_more_room_than_one() {
        let buckets = Buckets::new(RATE);
        for n in 0..100_000 {
            let _ = buckets.take_at(n, s(0.0));
        }
        assert_eq!(buckets.buckets.lock().unwrap().len(), BUCKETS);
        assert!(buckets.take_at("me", s(2.0)).is_ok(), "and all of it comes back");
    }
}
