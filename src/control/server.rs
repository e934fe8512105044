//! Answers on the control socket.

mod devices;
mod mail;

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path as UrlPath, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::UnixStream,
    sync::{Semaphore, mpsc},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::metrics::CONTENT_TYPE;
use crate::private_socket::{PrivateSocket, SocketError};
use crate::shutdown::TaskGroup;

use super::{
    Lines, Operations,
    protocol::{ChildAct, LogSource, Problem, TunnelReport},
};

/// So many connections at once: an operator's few terminals and scripts.
const CONNECTIONS: usize = 64;
/// A request's head has to be there within this time.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// Log lines of one answer before following.
pub(super) const MOST_LINES: usize = 10_000;
/// Shortest time between two lines of a watched status.
const WATCH_PACE: Duration = Duration::from_millis(200);
/// A watched status is said at least this often, so that times in it stay true.
const WATCH_PULSE: Duration = Duration::from_secs(2);

/// The bound socket; its file goes when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    socket: PrivateSocket,
}

impl ControlSocket {
    /// Binds `path` for this user alone. Call it only while holding the daemon's lock.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        let socket = PrivateSocket::bind(path).await?;
        Ok(Self { socket })
    }

    /// Serves until the group stops.
    pub fn serve(self, operations: Arc<dyn Operations>, group: &TaskGroup) {
        let inner = group.clone();
        group.spawn("control", move |stop| async move {
            let router = router(operations, stop.clone());
            let permits = Arc::new(Semaphore::new(CONNECTIONS));
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => break,
                    accepted = self.socket.accept() => accepted,
                };
                let stream = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        warn!(%error, "the control socket cannot accept");
                        sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let Ok(permit) = permits.clone().try_acquire_owned() else {
                    continue; // dropped: the client sees the connection end
                };
                if !same_user(&stream) {
                    warn!("a process of another user was turned away from the control socket");
                    continue;
                }
                let router = router.clone();
                inner.spawn("control connection", move |stop| async move {
                    connection(stream, router, stop).await;
                    drop(permit);
                });
            }
        });
    }
}

/// The file's mode keeps others out; this is the second lock. Root may always ask.
fn same_user(stream: &UnixStream) -> bool {
    let ours = nix::unistd::Uid::effective().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == ours || peer.uid() == 0)
}

pub(super) async fn connection(stream: UnixStream, router: Router, stop: CancellationToken) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(served);
    tokio::select! {
        result = served.as_mut() => {
            if let Err(error) = result {
                debug!(%error, "a control connection ended");
            }
            return;
        }
        () = stop.cancelled() => served.as_mut().graceful_shutdown(),
    }
    let _ended = tokio::time::timeout(Duration::from_millis(500), served).await;
}

#[derive(Clone)]
struct Desk {
    operations: Arc<dyn Operations>,
    stop: CancellationToken,
}

pub(super) fn router(operations: Arc<dyn Operations>, stop: CancellationToken) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/status/watch", get(watch))
        .route("/v1/config", get(config))
        .route("/v1/metrics", get(metrics))
        .route("/v1/agents", get(agents))
        .route("/v1/tunnel", get(tunnel))
        .route("/v1/tunnel/check", post(tunnel_check))
        .route("/v1/events", get(events))
        .route("/v1/logs/{source}", get(logs))
        .route("/v1/children/{child}/{act}", post(act))
        .route("/v1/reload", post(reload))
        .route("/v1/stop", post(stop_daemon))
        .route("/v1/import", post(import))
        .route("/v1/export", post(export))
        .route("/v1/backup", post(backup))
        .merge(devices::routes())
        .merge(mail::routes())
        .with_state(Desk { operations, stop })
}

async fn status(State(desk): State<Desk>) -> Response {
    Json(desk.operations.status().await).into_response()
}

async fn config(State(desk): State<Desk>) -> Response {
    Json(desk.operations.config()).into_response()
}

async fn metrics(State(desk): State<Desk>) -> Response {
    let page = desk.operations.metrics().await;
    ([("content-type", CONTENT_TYPE)], page).into_response()
}

async fn agents(State(desk): State<Desk>) -> Response {
    Json(desk.operations.agents().await).into_response()
}

