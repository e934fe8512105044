//! Durations by the hundred thousand, in a little memory: sixteen steps for each doubling.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const STEPS: u64 = 16;
const BUCKETS: usize = 40 * 16;

/// Counts; anybody may note anything at any time.
pub struct Histogram(Vec<AtomicU64>);

/// What was noted in a stretch of time.
pub struct Counts {
    counts: Vec<u64>,
    pub count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Histogram {
    pub fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(STEPS);
        let doubling = u64::from(micros.ilog2());
        // The four bits behind the first one.
        let step = (micros >> (doubling - 4)) - STEPS;
        let at = usize::try_from((doubling - 4) * STEPS + step).unwrap_or(BUCKETS);
        self.0[at.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// What was noted since the last time, taken out.
    pub fn take(&self) -> Counts {
        let counts: Vec<u64> = self
            .0
            .iter()
            .map(|count| count.swap(0, Ordering::Relaxed))
            .collect();
        Counts {
            count: counts.iter().sum(),
            counts,
        }
    }
}

impl Counts {
    /// Milliseconds within which this share of all were.
    pub fn at(&self, share: f64) -> f64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && *count > 0 {
                let (doubling, step) = (at as u64 / STEPS, at as u64 % STEPS);
                return ((STEPS + step + 1) << doubling) as f64 / 1000.0;
            }
        }
        0.0
    }
}
