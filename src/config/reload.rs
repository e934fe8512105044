//! What a reload may change while we run, and what has to wait for a restart.

use super::{
    keys::Config,
    table::{Key, Reload},
};

/// A key whose value is another one than before. Secrets are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub key: &'static str,
    pub from: String,
    pub to: String,
}

/// The answer to "the file has changed: what now?".
#[derive(Clone, Debug)]
pub struct ReloadPlan {
    /// The configuration to use from now on: the old one with the live changes.
    pub config: Config,
    /// What has changed in it.
    pub live: Vec<Changed>,
    /// What has been written and takes effect at the next start.
    pub needs_restart: Vec<Changed>,
}

impl ReloadPlan {
    /// True if the file says what it said before.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.needs_restart.is_empty()
    }
}

/// Compares the configuration in use with a new one that has been checked.
pub fn diff_for_reload(old: &Config, new: &Config) -> ReloadPlan {
    let mut plan = ReloadPlan {
        config: old.clone(),
        live: Vec::new(),
        needs_restart: Vec::new(),
    };
    plan.config.adopt_live(new);
    old.compare(new, &mut |key: &'static Key, from, to| {
        let changed = Changed {
            key: key.name,
            from: from.shown(),
            to: to.shown(),
        };
        match key.reload {
            Reload::Live => plan.live.push(changed),
            Reload::Restart => plan.needs_restart.push(changed),
        }
    });
    plan
}
