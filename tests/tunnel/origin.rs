//! The other side of the ingress socket, as far as these tests need one: it echoes heads, proves, and speaks WebSocket.

use std::{convert::Infallible, path::Path};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use maestro::access::nonce::{Nonce, PROOF_HEADER, Prover};
use serde_json::json;
use tokio::{net::UnixListener, task::JoinSet};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

/// Serves until it is dropped, which closes its connections too.
pub struct Origin {
    _serving: JoinSet<()>,
    path: std::path::PathBuf,
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

pub fn origin(path: &Path, prover: Option<Prover>) -> Origin {
    let listener = UnixListener::bind(path).expect("the ingress socket is free");
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let prover = prover.clone();
            open.spawn(async move {
                let service = service_fn(|request| {
                    let answer = answer(request, prover.as_ref());
                    async move { Ok::<_, Infallible>(answer) }
                });
                let _ended = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await;
            });
        }
    });
    Origin {
        _serving: serving,
        path: path.to_owned(),
    }
}

fn answer(mut request: Request<Incoming>, prover: Option<&Prover>) -> Response<Full<Bytes>> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
    if let Some(key) = key {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Ok(upgraded) = upgrade.await else { return };
            let mut socket =
                WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() && socket.send(message).await.is_err() {
                    return;
                }
            }
        });
        return Response::builder()
            .status(101)
            .header("upgrade", "websocket")
            .header("connection", "upgrade")
            .header("sec-websocket-accept", derive_accept_key(key.as_bytes()))
            .body(Full::default())
            .expect("a response");
    }
    let headers: serde_json::Map<String, serde_json::Value> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().into()))
        .collect();
    let body = json!({"path": request.uri().to_string(), "headers": headers}).to_string();
    let mut response = Response::new(Full::from(body));
    let nonce = Nonce::in_query(request.uri().query());
    if let (Some(prover), Some(nonce)) = (prover, nonce) {
        let proof = prover.prove(nonce).parse().expect("a header");
        response.headers_mut().insert(PROOF_HEADER, proof);
    }
    response
}
