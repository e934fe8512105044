//! The way in from outside, wired: who says that somebody may come in, who counts phones, who hears of it.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use tracing::debug;

use crate::access::nonce::Prover;
use crate::bus::Kind;
use crate::config::Config;
use crate::hub::{Hub, listen::INGRESS_SOCKET};
use crate::service::{
    manager::{Manager, Owner},
    network,
};
use crate::shutdown::TaskGroup;
use crate::supervisor::{Grouping, Handle, Nudge, Transition};
use crate::tunnel::{CHECK_EVERY, Parts, Tunnel};

use super::exit::StartError;

/// Takes up what `config` asks for. `wanted`: somebody could come in rightfully.
///
/// # Errors
/// The system has no randomness for a secret.
pub async fn start(
    config: &Config,
    owner: &Owner,
    hub: &Hub,
    wanted: watch::Receiver<bool>,
    groups: (&TaskGroup, &TaskGroup),
    transitions: broadcast::Sender<Transition>,
) -> Result<Tunnel, StartError> {
    let (children, background) = groups;
    let prover = Prover::new().map_err(|error| StartError::System("make a secret", error.into()))?;
    let bus = hub.bus().clone();
    let parts = Parts {
        wanted,
        phones: Arc::new(move || bus.count(Kind::Mobile)),
        prover,
        ingress: config.runtime_dir.join(INGRESS_SOCKET),
        grouping: match owner.manager {
            Manager::Launchd { .. } => Grouping::Ours, // launchd sweeps our group when we die
            _ => Grouping::Own,
        },
        check_every: CHECK_EVERY,
    };
    Ok(Tunnel::start(config, parts, children, background, transitions).await)
}

/// Looks at the tunnel right after the way to the network has changed.
pub fn nudge_on_network_change(child: Handle, group: &TaskGroup) {
    let mut routes = network::watch(group, network::PACE);
    group.spawn("network change", move |stop| async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = routes.changed() => if changed.is_err() { return },
            }
            if child.nudge(Nudge::Network).await.is_err() {
                debug!("nobody is left to be told of the network");
                return;
            }
        }
    });
}
