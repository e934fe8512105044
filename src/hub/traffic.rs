//! Counting requests by the route that answered them. A route as it is registered, never a path as it was sent: there are
//! only so many.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use axum::{
    http::{Method, StatusCode},
    response::Response,
    routing::MethodRouter,
};
use tower::util::MapResponseLayer;

use crate::metrics::{Counter, Counters, Histogram, Histograms, Page, counters, histograms};

/// Seconds: what is answered from memory, what waits for the disk, what is in trouble.
const SECONDS: [f64; 11] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5,
];
/// Classes of status codes, by their first digit.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// All requests, through every door. Clones share the counts.
#[derive(Clone)]
pub struct Traffic {
    requests: Counters,
    seconds: Histograms,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            requests: counters(
                "maestro_http_requests_total",
                "Requests that were answered, by door, method, route and class of status",
                &["door", "method", "route", "status"],
            ),
            seconds: histograms(
                "maestro_http_request_duration_seconds",
                "Time from a request's head to its answer's; long polls and sockets wait on purpose",
                &["door", "method", "route"],
                &SECONDS,
            ),
        }
    }
}

impl Traffic {
    /// Puts the counts on `page`.
    pub fn show(&self, page: &Page) {
        page.meter(&self.requests);
        page.meter(&self.seconds);
    }

    /// The counts of one route.
    pub(super) fn route(&self, door: &'static str, method: &'static str, route: &'static str) -> RouteMeter {
        let counts = Counts {
            traffic: self.clone(),
            labels: [door, method, route],
            requests: Default::default(),
            seconds: OnceLock::new(),
        };
        RouteMeter(Arc::new(counts))
    }
}

/// The counts of one route; in the extensions of what it answers, until the door takes it out.
#[derive(Clone)]
pub struct RouteMeter(Arc<Counts>);

struct Counts {
    traffic: Traffic,
    labels: [&'static str; 3],
    // Looked up once each: after that a request costs a few atomic additions.
    requests: [OnceLock<Counter>; CLASSES.len()],
    seconds: OnceLock<Histogram>,
}

impl RouteMeter {
    /// The same handlers; what they answer says which route it was.
    pub fn on<S: Clone + Send + Sync + 'static>(self, handler: MethodRouter<S>) -> MethodRouter<S> {
        handler.layer(MapResponseLayer::new(move |response: Response| {
            self.mark(response)
        }))
    }

    /// The answer, saying which route it comes from.
    pub fn mark(&self, mut response: Response) -> Response {
        response.extensions_mut().insert(self.clone());
        response
    }

    /// One request more.
    fn answered(&self, status: StatusCode, started: Instant) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        let [door, method, route] = self.0.labels;
        let traffic = &self.0.traffic;
        let labels = [door, method, route, CLASSES[class]];
        self.0.requests[class]
            .get_or_init(|| traffic.requests.with_label_values(&labels))
            .inc();
        self.0
            .seconds
            .get_or_init(|| traffic.seconds.with_label_values(&self.0.labels))
            .observe(started.elapsed().as_secs_f64());
    }
}

/// The counts of one door.
#[derive(Clone)]
pub struct DoorMeter {
    /// What no route has answered: turned away at the door, or not there.
    none: RouteMeter,
    /// Socket.IO, over whatever transport.
    pub socket_io: RouteMeter,
    /// Upgrades to the raw WebSocket.
    pub raw: RouteMeter,
}

impl DoorMeter {
    /// The counts of `door`.
    pub fn new(traffic: &Traffic, door: &'static str) -> Self {
        Self {
            none: traffic.route(door, "any", "none"),
            socket_io: traffic.route(door, "any", "/socket.io/"),
            raw: traffic.route(door, "GET", "websocket"),
        }
    }

    /// One request more, of the route that the answer is marked with.
    pub fn answered(&self, response: &mut Response, started: Instant) {
        let route = response.extensions_mut().remove::<RouteMeter>();
        let route = route.as_ref().unwrap_or(&self.none);
        route.answered(response.status(), started);
    }
}

/// A method as a label. Routes have no others.
pub(super) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
