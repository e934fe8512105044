//! What happens to every request on the local listener before a route sees it, in this order: an agent's token taken off
//! the path, gate, OPTIONS, whose token it is, upgrade, spelling of the path, no writes while stopping. And to every answer after: CORS for listed pages, a request id.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use tower::ServiceExt;
use tracing::{debug, error};

use crate::access::{Gate, Turned};
use crate::app::UnknownAgent;
use crate::domain::Caller;

use super::{
    DoorMeter, Hub, LOCAL,
    error::{RouteError, internal_error},
    identity::{self, Shown},
    listen::{Door, Entrance},
    path, raw_ws, router,
    socket_io::{self, Gateway},
};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const METHODS: HeaderValue = HeaderValue::from_static("GET,POST,PUT,DELETE,PATCH,OPTIONS");
const HEADERS: HeaderValue = HeaderValue::from_static("Content-Type,Authorization,X-Requested-With");
const EXPOSED: HeaderValue = HeaderValue::from_static("Content-Length,X-Request-Id");

/// The local listener's door: open to processes of this machine, closed to web pages from elsewhere. There is no way to
/// serve the hub on it without its gate.
#[derive(Clone)]
pub struct LocalDoor {
    hub: Hub,
    gate: Arc<ArcSwap<Gate>>,
    gateway: Gateway,
    router: Router,
    meter: DoorMeter,
}

impl LocalDoor {
    /// Leads to `hub` and its `gateway`. The gate can be exchanged while it is in use.
    pub fn new(hub: Hub, gate: Arc<ArcSwap<Gate>>, gateway: Gateway) -> Self {
        let router = router(hub.clone());
        let meter = DoorMeter::new(hub.traffic(), LOCAL);
        Self {
            hub,
            gate,
            gateway,
            router,
            meter,
        }
    }

    async fn pass(&self, mut request: Request, shown: Shown) -> Response {
        if request.method() == Method::OPTIONS {
            return options();
        }
        let caller = match shown {
            Shown::Nothing => Ok(Caller::Local),
            Shown::Token(token) => self.hub.app().agent_of(&token).map(Caller::Agent),
            Shown::Nonsense => Err(UnknownAgent),
        };
        match caller {
            Ok(caller) => request.extensions_mut().insert(caller),
            Err(unknown) => return unknown.into_response(),
        };
        if socket_io::is_meant(&request) {
            let response = self.gateway.answer(request).await;
            return self.meter.socket_io.mark(response);
        }
        if raw_ws::is_wanted(&request) {
            return self.meter.raw.mark(raw_ws::upgrade(&self.hub, request));
        }
        if path::normalize(request.uri_mut()).is_err() {
            let message = "The path has an escape that is none, or that is no UTF-8".to_owned();
            return RouteError::Request(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message).into_response();
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads && self.hub.stopping().is_cancelled() {
            return RouteError::stopping().into_response();
        }
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Asks the gate of a listener of this machine.
pub(super) fn admit(gate: &ArcSwap<Gate>, request: &Request) -> Result<(), Turned> {
    // A target in absolute form names the host too; both must be ours.
    let authority = request.uri().authority().map(|a| a.as_str());
    let mut hosts = texts(request.headers(), header::HOST);
    if let (Some(named), [host]) = (authority, &mut hosts[..])
        && !named.eq_ignore_ascii_case(host)
    {
        hosts.push(named);
    }
    let origins = texts(request.headers(), header::ORIGIN);
    gate.load().admit(&hosts, &origins)
}

impl Door for LocalDoor {
    async fn answer(&self, mut request: Request) -> Response {
        // A poll of Socket.IO waits for events, and is answered when its socket is closed: it must not hold up the stop.
        let started = Instant::now();
        let _in_flight = (!socket_io::is_meant(&request)).then(|| self.hub.in_flight().token());
        let id = self.hub.next_request_id();
        let shown = identity::take(request.uri_mut());
        let method = request.method().clone();
        let target = identity::masked(request.uri().path()).into_owned();
        let mut response = match admit(&self.gate, &request) {
            // A page that is turned away cannot even read that it was: no CORS headers.
            Err(turned) => turned.into_response(),
            Ok(()) => {
                request.extensions_mut().insert(Entrance::Local);
                let origin = request.headers().get(header::ORIGIN).cloned();
                let passing = AssertUnwindSafe(self.pass(request, shown)).catch_unwind();
                let mut response = passing.await.unwrap_or_else(|_| {
                    // The panic hook has logged where and why.
                    error!(request = id, %method, path = target, "a request handler panicked");
                    internal_error("The hub made a mistake. Its log says more.")
                });
                if let Some(origin) = origin {
                    allow(response.headers_mut(), origin);
                }
                response
            }
        };
        self.meter.answered(&mut response, started);
        debug!(request = id, %method, path = target, status = response.status().as_u16(), "answered");
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}

impl IntoResponse for UnknownAgent {
    fn into_response(self) -> Response {
        let refused = RouteError::Request(StatusCode::UNAUTHORIZED, "unknown_agent", self.to_string());
        let mut response = refused.into_response();
        let challenge = HeaderValue::from_static("Maestro-Agent");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}

impl IntoResponse for Turned {
    fn into_response(self) -> Response {
        let (status, code) = match self {
            Self::Host(_) => (StatusCode::MISDIRECTED_REQUEST, "FOREIGN_HOST"),
            Self::Origin(_) => (StatusCode::FORBIDDEN, "FOREIGN_ORIGIN"),
        };
        RouteError::Request(status, code, self.to_string()).into_response()
    }
}

fn texts(headers: &HeaderMap, name: HeaderName) -> Vec<&str> {
    // What is no text is nobody's name.
    headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap_or_default())
        .collect()
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
}

fn options() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    response
}

/// The contract's answer to an unknown path and to a method a path does not have: a page.
pub(super) async fn not_found(request: Request) -> Response {
    let shown: String = identity::masked(request.uri().path())
        .chars()
        .take(200)
        .map(|c| match c {
            '<' | '>' | '&' | '"' | '\'' => '_',
            other => other,
        })
        .collect();
    let method = request.method();
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Not here</title>\n\
         <p>There is nothing at {method} {shown}.</p></html>\n"
    );
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'"),
    );
    response
}
