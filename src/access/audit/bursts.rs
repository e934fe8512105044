//! Refusals come in bursts: the first of one is a line, the others are counted, and their number is a line later.
//! Pure, over the times of the entries.

use std::collections::HashMap;

use crate::domain::Millis;

use super::{Action, Entry};

/// A burst that was quiet for so long is over, in milliseconds.
const QUIET: i64 = 60_000;
/// A burst that goes on is told of this often.
const LONGEST: i64 = 10 * 60_000;
/// Kinds of refusals counted apart; more are counted together.
const KINDS: usize = 64;

type Kind = (Action, String);

#[derive(Default)]
pub(super) struct Bursts {
    open: HashMap<Kind, Burst>,
}

struct Burst {
    since: Millis,
    last: Millis,
    times: u64,
}

impl Bursts {
    /// A refusal came; the entry is given back if it is to be written.
    pub fn heard(&mut self, entry: Entry) -> Option<Entry> {
        let mut kind = (entry.action, entry.result.clone());
        if self.open.len() >= KINDS && !self.open.contains_key(&kind) {
            kind = (Action::Other, "refused".into());
        }
        if let Some(burst) = self.open.get_mut(&kind) {
            burst.times += 1;
            burst.last = entry.at;
            return None;
        }
        let burst = Burst {
            since: entry.at,
            last: entry.at,
            times: 0,
        };
        self.open.insert(kind, burst);
        Some(entry)
    }

    /// What is to be written about bursts that are over at `now`, or have gone on for long.
    pub fn over(&mut self, now: Millis) -> Vec<Entry> {
        let mut told = Vec::new();
        self.open.retain(|kind, burst| {
            let quiet = now.0.saturating_sub(burst.last.0) >= QUIET || now < burst.last;
            let long = now.0.saturating_sub(burst.since.0) >= LONGEST;
            if (quiet || long) && burst.times > 0 {
                told.push(summary(kind, burst));
                burst.times = 0;
                burst.since = now;
            }
            !quiet
        });
        told
    }

    /// What is to be written about all of them, because nobody listens any more.
    pub fn end(&mut self) -> Vec<Entry> {
        let counted = self.open.drain().filter(|(_, burst)| burst.times > 0);
        counted.map(|(kind, burst)| summary(&kind, &burst)).collect()
    }

    #[cfg(test)]
    /// True if nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

fn summary(kind: &Kind, burst: &Burst) -> Entry {
    let mut entry = Entry::new(kind.0, burst.last)
        .refused(&kind.1)
        .note("more of the same");
    entry.times = Some(burst.times);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(at: i64, code: &str) -> Entry {
        Entry::new(Action::Authenticate, Millis(at)).refused(code)
    }

    #[test]
    fn the_first_of_a_burst_is_written_and_the_rest_are_counted() {
        let mut bursts = Bursts::default();
        assert!(bursts.heard(refusal(0, "unknown_device")).is_some());
        for at in 1..=500 {
            assert!(bursts.heard(refusal(at, "unknown_device")).is_none());
        }
        assert!(bursts.heard(refusal(3, "revoked")).is_some(), "another kind");
        assert!(bursts.over(Millis(60_499)).is_empty());
        let told = bursts.over(Millis(60_500));
        assert_eq!(
            (told.len(), told[0].times, told[0].at),
            (1, Some(500), Millis(500))
        );
        assert!(bursts.is_empty());
        assert!(bursts.heard(refusal(70_000, "unknown_device")).is_some());
    }

    #[test]
    fn a_burst_without_end_is_told_of_all_the_same() {
        let mut bursts = Bursts::default();
        let mut written = 0;
        let mut counted = 0;
        for at in (0..3_600_000).step_by(1000) {
            written += u64::from(bursts.heard(refusal(at, "rate")).is_some());
            for entry in bursts.over(Millis(at)) {
                counted += entry.times.unwrap();
            }
        }
        counted += bursts.end().iter().filter_map(|entry| entry.times).sum::<u64>();
        assert_eq!((written, written + counted), (1, 3600));
    }

    #[test]
    fn kinds_without_end_are_counted_together() {
        let mut bursts = Bursts::default();
        let lines = (0..10_000).filter_map(|n| bursts.heard(refusal(0, &n.to_string())));
        assert_eq!(lines.count(), KINDS + 1);
        assert_eq!(bursts.open.len(), KINDS + 1);
    }
}
