//! How things stand with the server.

use std::time::Instant;

use super::{Server, Trouble};

/// Up since when, or down and why.
#[derive(Clone, Debug)]
pub enum LinkState {
    /// Commands are answered.
    Up(Up),
    /// They are not.
    Down(Down),
}

/// The server answers.
#[derive(Clone, Debug)]
pub struct Up {
    /// Since when without a break that we know of. Breaks that nobody could notice between two looks are shorter than
    /// [`Timings::probe_every`](super::Timings::probe_every).
    pub since: Instant,
    /// Counts the times the link came up.
    pub times: u64,
    /// Who answers. Another `run_id` than the last time is another process: what was not on its disk is gone.
    pub server: Server,
    /// Reading works, writing does not.
    pub impaired: Option<Trouble>,
}

/// The server does not answer.
#[derive(Clone, Debug)]
pub struct Down {
    /// Since when.
    pub since: Instant,
    /// Why.
    pub trouble: Trouble,
}

impl LinkState {
    pub(super) fn unknown() -> Self {
        Self::Down(Down {
            since: Instant::now(),
            trouble: Trouble::Unknown,
        })
    }

    /// The details of being up.
    pub fn up(&self) -> Option<&Up> {
        match self {
            Self::Up(up) => Some(up),
            Self::Down(_) => None,
        }
    }

    /// What is wrong; `Unknown` if nothing is.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Up(up) => up.impaired.clone().unwrap_or(Trouble::Unknown),
            Self::Down(down) => down.trouble.clone(),
        }
    }
}
