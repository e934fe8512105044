//! Devices change while they are connected: what they may do changes at once, and who may not be here is told so and
//! closed.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::access::{Denied, DeviceChange};

use super::{
    Shared,
    peer::{End, Item},
    peers::Peers,
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
            Ok(change) => apply(&change, &shared.mobile),
            Err(RecvError::Lagged(_)) => shared.mobile.each(|peer| {
                if !peer.follow(shared.hub.devices()) {
                    peer.end(End::Gone(Denied::Revoked));
                }
            }),
            Err(RecvError::Closed) => return,
        }
    }
}

fn apply(change: &DeviceChange, peers: &Peers) {
    let id = match change {
        DeviceChange::Gone(id, _) => id,
        DeviceChange::Changed(device) => &device.id,
        // Nobody who was there before becomes another by it; phones are told by `push`.
        DeviceChange::Paired(_) => return,
    };
    peers.each(|peer| {
        if peer.device().as_ref() != Some(id) {
            return;
        }
        match change {
            DeviceChange::Gone(_, why) => peer.end(End::Gone(why.clone())),
            DeviceChange::Changed(device) => {
                peer.become_device(device);
                let told = json!({"name": device.name, "scopes": device.scopes, "projects": device.projects});
                peer.say(Item::Said("device:changed", raw(told)));
            }
            DeviceChange::Paired(_) => {}
        }
    });
}

#[cfg(test)]
mod tests {
    use crate::bus::Bounds;
    use crate::domain::{Caller, Device, Id, Millis, Scope, Scopes};
    use crate::hub::socket_io::{
        clients::Clients,
        peer::{Audience, Peer, Wants},
        peers::Seat,
    };

    use super::*;

    fn device(id: &str, scopes: &str) -> Arc<Device> {
        Arc::new(Device {
            id: Id::parse(id).unwrap(),
            name: "phone".into(),
            scopes: Scopes::parse(scopes).unwrap(),
            projects: Vec::new(),
            paired_at: Millis(1),
            last_seen: Millis(1),
        })
    }

    fn seat(peers: &Arc<Peers>, clients: &Clients, device: Arc<Device>) -> Option<Arc<Seat>> {
        let wants = Wants::Phone {
            audience: Audience::Project(Id::parse("p").unwrap()),
            sessions: Default::default(),
        };
        let caller = Caller::Device(device);
        let peer = Peer::new("sid".into(), caller, wants, None, Bounds::default());
        peers.seat(peer, 10, 4, clients.on_mobile())
    }

    #[tokio::test]
    async fn who_is_revoked_is_ended_with_the_reason_and_nobody_else_is() {
        let (peers, clients) = (Arc::new(Peers::default()), Clients::default());
        let one = seat(&peers, &clients, device("dev_1", "view")).unwrap();
        let other = seat(&peers, &clients, device("dev_2", "view")).unwrap();
        apply(
            &DeviceChange::Gone(Id::parse("dev_1").unwrap(), Denied::Revoked),
            &peers,
        );
        assert!(matches!(one.peer().next().await, Err(End::Gone(Denied::Revoked))));
        assert!(other.peer().ending().is_none());
    }

    #[tokio::test]
    async fn what_a_device_may_do_changes_at_once_and_it_is_told() {
        let (peers, clients) = (Arc::new(Peers::default()), Clients::default());
        let seat = seat(&peers, &clients, device("dev_1", "view")).unwrap();
        apply(&DeviceChange::Changed(device("dev_1", "mail")), &peers);
        let caller = seat.peer().caller();
        assert!(caller.may(Scope::Mail, None) && !caller.may(Scope::View, None));
        assert!(matches!(
            seat.peer().next().await,
            Ok(Item::Said("device:changed", _))
        ));
    }

    #[test]
    fn a_device_has_four_seats_and_each_is_given_back_once() {
        let (peers, clients) = (Arc::new(Peers::default()), Clients::default());
        let take = |id: &str| seat(&peers, &clients, device(id, "view"));
        let mut seats: Vec<_> = (0..4).filter_map(|_| take("dev_1")).collect();
        assert_eq!(
            (seats.len(), take("dev_1").is_none(), clients.mobile()),
            (4, true, 4)
        );
        let others: Vec<_> = (0..10).filter_map(|n| take(&format!("dev_{}", n + 2))).collect();
        assert_eq!(others.len(), 6, "there are ten in all");
        let gone = seats.pop().unwrap();
        peers.remove(gone.peer());
        peers.remove(gone.peer());
        drop(gone);
        assert_eq!(clients.mobile(), 9);
        assert!(take("dev_1").is_some());
    }
}
