//! The raw WebSocket protocol (EVENTS.md), on any path: one JSON object per text frame, a filter per connection, no
//! replay, no pings of ours.
//!
//! A frame is rendered once for all connections and written from there: server frames are not masked, so the same
//! bytes fit everybody, and nothing is copied per connection. What has to reach one client in order (events, acks,
//! pongs) goes through its one queue. A client that does not keep up is closed with a reason.

mod frames;
mod reader;
mod writer;

use std::{pin::pin, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{io::split, time::timeout};
use tokio_tungstenite::tungstenite::{handshake::derive_accept_key, protocol::frame::coding::CloseCode};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::bus::{Cut, Kind, Subscription};

use super::{Hub, error::RouteError};

use self::{reader::Reader, writer::Writer};

/// How long a closed client may take to close its side.
const LINGER: Duration = Duration::from_millis(500);

/// Why a connection ends.
#[derive(Debug)]
enum Farewell {
    /// The client said goodbye; ours is in the queue.
    Peer,
    /// The connection is gone: nothing can be said.
    Gone,
    /// We end it, and say why.
    Close(CloseCode, String),
}

impl From<Cut> for Farewell {
    fn from(cut: Cut) -> Self {
        info!("a client of the raw WebSocket was closed: {cut}");
        Self::Close(CloseCode::Again, cut.to_string())
    }
}

/// True if the request asks for a WebSocket.
pub(super) fn is_wanted(request: &Request) -> bool {
    let asks = |name, token: &str| {
        request
            .headers()
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|word| word.trim().eq_ignore_ascii_case(token))
    };
    request.method() == Method::GET
        && asks(header::CONNECTION, "upgrade")
        && asks(header::UPGRADE, "websocket")
}

/// Answers an upgrade and serves the connection until it ends.
pub(super) fn upgrade(hub: &Hub, mut request: Request) -> Response {
    let limits = hub.limits();
    if hub.stopping().is_cancelled() {
        return RouteError::stopping().into_response();
    }
    let Some(accept) = accept_key(request.headers()) else {
        let message = "This WebSocket handshake is not one of version 13".to_owned();
        return RouteError::Request(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message).into_response();
    };
    if hub.open_sockets() >= limits.sockets {
        return RouteError::Unavailable("Too many sockets are open".into(), 5).into_response();
    }
    // From here on the client misses nothing: it counts as connected before it is told so.
    let subscription = hub.bus().subscribe(Kind::Raw, limits.queue);
    let upgraded = hyper::upgrade::on(&mut request);
    let app = hub.app().clone();
    hub.sockets().spawn("raw ws", move |stop| async move {
        match upgraded.await {
            Ok(stream) => {
                let reader = Reader::new(limits.message_bytes, subscription, app);
                serve(stream, reader, limits.write_time, stop).await;
            }
            Err(error) => debug!("an upgrade was not completed: {error}"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn accept_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let version = headers.get(header::SEC_WEBSOCKET_VERSION)?;
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.as_bytes();
    if version != "13" || key.len() != 24 {
        return None;
    }
    HeaderValue::try_from(derive_accept_key(key)).ok()
}

async fn serve(stream: Upgraded, reader: Reader, write_time: Duration, stop: CancellationToken) {
    let (input, output) = split(TokioIo::new(stream));
    let mut writer = Writer::new(output);
    let mut connection = reader.over(input).await;
    let farewell = {
        let subscription = connection.subscription().clone();
        let mut reading = pin!(connection.read());
        tokio::select! {
            farewell = &mut reading => farewell,
            farewell = write_events(&mut writer, &subscription) => farewell,
            () = stop.cancelled() => Farewell::Close(CloseCode::Away, "the hub is stopping".into()),
        }
    };
    debug!(?farewell, "a raw WebSocket ends");
    let last_words = async {
        match farewell {
            Farewell::Gone => return,
            Farewell::Peer => writer.rest(connection.subscription()),
            Farewell::Close(code, reason) => writer.close(code, &reason),
        }
        let said = timeout(write_time, writer.finish()).await;
        if matches!(said, Ok(Ok(()))) {
            // Closing with unread bytes would reset the connection, and the client might never read the reason.
            let _ = timeout(LINGER, connection.drain()).await;
        }
    };
    last_words.await;
}

/// Writes what is queued until something goes wrong.
async fn write_events<W: tokio::io::AsyncWrite + Unpin>(
    writer: &mut Writer<W>,
    subscription: &Subscription,
) -> Farewell {
    loop {
        if let Err(cut) = writer.next(subscription).await {
            return cut.into();
        }
        // A write may hang; the queue must be seen to overflow all the same.
        tokio::select! {
            biased;
            written = writer.flush() => if written.is_err() { return Farewell::Gone },
            cut = subscription.cut() => return cut.into(),
        }
    }
}
