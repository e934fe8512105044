//! Pairing codes that are live, and what became of those that are not: pure, over a clock value.
//!
//! They live in memory only. A restart ends them, which costs a new `maestroctl pair` and saves a file that could be
//! read, restored or forgotten. The text of a code is not kept, not even here: only its hash.

use std::collections::VecDeque;

use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::domain::{DeviceId, Millis, ProjectId, Scopes};

use super::Code;

/// So long a code can be redeemed, in milliseconds.
pub(super) const LIFE: i64 = 10 * 60 * 1000;
/// So many can be live at once.
pub(super) const MOST: usize = 3;
/// So many wrong guesses, whichever code they were meant for, end all that are live.
pub(super) const GUESSES: u32 = 10;
/// So many that ended are remembered, to say what became of them.
const REMEMBERED: usize = 32;

/// What a code gives, fixed when it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The device's name, if it is not to choose it itself.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// The projects it may see; none named means all.
    pub projects: Vec<ProjectId>,
}

impl Default for Pass {
    fn default() -> Self {
        Self {
            name: None,
            scopes: Scopes::of_a_phone(),
            projects: Vec::new(),
        }
    }
}

/// Names a code without giving it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodeId(pub u64);

/// What became of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It can be redeemed.
    Live,
    /// It was, by this device.
    Redeemed(DeviceId),
    /// Its time was over.
    Expired,
    /// Too many wrong codes were tried.
    Burned,
    /// It was taken back.
    Withdrawn,
}

/// Why a code lets nobody in. The words are what the phone gets to know as `code`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// It can be no code at all.
    #[error("a pairing code has eight letters and digits")]
    Malformed,
    /// There is no such code.
    #[error("this is not a code that is waiting: look again, or have a new one made")]
    Wrong,
    /// It was used before.
    #[error("this code was used already: have a new one made")]
    Spent,
    /// Its time is over.
    #[error("this code is over: have a new one made")]
    Expired,
    /// Too many wrong codes were tried while it was live.
    #[error("this code was given up because too many wrong ones were tried: have a new one made")]
    Burned,
    /// It was taken back.
    #[error("this code was taken back: have a new one made")]
    Withdrawn,
    /// Nobody is let in now.
    #[error("the hub is locked down")]
    LockedDown,
    /// Too many wrong ones came lately from there.
    #[error("too many failed attempts: try again later")]
    TooMany {
        /// Seconds to wait.
        retry_after_s: u32,
    },
    /// No more devices can be paired.
    #[error("too many devices are paired: revoke one first")]
    TooManyDevices,
    /// It could not be written down, so it did not happen. The code can be tried again.
    #[error("the pairing could not be written down: {0}")]
    Unwritten(String),
}

impl Refused {
    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed_code",
            Self::Wrong => "wrong_code",
            Self::Spent => "spent_code",
            Self::Expired => "expired_code",
            Self::Burned => "burned_code",
            Self::Withdrawn => "withdrawn_code",
            Self::LockedDown => "locked_down",
            Self::TooMany { .. } => "rate",
            Self::TooManyDevices => "too_many_devices",
            Self::Unwritten(_) => "unwritten",
        }
    }
}

/// Too many codes are live already.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{MOST} pairing codes are live already")]
pub struct TooManyCodes;

/// All codes.
#[derive(Default)]
pub(super) struct Codes {
    live: Vec<Live>,
    ended: VecDeque<Ended>,
    made: u64,
    wrong: u32,
    burns: u64,
}

struct Live {
    id: CodeId,
    print: [u8; 32],
    pass: Pass,
    expires_at: Millis,
    /// Somebody has shown it, and is being written down.
    taken: bool,
}

struct Ended {
    id: CodeId,
    print: [u8; 32],
    fate: Fate,
}

