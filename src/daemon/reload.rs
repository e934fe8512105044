//! Reading the configuration again while we run: all of what can change changes, or nothing does.

use std::sync::Arc;

use tracing::{error, info, warn};

use crate::config::{Changed, Config, Loaded, diff_for_reload};
use crate::service::logging::Chain;

use super::{Daemon, settings};

impl Daemon {
    /// Follows the file. What is wrong with it is reported and changes nothing; what cannot change now is named.
    pub(super) fn reload(&mut self) -> Result<String, String> {
        self.ground.notifier.reloading();
        let outcome = self.try_reload();
        if let Err(told) = &outcome {
            error!("the configuration is not reloaded, nothing has changed: {told}");
        }
        self.operator
            .read_again(outcome.as_ref().map(drop).map_err(String::as_str));
        self.ground.notifier.ready(&self.operator.glance());
        outcome
    }

    fn try_reload(&mut self) -> Result<String, String> {
        let new = Config::from_process(&self.ground.args).map_err(|error| Chain(&error).to_string())?;
        let plan = diff_for_reload(&self.loaded.load().config, &new.config);
        // The only part that can fail comes first.
        self.ground
            .logging
            .set_filter(plan.config.log.level.as_str())
            .map_err(|error| Chain(&error).to_string())?;
        self.hub.set_limits(settings::limits(&plan.config));
        self.manifests.choose(settings::manifests(&plan.config));
        self.gate.store(Arc::new(settings::gate(&plan.config)));
        for warning in &new.warnings {
            warn!("{warning}");
        }
        for Changed { key, from, to } in &plan.live {
            info!(key, from, to, "changed");
        }
        for Changed { key, to, .. } in &plan.needs_restart {
            warn!(key, to, "changes at the next start only");
        }
        info!(
            live = plan.live.len(),
            needs_restart = plan.needs_restart.len(),
            "the configuration is reloaded"
        );
        let told = match plan.needs_restart.len() {
            0 => format!("ready; {} keys have changed", plan.live.len()),
            _ => {
                let keys: Vec<_> = plan.needs_restart.iter().map(|changed| changed.key).collect();
                format!(
                    "ready; {} keys have changed; for the next start: {}",
                    plan.live.len(),
                    keys.join(", ")
                )
            }
        };
        self.loaded.store(Arc::new(Loaded {
            config: plan.config,
            ..new
        }));
        Ok(told)
    }
}
