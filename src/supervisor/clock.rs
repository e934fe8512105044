//! The two clocks of supervision, and its chance. The rules get them as values; only the driver reads them.

pub use crate::process::clock::{boot, wall_ms};

use crate::process::clock::awake;

use super::event::Moment;

/// Now, on both clocks, with a freshly drawn jitter.
pub fn now() -> Moment {
    Moment {
        boot: boot(),
        awake: awake(),
        jitter: jitter(),
    }
}

/// Uniform between 0.8 and 1.2. Without a random source everybody retries in step: harmless here.
fn jitter() -> f64 {
    let draw = getrandom::u32().unwrap_or(u32::MAX / 2);
    0.8 + 0.4 * f64::from(draw) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_in_its_range() {
        assert!((0..200).all(|_| (0.8..=1.2).contains(&jitter())));
    }
}
