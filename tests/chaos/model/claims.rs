//! Claims: one holder at a time, and numbers that only grow.

use std::collections::{BTreeMap, BTreeSet};

/// What a machine's clocks and schedulers may differ by (µs).
const SLACK: u64 = 100_000;

#[derive(Clone, Debug)]
struct Grant {
    session: String,
    fence: u64,
    sent: u64,
    got: u64,
    /// Surely held until then, if nothing was given back.
    until: u64,
}

/// All grants of one round, by task.
#[derive(Debug, Default)]
pub struct Claims {
    grants: BTreeMap<String, Vec<Grant>>,
    /// Releases whose answer was lost: they may take effect at any time.
    unsure: BTreeSet<(String, String)>,
    /// The largest number seen before this round, by task.
    before: BTreeMap<String, u64>,
}

impl Claims {
    /// A claim was granted: asked for at `sent`, told at `got`.
    ///
    /// # Errors
    /// Two hold it at once, or a number is used twice or went back.
    pub fn granted(
        &mut self,
        task: &str,
        session: &str,
        fence: u64,
        (sent, got): (u64, u64),
        ttl: u64,
    ) -> Result<(), String> {
        if let Some(before) = self.before.get(task).filter(|before| fence < **before) {
            return Err(format!(
                "{task}: {session} got number {fence} after {before} was given"
            ));
        }
        let new = Grant {
            session: session.to_owned(),
            fence,
            sent,
            got,
            until: (sent + ttl).saturating_sub(SLACK),
        };
        let grants = self.grants.entry(task.to_owned()).or_default();
        for old in grants.iter() {
            if old.fence == fence && old.session != session {
                return Err(format!(
                    "{task}: number {fence} was given to {} and to {session}",
                    old.session
                ));
            }
            for (first, second) in [(old, &new), (&new, old)] {
                if first.got < second.sent && second.fence < first.fence {
                    return Err(format!(
                        "{task}: {} got number {} after {} had got {}",
                        second.session, second.fence, first.session, first.fence
                    ));
                }
                let sure = !self.unsure.contains(&(task.to_owned(), first.session.clone()));
                let inside = first.got < second.sent && second.got < first.until;
                if first.session != second.session && sure && inside {
                    return Err(format!(
                        "{task}: {} got it ({}) while {} held it ({})",
                        second.session, second.fence, first.session, first.fence
                    ));
                }
            }
        }
        grants.push(new);
        Ok(())
    }

    /// `session` is about to give it back: from now on it holds nothing for sure.
    pub fn releasing(&mut self, task: &str, session: &str, now: u64) {
        for grant in self.grants.entry(task.to_owned()).or_default() {
            if grant.session == session {
                grant.until = grant.until.min(now);
            }
        }
    }

    /// No answer came to that.
    pub fn unsure(&mut self, task: &str, session: &str) {
        self.unsure.insert((task.to_owned(), session.to_owned()));
    }

    /// Nothing is on its way any more.
    pub fn settle(&mut self) {
        for (task, grants) in std::mem::take(&mut self.grants) {
            let most = grants.iter().map(|grant| grant.fence).max().unwrap_or_default();
            let before = self.before.entry(task.clone()).or_default();
            *before = most.max(*before);
            let last = grants.into_iter().max_by_key(|grant| grant.fence);
            self.grants.insert(task, last.into_iter().collect());
        }
        self.unsure.clear();
    }
}