async fn tunnel(State(desk): State<Desk>) -> Response {
    report(desk.operations.tunnel(false).await)
}

async fn tunnel_check(State(desk): State<Desk>) -> Response {
    report(desk.operations.tunnel(true).await)
}

fn report(result: Result<TunnelReport, Problem>) -> Response {
    match result {
        Ok(report) => Json(report).into_response(),
        Err(problem) => refuse(&problem),
    }
}

async fn watch(State(desk): State<Desk>) -> Response {
    let (tx, rx) = mpsc::channel(1);
    let Desk { operations, stop } = desk;
    tokio::spawn(async move {
        let mut changes = operations.changes();
        loop {
            let Ok(line) = serde_json::to_string(&operations.status().await) else {
                return;
            };
            if tx.send(line).await.is_err() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tx.closed() => return,
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    sleep(WATCH_PACE).await;
                }
                () = sleep(WATCH_PULSE) => {}
            }
        }
    });
    stream(rx)
}

async fn events(State(desk): State<Desk>) -> Response {
    stream(desk.operations.events())
}

#[derive(Deserialize)]
struct LogQuery {
    #[serde(default = "default_lines")]
    lines: usize,
    #[serde(default)]
    follow: bool,
}

fn default_lines() -> usize {
    100
}

async fn logs(
    State(desk): State<Desk>,
    UrlPath(source): UrlPath<String>,
    Query(query): Query<LogQuery>,
) -> Response {
    match desk.operations.logs(
        LogSource::parse(&source),
        query.lines.min(MOST_LINES),
        query.follow,
    ) {
        Ok(lines) => stream(lines),
        Err(problem) => refuse(&problem),
    }
}

async fn act(State(desk): State<Desk>, UrlPath((child, act)): UrlPath<(String, String)>) -> Response {
    let act = match act.as_str() {
        "start" => ChildAct::Start,
        "stop" => ChildAct::Stop,
        "restart" => ChildAct::Restart,
        _ => {
            return refuse(&Problem::new(
                "unknown_act",
                "a child can be started, stopped or restarted",
            ));
        }
    };
    answer(
        desk.operations
            .act(child, act)
            .await
            .map(|()| serde_json::json!({"ok": true})),
    )
}

async fn reload(State(desk): State<Desk>) -> Response {
    answer(desk.operations.reload().await)
}

async fn stop_daemon(State(desk): State<Desk>) -> Response {
    desk.operations.stop();
    answer(Ok(serde_json::json!({"ok": true})))
}

#[derive(Deserialize)]
struct Place {
    path: PathBuf,
}

async fn import(State(desk): State<Desk>, Json(place): Json<Place>) -> Response {
    stream(json_lines(desk.operations.import(place.path)))
}

async fn export(State(desk): State<Desk>, Json(place): Json<Place>) -> Response {
    stream(json_lines(desk.operations.export(place.path)))
}

async fn backup(State(desk): State<Desk>, Json(place): Json<Place>) -> Response {
    stream(json_lines(desk.operations.backup(place.path)))
}

/// Each step as a line. A reader that hangs up is noticed at the source at once.
fn json_lines<T: Serialize + Send + 'static>(mut steps: mpsc::Receiver<T>) -> Lines {
    let (tx, rx) = mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let step = tokio::select! {
                step = steps.recv() => step,
                () = tx.closed() => return,
            };
            let Some(step) = step else { return };
            let Ok(line) = serde_json::to_string(&step) else {
                return;
            };
            if tx.send(line).await.is_err() {
                return;
            }
        }
    });
    rx
}

/// Lines as a streamed body, one a line. A client that hangs up ends the stream at its source.
fn stream(lines: Lines) -> Response {
    let body = futures_util::stream::unfold(lines, |mut lines| async move {
        let mut line = lines.recv().await?;
        line.push('\n');
        Some((Ok::<_, Infallible>(Bytes::from(line)), lines))
    });
    (
        [("content-type", "application/x-ndjson")],
        Body::from_stream(body),
    )
        .into_response()
}

fn answer(result: Result<serde_json::Value, Problem>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(problem) => refuse(&problem),
    }
}

fn refuse(problem: &Problem) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, Json(problem)).into_response()
}
