//! Where the hub listens: on the sockets that systemd opened for it, else on those of its own configuration.

use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::config::Listen;
use crate::hub::listen::{self, BindError};
use crate::service::activation::Activated;

use super::exit::StartError;

/// The listeners of the local door.
///
/// # Errors
/// An address cannot be had, or what was handed over is no socket for this door.
pub fn open(activated: Vec<Activated>, config: &Listen) -> Result<Vec<TcpListener>, StartError> {
    if activated.is_empty() {
        let own = listen::bind(&config.host, config.port)?;
        warn_of_missing(&own, config);
        return Ok(own);
    }
    info!("listening where the manager says; listen.host and listen.port are not used");
    activated
        .into_iter()
        .map(|socket| adopt(socket, config.allow_insecure_lan))
        .collect()
}

/// The rule of `listen.host` holds for sockets of others too: whoever reaches this door drives the agents.
fn adopt(socket: Activated, beyond_this_machine: bool) -> Result<TcpListener, StartError> {
    let Activated { fd, name } = socket;
    let listener = listen::adopt(fd).map_err(|source| StartError::Activated {
        name: name.clone(),
        source,
    })?;
    match listener.local_addr() {
        Ok(address) if !address.ip().is_loopback() && !beyond_this_machine => {
            Err(StartError::ActivatedBeyond { name, address })
        }
        Ok(_) => Ok(listener),
        Err(source) => Err(StartError::Activated {
            name,
            source: BindError::Handed(source),
        }),
    }
}

fn warn_of_missing(bound: &[TcpListener], config: &Listen) {
    for missing in &config.host {
        let is_there =
            |socket: &TcpListener| socket.local_addr().is_ok_and(|address| address.ip() == *missing);
        if !bound.iter().any(is_there) {
            warn!("not listening on {missing}: this machine does not have that address");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, os::fd::OwnedFd};

    use super::*;
    use crate::daemon::Exit;

    fn handed(fd: impl Into<OwnedFd>) -> Activated {
        Activated {
            fd: fd.into(),
            name: "hub".into(),
        }
    }

    #[tokio::test]
    async fn sockets_of_the_manager_are_served_in_place_of_our_own() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let served = adopt(handed(socket), false).unwrap();
        assert_eq!(served.local_addr().unwrap(), address);
        let (asked, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), served.accept());
        assert!(asked.is_ok() && accepted.is_ok());
    }

    #[tokio::test]
    async fn a_socket_that_others_can_reach_takes_the_same_word_as_in_the_configuration() {
        let open = || handed(std::net::TcpListener::bind("0.0.0.0:0").unwrap());
        let refused = adopt(open(), false).unwrap_err();
        assert_eq!(refused.exit(), Exit::Config);
        assert!(refused.to_string().contains("`hub`"), "{refused}");
        assert!(refused.remedy().unwrap().contains("listen.allow_insecure_lan"));
        assert!(adopt(open(), true).is_ok());
    }

    #[tokio::test]
    async fn what_is_no_listening_tcp_socket_is_refused_by_its_name() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let pipe = std::io::pipe().unwrap().0;
        let unix = std::os::unix::net::UnixStream::pair().unwrap().0;
        for wrong in [handed(udp), handed(pipe), handed(unix)] {
            let refused = adopt(wrong, false).unwrap_err();
            assert_eq!(refused.exit(), Exit::Config);
            assert!(refused.to_string().contains("`hub`"), "{refused}");
        }
    }
}
