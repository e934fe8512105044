//! Devices change while they are connected: what they may do changes at once, and who may not be here is told so and
//! closed.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::access::{Denied, DeviceChange};
use crate::domain::{Device, DeviceId};

use super::{
    Shared,
    peer::{End, Item, Peer},
    pump::raw,
};

/// Follows changes until the stop.
pub async fn follow(mut changes: Receiver<DeviceChange>, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = stop.cancelled() => return,
        };
        match change {
            Ok(DeviceChange::Gone(id, why)) => of(&id, &shared, |peer| peer.end(End::Gone(why.clone()))),
            Ok(DeviceChange::Changed(device)) => of(&device.id, &shared, |peer| changed(peer, &device)),
            Err(RecvError::Lagged(_)) => shared.mobile.each(|peer| {
                if !peer.follow(shared.hub.devices()) {
                    peer.end(End::Gone(Denied::Revoked));
                }
            }),
            Err(RecvError::Closed) => return,
        }
    }
}

fn changed(peer: &Peer, device: &Arc<Device>) {
    peer.become_device(device);
    let told = json!({"name": device.name, "scopes": device.scopes, "projects": device.projects});
    peer.say(Item::Said("device:changed", raw(told)));
}

fn of(id: &DeviceId, shared: &Shared, mut act: impl FnMut(&Peer)) {
    shared.mobile.each(|peer| {
        if peer.device().as_ref() == Some(id) {
            act(peer);
        }
    });
}
