//! Everything clients see. Handlers parse, ask the application, and write the contract's JSON; they hold no rules.

mod afar;
pub mod body;
mod deed;
mod describe;
pub mod error;
mod front;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod headers;
mod identity;
pub mod ingress;
pub mod listen;
mod metrics_door;
mod openapi;
mod page;
mod path;
mod phone;
pub mod query;
mod raw_ws;
pub mod reply;
mod rest;
mod routes;
mod socket_io;
mod stall;
mod status;
mod terminals;
mod traffic;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use axum::{Router, extract::FromRef};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::access::Devices;
use crate::app::App;
use crate::bus::{Bounds, Kind, Local};
use crate::push::Push;
use crate::shutdown::TaskGroup;
use crate::skills::Skills;

use self::routes::Routes;
use self::traffic::{DoorMeter, Traffic};

pub use front::LocalDoor;
pub use metrics_door::MetricsDoor;
pub use socket_io::{Clients, Gateway};
pub use stall::{Line, LineRef, Stall};
pub use status::Readiness;
pub use terminals::Terminals;

/// What the local door is called where it is counted.
const LOCAL: &str = "local";

/// What every handler can reach. Cloning is cheap; clones share everything.
#[derive(Clone)]
pub struct Hub {
    app: App,
    bus: Local,
    skills: Arc<Skills>,
    devices: Devices,
    push: Option<Push>,
    clients: Clients,
    shared: Arc<Shared>,
}

struct Shared {
    limits: ArcSwap<Limits>,
    readiness: Readiness,
    stopping: CancellationToken,
    sockets: TaskGroup,
    in_flight: TaskTracker,
    started: Instant,
    requests: AtomicU64,
    traffic: Traffic,
}

/// How much a client may ask of us at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest request body, in bytes.
    pub body_bytes: usize,
    /// Longest time a request body may take to arrive.
    pub body_time: Duration,
    /// What may wait for one socket.
    pub queue: Bounds,
    /// Longest message a socket's client may send, in bytes.
    pub message_bytes: usize,
    /// Sockets of all kinds at once.
    pub sockets: usize,
    /// Phones' sockets among them.
    pub phones: usize,
    /// Longest time for the last words to a client.
    pub write_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            body_time: Duration::from_secs(30),
            queue: Bounds::default(),
            message_bytes: 1 << 20,
            sockets: 10_000,
            phones: 5_000,
            write_time: Duration::from_secs(10),
        }
    }
}

impl Hub {
    /// A hub over `app`, telling its clients what `bus` delivers. `stopping` is cancelled when the daemon begins to stop.
    pub fn new(
        app: App,
        bus: Local,
        skills: Skills,
        limits: Limits,
        readiness: Readiness,
        stopping: CancellationToken,
    ) -> Self {
        let shared = Shared {
            limits: ArcSwap::from_pointee(limits),
            readiness,
            stopping,
            sockets: TaskGroup::default(),
            in_flight: TaskTracker::new(),
            started: Instant::now(),
            requests: AtomicU64::new(0),
            traffic: Traffic::default(),
        };
        Self {
            app,
            bus,
            skills: Arc::new(skills),
            devices: Devices::default(),
            push: None,
            clients: Clients::default(),
            shared: Arc::new(shared),
        }
    }

    /// What can be asked.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Where events come from.
    pub fn bus(&self) -> &Local {
        &self.bus
    }

    /// Where skills are found.
    pub fn skills(&self) -> &Arc<Skills> {
        &self.skills
    }

    /// The same, knowing who was paired. Without it nobody was.
    pub fn with_devices(self, devices: Devices) -> Self {
        Self { devices, ..self }
    }

    /// Who was paired.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// The same, notifying phones that are not looking.
    pub fn with_push(self, push: Push) -> Self {
        Self {
            push: Some(push),
            ..self
        }
    }

    /// Who notifies phones, if anybody does.
    pub fn push(&self) -> Option<&Push> {
        self.push.as_ref()
    }

    /// How much a client may ask of us at once, as things stand.
    pub fn limits(&self) -> Limits {
        **self.shared.limits.load()
    }

    /// Changes the limits; what is open already keeps some of its own.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.limits.store(Arc::new(limits));
    }

    /// Cancelled when the daemon begins to stop: long polls answer at once with what they have.
    pub fn stopping(&self) -> &CancellationToken {
        &self.shared.stopping
    }

    /// What is still missing before the hub is ready.
    pub fn readiness(&self) -> &Readiness {
        &self.shared.readiness
    }

    /// The tasks of open sockets; stopping them tells their clients why.
    pub fn sockets(&self) -> &TaskGroup {
        &self.shared.sockets
    }

    /// The same, counting its clients where others see them too.
    pub fn with_clients(self, clients: Clients) -> Self {
        Self { clients, ..self }
    }

    /// Who is connected by Socket.IO.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Sockets of all kinds that are open.
    pub fn open_sockets(&self) -> usize {
        self.bus.count(Kind::Raw) + self.clients().sessions()
    }

    /// Desktops that are connected: on `/ui`, or on the raw WebSocket without a filter. One of them may own the
    /// terminal that a prompt is for.
    pub fn desktops(&self) -> usize {
        Terminals::new(self.bus.clone(), self.clients.clone()).count()
    }

    /// How many requests were answered, by route.
    pub fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    /// Requests that are being answered.
    pub fn in_flight(&self) -> &TaskTracker {
        &self.shared.in_flight
    }

    /// How long the hub has been there.
    pub fn uptime(&self) -> Duration {
        self.shared.started.elapsed()
    }

    fn next_request_id(&self) -> String {
        format!("req-{}", self.shared.requests.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl FromRef<Hub> for App {
    fn from_ref(hub: &Hub) -> Self {
        hub.app.clone()
    }
}

/// Everything that is reached by a path on the local listener.
fn routes() -> Routes {
    status::routes()
        .merge(openapi::routes())
        .merge(rest::routes())
        .merge(page::at_home())
}

fn router(hub: Hub) -> Router {
    routes()
        .into_router(|route| {
            hub.traffic()
                .route(LOCAL, traffic::method(&route.method), route.path)
        })
        .fallback(front::not_found)
        .method_not_allowed_fallback(front::not_found)
        .with_state(hub)
}
