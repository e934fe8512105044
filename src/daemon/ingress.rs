//! The way in from outside: its socket, its door, its limits, and what the status says of it. If it cannot be opened the
//! rest runs without it, and everybody who asks is told why (SECURITY rule 20).

use std::{path::PathBuf, time::Duration};

use tokio::sync::watch;
use tracing::{info, warn};

use crate::access::PublicUrl;
use crate::config::{Config, TunnelMode};
use crate::control::protocol::{Component, State, Warning};
use crate::hub::{
    Gateway, Hub,
    ingress::{Addresses, Guard, Guarding, IngressDoor, IngressLimits},
    listen::{Connections, INGRESS_SOCKET, Listener},
};
use crate::private_socket::PrivateSocket;
use crate::service::logging::Chain;
use crate::shutdown::TaskGroup;
use crate::tunnel::Tunnel;

/// Under this name the status has it.
const NAME: &str = "ingress";

/// The ingress, open or not.
pub struct Ingress {
    connections: Connections,
    listeners: TaskGroup,
    standing: Standing,
}

/// What is said of it to operators. Clones say the same.
#[derive(Clone)]
pub struct Standing {
    public: watch::Receiver<Option<PublicUrl>>,
    hub: Hub,
    place: Place,
    since: i64,
}

#[derive(Clone, Debug)]
enum Place {
    /// Nobody wants one.
    Off,
    /// It was wanted, and cannot be.
    Closed(Closed),
    /// It is served there.
    Socket(PathBuf),
}

/// Why it is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    why: String,
    remedy: String,
}

/// Nothing, if the public address that is configured is one for which browsers keep a secret. That of a quick tunnel is
/// known only once it is there, and is one.
fn check_address(config: &Config) -> Result<(), Closed> {
    let named = matches!(
        config.tunnel.mode,
        TunnelMode::Named | TunnelMode::Token | TunnelMode::External
    );
    let Some(url) = config.public_url().filter(|_| named) else {
        return Ok(());
    };
    let url = url.as_str();
    match PublicUrl::parse(url).filter(|public| public.origin() == url) {
        Some(public) if public.origin().starts_with("https://") || is_loopback(&public) => Ok(()),
        Some(_) => Err(Closed {
            why: format!("{url} is not encrypted: no browser keeps a device's secret for it"),
            remedy: "use an https:// address".to_owned(),
        }),
        None => Err(Closed {
            why: format!("{url} is no address of a whole host"),
            remedy: "set it to https://<host>, without a path".to_owned(),
        }),
    }
}

/// Browsers trust this machine without encryption.
fn is_loopback(url: &PublicUrl) -> bool {
    matches!(url.host(), "localhost" | "127.0.0.1" | "[::1]")
}

impl Ingress {
    /// Opens it if the configuration wants one, under the address of `tunnel`; until there is one, every name is a wrong
    /// one. Call it only while holding the daemon's lock.
    pub async fn open(config: &Config, hub: &Hub, gateway: &Gateway, tunnel: &Tunnel) -> Self {
        let limits = IngressLimits::default();
        let connections = Connections::new(limits.connections);
        let listeners = TaskGroup::default();
        let place = match Self::bind(config).await {
            Ok(None) => Place::Off,
            Err(closed) => {
                warn!(
                    "nothing is served to the outside: {} → {}",
                    closed.why, closed.remedy
                );
                Place::Closed(closed)
            }
            Ok(Some(socket)) => {
                let path = socket.path().to_owned();
                info!(socket = %path.display(), "the ingress listens");
                let guard = Guard::new(guarding(config, hub, tunnel, limits));
                let door = IngressDoor::new(hub.clone(), gateway.clone(), guard);
                let serving = connections.clone();
                listeners.spawn(NAME, move |stop| {
                    serving.accept(Listener::Unix(socket), door, stop)
                });
                Place::Socket(path)
            }
        };
        let standing = Standing {
            public: tunnel.public_url(),
            place,
            since: hub.app().now().0,
            hub: hub.clone(),
        };
        Self {
            connections,
            listeners,
            standing,
        }
    }

    async fn bind(config: &Config) -> Result<Option<PrivateSocket>, Closed> {
        if config.tunnel.mode == TunnelMode::Off {
            return Ok(None);
        }
        check_address(config)?;
        let path = config.runtime_dir.join(INGRESS_SOCKET);
        let socket = PrivateSocket::bind(&path).await;
        socket.map(Some).map_err(|error| Closed {
            why: Chain(&error).to_string(),
            remedy: format!("make way for {}, then restart", path.display()),
        })
    }

    /// What is said of it.
    pub fn standing(&self) -> Standing {
        self.standing.clone()
    }

    /// Connections from outside.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Tells every connection to end after the answer it is at.
    pub fn finish(&self) {
        self.connections.finish();
    }

    /// Ends it: no more connections, and what is at an answer gets `grace`.
    pub async fn close(&self, grace: Duration) {
        self.listeners.close(grace).await;
        self.connections.close(grace).await;
    }
}

fn guarding(config: &Config, hub: &Hub, tunnel: &Tunnel, limits: IngressLimits) -> Guarding {
    let mode = config.tunnel.mode;
    Guarding {
        devices: hub.devices().clone(),
        public: tunnel.public_url(),
        prover: Some(tunnel.prover().clone()),
        // The name of a quick tunnel will be somebody else's soon; what stands behind another proxy is not ours to say.
        stable: matches!(mode, TunnelMode::Named | TunnelMode::Token),
        trial: mode == TunnelMode::Quick,
        addresses: match mode {
            TunnelMode::Quick | TunnelMode::Named | TunnelMode::Token => Addresses::Cloudflare,
            TunnelMode::External | TunnelMode::Off => Addresses::Unknown,
        },
        limits,
    }
}

impl Standing {
    /// Its line in the status.
    pub fn component(&self) -> Component {
        let component = Component {
            name: NAME.into(),
            since: self.since,
            ..Component::default()
        };
        match &self.place {
            Place::Off => Component {
                state: State::Off,
                detail: "tunnel.mode is off: nobody comes in from outside".into(),
                ..component
            },
            Place::Closed(closed) => Component {
                state: State::Blocked,
                reason: Some(closed.why.clone()),
                remedy: Some(closed.remedy.clone()),
                ..component
            },
            Place::Socket(path) => {
                let public = self.public.borrow().clone();
                let name = public.map_or("no public address yet".into(), |url| url.to_string());
                let open = *self.hub.devices().open().borrow();
                let who = if open {
                    ""
                } else {
                    "; nobody is paired: maestroctl pair"
                };
                Component {
                    state: State::Ready,
                    detail: format!("{name} at {}{who}", path.display()),
                    ..component
                }
            }
        }
    }

    /// What an operator should know first, if there is something.
    pub fn warning(&self) -> Option<Warning> {
        match &self.place {
            Place::Closed(closed) => Some(Warning {
                code: "ingress_closed".into(),
                text: format!("nothing is served to the outside: {}", closed.why),
                remedy: Some(closed.remedy.clone()),
            }),
            Place::Off | Place::Socket(_) => None,
        }
    }
}
