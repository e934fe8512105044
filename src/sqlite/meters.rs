//! What the writer thread counts of itself.

use crate::metrics::{Counter, Gauge, Histogram, Page, counter, gauge, histogram};

/// Seconds: from a fast disk to a sick one.
const SECONDS: [f64; 11] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5,
];
/// Jobs of one commit, up to the most there can be.
const JOBS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 128.0, 256.0];

/// The meters. Clones share them.
#[derive(Clone)]
pub struct Meters {
    /// From the first job of a batch to its durable end.
    pub(super) commit: Histogram,
    /// How many shared one commit.
    pub(super) batch: Histogram,
    /// How many wait for the thread.
    pub(super) waiting: Gauge,
    /// Commits that failed.
    pub(super) failed: Counter,
    /// Jobs that found the queue full.
    pub(super) refused: Counter,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            commit: histogram(
                "maestro_store_commit_duration_seconds",
                "Time of one commit, from the first change in it to its end on the disk",
                &SECONDS,
            ),
            batch: histogram(
                "maestro_store_commit_changes",
                "Changes that shared one commit",
                &JOBS,
            ),
            waiting: gauge(
                "maestro_store_queue_changes",
                "Changes that wait for the writer thread",
            ),
            failed: counter(
                "maestro_store_commit_failures_total",
                "Commits that failed; nothing of them was applied",
            ),
            refused: counter(
                "maestro_store_refused_total",
                "Changes that were refused because too many waited",
            ),
        }
    }
}

impl Meters {
    /// Puts them on `page`.
    pub fn show(&self, page: &Page) {
        page.meter(&self.commit);
        page.meter(&self.batch);
        page.meter(&self.waiting);
        page.meter(&self.failed);
        page.meter(&self.refused);
    }
}