impl Codes {
    /// Takes in a new code; when it ends.
    pub fn mint(&mut self, code: &Code, pass: Pass, now: Millis) -> Result<(CodeId, Millis), TooManyCodes> {
        self.sweep(now);
        if self.live.len() >= MOST {
            return Err(TooManyCodes);
        }
        self.made += 1;
        let (id, expires_at) = (CodeId(self.made), Millis(now.0.saturating_add(LIFE)));
        self.live.push(Live {
            id,
            print: code.print(),
            pass,
            expires_at,
            taken: false,
        });
        Ok((id, expires_at))
    }

    /// Somebody shows a code. If it is live it is theirs until [`settle`](Self::settle) or [`release`](Self::release).
    pub fn take(&mut self, shown: &Code, now: Millis) -> Result<(CodeId, Pass), Refused> {
        self.sweep(now);
        let print = shown.print();
        // All are compared, so that the time says nothing about how near a guess was.
        let mut found = None;
        for live in &mut self.live {
            if bool::from(live.print.ct_eq(&print)) {
                found = Some(live);
            }
        }
        if let Some(live) = found {
            if live.taken {
                return Err(Refused::Spent);
            }
            live.taken = true;
            return Ok((live.id, live.pass.clone()));
        }
        if let Some(ended) = self.ended.iter().rev().find(|ended| ended.print == print) {
            // No guess: whoever has it, had it. A home-screen icon starts at its spent code for ever.
            return Err(match ended.fate {
                Fate::Live | Fate::Redeemed(_) => Refused::Spent,
                Fate::Expired => Refused::Expired,
                Fate::Burned => Refused::Burned,
                Fate::Withdrawn => Refused::Withdrawn,
            });
        }
        if !self.live.is_empty() {
            self.wrong += 1;
            if self.wrong >= GUESSES {
                self.wrong = 0;
                self.burns += u64::from(self.end(|live| !live.taken, &Fate::Burned) > 0);
            }
        }
        Err(Refused::Wrong)
    }

    /// The taken code let this device in.
    pub fn settle(&mut self, id: CodeId, device: DeviceId) {
        self.end(|live| live.id == id, &Fate::Redeemed(device));
    }

    /// The taken code can be shown again.
    pub fn release(&mut self, id: CodeId) {
        if let Some(live) = self.live.iter_mut().find(|live| live.id == id) {
            live.taken = false;
        }
    }

    /// Takes a code back; false if it is not live.
    pub fn withdraw(&mut self, id: CodeId) -> bool {
        self.end(|live| live.id == id && !live.taken, &Fate::Withdrawn) > 0
    }

    /// Takes all back that nobody holds; how many.
    pub fn withdraw_all(&mut self) -> usize {
        self.end(|live| !live.taken, &Fate::Withdrawn)
    }

    /// Ends those whose time is over; how many.
    pub fn sweep(&mut self, now: Millis) -> usize {
        let over = |live: &Live| {
            // A clock that was set back gives no code a longer life.
            let early = live.expires_at.0.saturating_sub(now.0) > LIFE;
            !live.taken && (now >= live.expires_at || early)
        };
        self.end(over, &Fate::Expired)
    }

    /// What became of a code; one that is not known is over.
    pub fn fate(&self, id: CodeId) -> Fate {
        if self.live.iter().any(|live| live.id == id) {
            return Fate::Live;
        }
        let ended = self.ended.iter().find(|ended| ended.id == id);
        ended.map_or(Fate::Expired, |ended| ended.fate.clone())
    }

    /// How often live codes were given up because of wrong guesses.
    pub fn burns(&self) -> u64 {
        self.burns
    }

    /// How many are live.
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// When the next one ends by itself.
    pub fn next_end(&self) -> Option<Millis> {
        self.live.iter().map(|live| live.expires_at).min()
    }

    fn end(&mut self, which: impl Fn(&Live) -> bool, fate: &Fate) -> usize {
        let before = self.live.len();
        self.live.retain(|live| {
            let stays = !which(live);
            if !stays {
                self.ended.push_back(Ended {
                    id: live.id,
                    print: live.print,
                    fate: fate.clone(),
                });
            }
            stays
        });
        while self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
        if self.live.is_empty() {
            self.wrong = 0;
        }
        before - self.live.len()
    }
}

#[cfg(test)]
mod tests;
