//! What the hub has promised, and whether what is found keeps it. Pure: times are microseconds since any beginning.
//!
//! A request has one of three fates. *Done*: it was acknowledged, so it must be found. *Refused*: it must not be found,
//! whatever the status was. *Lost*: no answer came, so it may be found, once. What is found at a quiet moment ends the
//! doubt: it is what is so from then on.

mod claims;
mod letters;
mod questions;
mod records;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use claims::Claims;
pub use letters::{Found, Letters};
pub use questions::Questions;
pub use records::{Made, Register, Series};

use crate::harness::Reply;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged.
    Done,
    /// Answered with a refusal, or never sent.
    Refused,
    /// No answer.
    Lost,
}

impl Fate {
    pub fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Answer(200..=299, _) => Self::Done,
            Reply::Answer(..) | Reply::Unsent => Self::Refused,
            Reply::Nothing => Self::Lost,
        }
    }
}

/// Everything that was promised.
#[derive(Debug, Default)]
pub struct Model {
    /// Tasks and sessions, by the mark they were made with.
    pub made: Made,
    /// Titles of tasks, by id.
    pub titles: BTreeMap<String, Register>,
    /// Timelines, by session id.
    pub timelines: BTreeMap<String, Series>,
    pub letters: Letters,
    pub claims: Claims,
    pub questions: Questions,
    /// Agents that live, by session; those that were ended are taken out *before* that is done.
    pub alive: BTreeMap<String, String>,
    complaints: Vec<String>,
    acknowledged: BTreeMap<&'static str, u64>,
}

impl Model {
    /// Something is not as promised.
    pub fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    /// Takes over what one of the parts found.
    pub fn note(&mut self, found: Result<(), String>) {
        if let Err(what) = found {
            self.complain(what);
        }
    }

    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    pub fn count(&mut self, kind: &'static str, fate: Fate) {
        if fate == Fate::Done {
            *self.acknowledged.entry(kind).or_default() += 1;
        }
    }

    /// What was acknowledged, by kind.
    pub fn acknowledged(&self) -> &BTreeMap<&'static str, u64> {
        &self.acknowledged
    }

    /// A session was seen with this status. Who lives is never given up.
    pub fn seen(&mut self, session: &str, status: &str) {
        let Some(who) = self.alive.get(session) else {
            return;
        };
        if status == "failed" {
            self.complaints.push(format!(
                "false death: {who} of {session} lives, and its session failed"
            ));
        }
    }
}
