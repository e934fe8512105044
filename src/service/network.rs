//! Noticing that the way to the network has changed: another default route, another address, none.
//!
//! The kernel is asked which address of ours it would use to reach the world; nothing is sent. Asked now and then, because
//! that is one call on every system, and a few seconds are soon enough for what follows from it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};
use tracing::info;

use crate::shutdown::TaskGroup;

/// How often we look.
pub const PACE: Duration = Duration::from_secs(5);
/// Addresses of documentation networks: out in the world, and nobody's.
const WORLD: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// Our addresses towards the world, by family; none where there is no way.
pub type Way = [Option<IpAddr>; 2];

/// The way as it is now.
pub fn way() -> Way {
    WORLD.map(|there| {
        let here: IpAddr = match there {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind(SocketAddr::new(here, 0)).ok()?;
        // Looks the route up; a datagram socket says nothing by connecting.
        socket.connect(SocketAddr::new(there, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

/// Follows the way; listeners hear of each change.
pub fn watch(group: &TaskGroup, pace: Duration) -> watch::Receiver<Way> {
    let (sender, receiver) = watch::channel(way());
    group.spawn("network", move |stop| async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pace) => {}
            }
            let now = way();
            let changed = sender.send_if_modified(|known| {
                let changed = *known != now;
                *known = now;
                changed
            });
            if changed {
                info!(?now, "the way to the network has changed");
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_way_is_stable_while_nothing_changes_and_listeners_hear_nothing() {
        let group = TaskGroup::default();
        let mut seen = watch(&group, Duration::from_millis(1));
        let before = *seen.borrow_and_update();
        assert_eq!(way(), before);
        let silent = tokio::time::timeout(Duration::from_millis(30), seen.changed()).await;
        assert!(silent.is_err(), "no change was told");
        assert!(group.close(Duration::from_secs(5)).await);
    }
}
