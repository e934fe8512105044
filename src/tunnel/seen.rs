//! The way in as others see it: a value, for those who show it.

use std::{path::PathBuf, time::Duration};

use super::check::Verdict;
use crate::access::PublicUrl;
use crate::supervisor::{Blocked, ChildStatus};

/// Whether it is open, and if not, why.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// Nobody asked for one.
    Off,
    /// Asked for, and not possible as it is configured.
    Refused(Blocked),
    /// Nobody could come in rightfully.
    NobodyPaired,
    /// An operator wants it shut.
    Held,
    /// Somebody else's proxy leads in.
    External,
    /// Ours is kept open.
    Open,
}

/// What came of asking the public address.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The address that was asked.
    pub url: String,
    /// When, in ms since the epoch.
    pub at_ms: i64,
    /// How long it took.
    pub took: Duration,
    /// Does it lead to us?
    pub verdict: Verdict,
}

/// Everything about it at one moment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `off`, `quick`, `named`, `token`, `external`.
    pub mode: &'static str,
    /// A quick tunnel: no promise, and another address at each start.
    pub trial: bool,
    /// The socket that its origin must be.
    pub ingress: PathBuf,
    /// Open, or why not.
    pub standing: Standing,
    /// The child, if we keep one.
    pub child: Option<ChildStatus>,
    /// The public address, while it is known.
    pub public: Option<PublicUrl>,
    /// The latest question to that address.
    pub checked: Option<Checked>,
}

impl Seen {
    /// Connections to Cloudflare at the last good probe of the living child.
    pub fn connections(&self) -> u32 {
        let status = self.child.as_ref().filter(|child| child.pid.is_some());
        let fact = status.and_then(|status| status.facts.get("connections")?.parse().ok());
        fact.unwrap_or_default()
    }
}
