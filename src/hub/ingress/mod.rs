//! The ingress: the one listener that strangers reach, through the tunnel (SECURITY rules 1 to 4).
//!
//! Nothing is trusted here but what a device proves. In this order: by which name are we called, from which page, how is
//! the target spelled, is there such a route in the table; then the lock that hangs on the route asks who it is and what
//! he may do. There is no door without a guard, and no way from here to the router of the local listener.

mod guard;
mod lock;
mod once;
mod pairing;
mod rate;
mod rest;
mod spelling;
pub mod table;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    Router,
    body::Body,
    extract::{FromRef, Request},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http_body_util::Limited;
use tower::ServiceExt;
use tracing::{debug, error};

use crate::access::{Denied, PublicUrl};
use crate::app::App;

use super::{
    DoorMeter, Hub,
    front::REQUEST_ID,
    headers,
    listen::{Door, Entrance, OnTrial},
    phone::refusal::Refused,
    raw_ws,
    socket_io::{self, Gateway},
    traffic,
};

use self::{guard::Unwelcome, lock::Lock, rate::TooOften, spelling::Misspelled, table::Decision};

pub use guard::{Addresses, COOKIE, DEVICE, Guard, Guarding, IngressLimits};

/// What this door is called where it is counted.
const INGRESS: &str = "ingress";
/// Where Socket.IO speaks.
const SOCKET_IO: &str = "/socket.io/";

/// What the handlers of the ingress can reach.
#[derive(Clone)]
pub struct Phone {
    hub: Hub,
    guard: Arc<Guard>,
}

/// Names a request in the log; in its extensions.
#[derive(Clone)]
struct RequestId(String);

impl FromRef<Phone> for App {
    fn from_ref(phone: &Phone) -> Self {
        phone.hub.app().clone()
    }
}

/// The ingress listener's door.
#[derive(Clone)]
pub struct IngressDoor {
    phone: Phone,
    gateway: Gateway,
    router: Router,
    meter: DoorMeter,
}

impl IngressDoor {
    /// Leads to what the table lets out of `hub`, past `guard`.
    pub fn new(hub: Hub, gateway: Gateway, guard: Guard) -> Self {
        let phone = Phone {
            hub,
            guard: Arc::new(guard),
        };
        let router = router(&phone);
        let meter = DoorMeter::new(phone.hub.traffic(), INGRESS);
        Self {
            phone,
            gateway,
            router,
            meter,
        }
    }

