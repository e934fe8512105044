//! Socket.IO (DESIGN section 9): `/ui` for desktops of this machine, `/mobile` for phones, on the same port as
//! everything else. The only place that knows the library.
//!
//! What the library leaves open is closed here: a client that does not read is cut off (`pump`, and `hub::stall` below
//! it), requests are done in their order (`requests`), nothing is registered too late for the first event or the end
//! (`admit`), what does not fit is never dropped silently (`peer`), and every default that is too generous is set
//! (`Gateway::open`).

mod admit;
mod clients;
mod devices;
mod fanout;
mod ledger;
mod lists;
mod mobile;
mod outside;
mod peer;
mod peers;
mod pump;
mod reply;
mod requests;
mod session;
mod sync;
mod ui;
mod verbs;

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing {
    pub(crate) use super::verbs::fuzzing::socket_io;
}

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, StatusCode},
    response::{IntoResponse, Response},
};
use socketioxide::{ParserConfig, SocketIo, service::SocketIoService};
use tokio::time::timeout;
use tower::ServiceExt;
use tracing::warn;

use crate::access::Origin;
use crate::bus::Kind;
use crate::domain::DeviceId;

use super::{Hub, Line, error::RouteError, phone::refusal::Refused, raw_ws};

use self::{
    ledger::Ledger,
    outside::Outside,
    peers::Peers,
    session::{Lines, Session},
};

pub use clients::Clients;

/// Pings of ours: below the idle limits of tunnels and proxies.
const PING: Duration = Duration::from_secs(25);
/// How long a client may take to answer one.
const PONG: Duration = Duration::from_secs(20);
/// How long a session may be without a namespace.
const CONNECT: Duration = Duration::from_secs(10);
/// Packets in the library's own buffer of a client: what is there is a copy.
const BUFFER: usize = 32;
/// Read buffer of a WebSocket: clients say little, and there are many of them.
const READ_BUFFER: usize = 1024;
/// Binary parts of one packet: nothing here takes any, but whoever sends some is told so.
const BINARIES: usize = 10;
/// Where it is reached.
const PATH: &str = "/socket.io/";

/// The library's service, which answers nothing but its own path.
type Service = SocketIoService<engine::NotFound>;

/// Socket.IO of a hub. Clones are the same.
#[derive(Clone)]
pub struct Gateway {
    service: Service,
    io: SocketIo,
    shared: Arc<Shared>,
}

/// What every socket can reach.
struct Shared {
    hub: Hub,
    ui: Arc<Peers>,
    mobile: Arc<Peers>,
    lines: Lines,
    ledger: Ledger,
    outside: Outside,
}

impl Shared {
    fn peers(&self, kind: Kind) -> &Arc<Peers> {
        match kind {
            Kind::Mobile => &self.mobile,
            Kind::Ui | Kind::Raw | Kind::Inside => &self.ui,
        }
    }
}

/// True if the request is for Socket.IO.
pub(super) fn is_meant(request: &Request) -> bool {
    request.uri().path().starts_with(PATH)
}

impl Gateway {
    /// Opens both namespaces. From now on events are on their way.
    pub fn open(hub: &Hub) -> Self {
        let shared = Arc::new(Shared {
            hub: hub.clone(),
            ui: Arc::default(),
            mobile: Arc::default(),
            lines: Lines::default(),
            ledger: Ledger::default(),
            outside: Outside::default(),
        });
        let bytes = hub.limits().message_bytes;
        let parser = ParserConfig::common()
            .max_incoming_binaries(BINARIES)
            .max_incoming_binary_buf_size(bytes)
            .packet_completion_timeout(CONNECT);
        let (service, io) = SocketIo::builder()
            .ping_interval(PING)
            .ping_timeout(PONG)
            .connect_timeout(CONNECT)
            .ack_timeout(CONNECT)
            .max_buffer_size(BUFFER)
            .max_payload(bytes as u64)
            .ws_max_message_size(bytes)
            .ws_max_frame_size(bytes)
            .ws_read_buffer_size(READ_BUFFER)
            .with_parser(parser)
            .build_with_inner_svc(engine::NotFound);
        ui::open(&io, &shared);
        mobile::open(&io, &shared);
        for (kind, name) in [(Kind::Ui, "ui events"), (Kind::Mobile, "mobile events")] {
            let (heard, shared) = (hub.bus().subscribe(kind, fanout::QUEUE), shared.clone());
            hub.sockets()
                .spawn(name, move |stop| fanout::run(kind, heard, shared, stop));
        }
        let (changes, following) = (hub.devices().changes(), shared.clone());
        hub.sockets()
            .spawn("devices", move |stop| devices::follow(changes, following, stop));
        Self { service, io, shared }
    }

