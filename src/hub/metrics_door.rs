//! The door of the listener that an operator may open for Prometheus, on a loopback address: one page, and nothing else of
//! the hub. The gate is that of the local door, so no web page reads it by way of somebody's browser.

use std::{future::Future, sync::Arc};

use arc_swap::ArcSwap;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::access::Gate;
use crate::metrics::CONTENT_TYPE;

use super::{front, listen::Door};

/// Where the page is.
const PATH: &str = "/metrics";

/// Leads to the page that `page` makes, each time it is asked for.
#[derive(Clone)]
pub struct MetricsDoor<F> {
    gate: Arc<ArcSwap<Gate>>,
    page: F,
}

impl<F> MetricsDoor<F> {
    /// With the gate of the local door.
    pub fn new(gate: Arc<ArcSwap<Gate>>, page: F) -> Self {
        Self { gate, page }
    }
}

impl<F, T> Door for MetricsDoor<F>
where
    F: Fn() -> T + Clone + Send + Sync + 'static,
    T: Future<Output = String> + Send,
{
    async fn answer(&self, request: Request) -> Response {
        if let Err(turned) = front::admit(&self.gate, &request) {
            return turned.into_response();
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads || request.uri().path() != PATH {
            return (StatusCode::NOT_FOUND, "metrics are at /metrics\n").into_response();
        }
        let mut response = Response::new(Body::from((self.page)().await));
        let kind = HeaderValue::from_static(CONTENT_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