    async fn pass(&self, mut request: Request, public: Option<&PublicUrl>) -> Response {
        let guard = &self.phone.guard;
        if let Err(unwelcome) = guard.admit(request.method(), request.headers(), public) {
            return Refused::from(unwelcome).into_response();
        }
        if let Err(misspelled) = spelling::check(request.uri()) {
            return Refused::from(misspelled).into_response();
        }
        request.extensions_mut().insert(Entrance::Ingress);
        if request.uri().path() == SOCKET_IO {
            let response = self.socket_io(request).await;
            return self.meter.socket_io.mark(response);
        }
        if request.method() == Method::OPTIONS || raw_ws::is_wanted(&request) {
            return not_there().await;
        }
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Only a phone that was paired gets as far as a handshake: it shows one half of what proves it. Both are asked for
    /// by the namespace, and there is but one that lets anybody in from here.
    async fn socket_io(&self, mut request: Request) -> Response {
        let guard = &self.phone.guard;
        let headers = request.headers();
        // Browsers always say which page opens a WebSocket.
        if raw_ws::is_wanted(&request) && !headers.contains_key(header::ORIGIN) {
            return Refused::from(Unwelcome::NoOrigin).into_response();
        }
        let half = Guard::cookie(headers);
        let named = half.and_then(|half| guard.parts.devices.recognises(&half));
        let Some(named) = named else {
            return match guard.stranger(guard.origin(headers).ip) {
                Ok(()) => Refused::from(Denied::Unpaired).into_response(),
                Err(often) => Refused::from(often).into_response(),
            };
        };
        let from = guard.origin(request.headers());
        request.extensions_mut().insert(from);
        if guard.parts.trial {
            request.extensions_mut().insert(OnTrial);
        }
        request.extensions_mut().insert(named);
        let most = guard.parts.limits.body_bytes;
        self.gateway
            .answer(request.map(|body| Body::new(Limited::new(body, most))))
            .await
    }
}

impl Door for IngressDoor {
    async fn answer(&self, mut request: Request) -> Response {
        // A poll of Socket.IO waits for events, and is answered when its socket is closed: it must not hold up the stop.
        let started = Instant::now();
        let _in_flight = (!socket_io::is_meant(&request)).then(|| self.phone.hub.in_flight().token());
        let id = self.phone.hub.next_request_id();
        let (method, path) = (request.method().clone(), shown(request.uri()));
        request.extensions_mut().insert(RequestId(id.clone()));
        let public = self.phone.guard.public();
        let passing = AssertUnwindSafe(self.pass(request, public.as_ref())).catch_unwind();
        let mut response = passing.await.unwrap_or_else(|_| {
            // The panic hook has logged where and why.
            error!(request = id, %method, path, "a request handler panicked");
            let message = "The hub failed; its log says why";
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message).into_response()
        });
        self.meter.answered(&mut response, started);
        debug!(request = id, %method, path, status = response.status().as_u16(), "answered from outside");
        headers::harden(
            response.headers_mut(),
            public.as_ref(),
            self.phone.guard.parts.stable,
        );
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}

/// The path as the log may have it: a pairing code is nobody else's business.
fn shown(uri: &Uri) -> String {
    let path = uri.path();
    match path.starts_with("/pair/") {
        true => "/pair/…".to_owned(),
        false => path.chars().take(200).collect(),
    }
}

/// The routes of the table, each behind its lock; nothing else.
fn router(phone: &Phone) -> Router {
    let mut router = Router::new();
    for route in rest::routes().into_each() {
        let decision = table::decide(&route.method, route.path).unwrap_or(Decision::Never);
        if decision == Decision::Never {
            // A test fails before this can be shipped; should it be all the same, the route stays closed.
            error!(method = %route.method, path = route.path, "nobody has decided who may use this from outside");
            continue;
        }
        let lock = Lock {
            phone: phone.clone(),
            decision,
        };
        let meter = traffic::method(&route.method);
        let meter = phone.hub.traffic().route(INGRESS, meter, route.path);
        let handler = route.handler.route_layer(from_fn_with_state(lock, lock::check));
        router = router.route(route.path, meter.on(handler));
    }
    router
        .fallback(not_there)
        .method_not_allowed_fallback(not_there)
        .with_state(phone.clone())
}

async fn not_there() -> Response {
    Refused::missing("page").into_response()
}

impl From<Unwelcome> for Refused {
    fn from(unwelcome: Unwelcome) -> Self {
        let (status, code, message) = match unwelcome {
            Unwelcome::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "foreign_host",
                "This hub has another name",
            ),
            Unwelcome::Origin => (
                StatusCode::FORBIDDEN,
                "foreign_origin",
                "Pages from elsewhere may not talk to this hub",
            ),
            Unwelcome::NoOrigin => (
                StatusCode::FORBIDDEN,
                "no_origin",
                "A request that changes something must say which page it comes from (Origin)",
            ),
        };
        Self::new(status, code, message)
    }
}

impl From<TooOften> for Refused {
    fn from(often: TooOften) -> Self {
        Self::too_often(often.retry_after_s)
    }
}

impl From<Misspelled> for Refused {
    fn from(misspelled: Misspelled) -> Self {
        match misspelled {
            Misspelled::Form => Self::invalid("The target of a request is a path"),
            Misspelled::TooLong => Self::invalid("The target of the request is too long"),
            Misspelled::Strange => Self::missing("page"),
        }
    }
}