    /// Answers a request to Socket.IO that a door has let in; its `Entrance` is in its extensions, and if it is from
    /// outside, where from (`Origin`) and which device's half it shows (`DeviceId`).
    pub async fn answer(&self, mut request: Request) -> Response {
        let hub = &self.shared.hub;
        let line = request.extensions().get::<Line>().cloned();
        let upgrade = raw_ws::is_wanted(&request);
        match (sid(&request), line) {
            (None, line) => {
                if hub.stopping().is_cancelled() {
                    return RouteError::stopping().into_response();
                }
                if hub.open_sockets() >= hub.limits().sockets {
                    return RouteError::Unavailable("Too many sockets are open".into(), 5).into_response();
                }
                let place = request
                    .extensions()
                    .get::<DeviceId>()
                    .map(|id| self.shared.outside.place(id));
                let outside = match place {
                    Some(None) => return too_many().into_response(),
                    Some(place) => place,
                    None => None,
                };
                let from = request.extensions().get::<Origin>().cloned().unwrap_or_default();
                let line = line.filter(|_| upgrade);
                let session = Session::begin(hub.clients(), line, from, outside);
                own_head(&mut request);
                request.extensions_mut().insert(session);
            }
            (Some(sid), Some(line)) if upgrade => self.shared.lines.note(&sid, &line),
            (Some(_), _) => {}
        }
        let body_time = hub.limits().body_time;
        let sends = request.method() == Method::POST;
        let answering = self.service.clone().oneshot(request);
        let answered = match sends {
            true => match timeout(body_time, answering).await {
                Ok(answered) => answered,
                Err(_) => {
                    let message = "The request body did not arrive in time".to_owned();
                    let late = RouteError::Request(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", message);
                    return late.into_response();
                }
            },
            false => answering.await,
        };
        match answered {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        }
    }

    /// Closes every transport; what is on its way to clients goes first. Whoever does not take it within `limit` is left
    /// to the end of the connections.
    pub async fn close(&self, limit: Duration) {
        if timeout(limit, self.io.close()).await.is_err() {
            warn!("some sockets did not close in time");
        }
    }
}

fn too_many() -> Refused {
    Refused {
        code: "too_many_sockets".to_owned(),
        ..Refused::busy("Too many sockets are open: this device has four, all devices together sixty-four")
    }
}

/// Copies what was read of the request's head: the library keeps it as long as the session, and each text in it would keep
/// the whole buffer of the connection (8 KiB) alive.
fn own_head(request: &mut Request) {
    for value in request.headers_mut().values_mut() {
        if let Ok(mut own) = HeaderValue::from_bytes(value.as_bytes()) {
            own.set_sensitive(value.is_sensitive());
            *value = own;
        }
    }
    if let Ok(own) = request.uri().to_string().parse() {
        *request.uri_mut() = own;
    }
}

/// The session a request belongs to.
fn sid(request: &Request) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(name, _)| *name == "sid")
        .map(|(_, sid)| sid.to_owned())
}

/// What the library would lead to if it were asked for something else, which it is not.
mod engine {
    use std::{
        convert::Infallible,
        future::{Ready, ready},
        task::{Context, Poll},
    };

    use axum::{body::Body, extract::Request, http::StatusCode, response::Response};

    /// 404.
    #[derive(Clone, Copy, Debug)]
    pub struct NotFound;

    impl tower::Service<Request> for NotFound {
        type Response = Response;
        type Error = Infallible;
        type Future = Ready<Result<Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request) -> Self::Future {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_FOUND;
            ready(Ok(response))
        }
    }
}
