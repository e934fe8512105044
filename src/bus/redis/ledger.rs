//! What was heard of whom: repeats and gaps are found here. Pure.

use std::collections::HashMap;

use super::envelope::Envelope;

/// Sources that are remembered; the one that was silent longest is forgotten first.
const MOST: usize = 1024;

/// What to do with what was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new.
    New,
    /// It is new, and something before it was missed.
    AfterGap,
    /// It is our own, or was heard before.
    Drop,
}

#[derive(Debug)]
pub(super) struct Ledger {
    own: String,
    sources: HashMap<String, Source>,
    turn: u64,
}

#[derive(Debug)]
struct Source {
    epoch: String,
    seq: u64,
    turn: u64,
}

impl Ledger {
    /// `own`: the source that is ourselves.
    pub fn new(own: String) -> Self {
        Self {
            own,
            sources: HashMap::new(),
            turn: 0,
        }
    }

    pub fn judge(&mut self, heard: &Envelope<'_>) -> Verdict {
        let Some(source) = &heard.source_id else {
            return Verdict::New;
        };
        if *source == self.own {
            return Verdict::Drop;
        }
        let Some(seq) = heard.seq else {
            return Verdict::New;
        };
        let epoch = heard.epoch.as_deref().unwrap_or_default();
        self.turn += 1;
        let verdict = match self.sources.get(source) {
            // Whoever is heard for the first time may have said much: nobody had reason to listen.
            None => Verdict::New,
            Some(known) if known.epoch != epoch => match heard.prev {
                Some(0) | None => Verdict::New,
                Some(_) => Verdict::AfterGap,
            },
            Some(known) if seq <= known.seq => return Verdict::Drop,
            Some(known) => match heard.prev.unwrap_or(seq - 1) {
                prev if prev <= known.seq => Verdict::New,
                _ => Verdict::AfterGap,
            },
        };
        self.remember(source, epoch, seq);
        verdict
    }

    fn remember(&mut self, source: &str, epoch: &str, seq: u64) {
        if self.sources.len() >= MOST && !self.sources.contains_key(source) {
            let silent = self.sources.iter().min_by_key(|(_, known)| known.turn);
            if let Some(silent) = silent.map(|(name, _)| name.clone()) {
                self.sources.remove(&silent);
            }
        }
        let known = Source {
            epoch: epoch.to_owned(),
            seq,
            turn: self.turn,
        };
        self.sources.insert(source.to_owned(), known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(ledger: &mut Ledger, source: &str, epoch: &str, seq: u64, prev: Option<u64>) -> Verdict {
        let data = serde_json::value::RawValue::from_string("1".into()).unwrap();
        ledger.judge(&Envelope {
            source_id: Some(source.into()),
            epoch: Some(epoch.into()),
            seq: Some(seq),
            prev,
            event: None,
            data: &data,
            session_id: None,
            project_id: None,
        })
    }

    #[test]
    fn our_own_words_and_repeats_are_dropped_and_gaps_are_noticed() {
        let mut ledger = Ledger::new("me".into());
        for (source, epoch, seq, prev, verdict) in [
            ("me", "e", 1, Some(0), Verdict::Drop),
            ("a", "e", 7, Some(5), Verdict::New), // heard for the first time
            ("a", "e", 7, Some(5), Verdict::Drop),
            ("a", "e", 3, Some(2), Verdict::Drop),
            ("a", "e", 9, Some(7), Verdict::New), // it heard 8 from somebody else
            ("b", "e", 1, None, Verdict::New),
            ("b", "e", 2, None, Verdict::New),
            ("b", "e", 4, None, Verdict::AfterGap),
            ("a", "e", 12, Some(11), Verdict::AfterGap),
            ("a", "e", 13, Some(12), Verdict::New),
            ("a", "f", 1, Some(0), Verdict::New), // started anew
            ("a", "g", 5, Some(4), Verdict::AfterGap),
        ] {
            assert_eq!(
                heard(&mut ledger, source, epoch, seq, prev),
                verdict,
                "{source} {epoch} {seq}"
            );
        }
    }

    #[test]
    fn no_more_sources_are_remembered_than_there_is_room_for() {
        let mut ledger = Ledger::new("me".into());
        for n in 0..3 * MOST {
            heard(&mut ledger, &format!("s{n}"), "e", 1, None);
            heard(&mut ledger, "constant", "e", n as u64 + 1, None);
        }
        assert_eq!(ledger.sources.len(), MOST);
        assert_eq!(heard(&mut ledger, "constant", "e", 5, None), Verdict::Drop);
    }
}
