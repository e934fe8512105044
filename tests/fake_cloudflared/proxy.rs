//! From the edge to the origin: a request that came by the connector's socket goes to the service of its rule.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::Incoming,
    client,
    header::{self, HeaderName, HeaderValue},
    server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, copy_bidirectional},
    net::{TcpStream, UnixListener, UnixStream},
};

use crate::life::Shared;

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Serves what the edge sends until the task is dropped. Each connection begins with a line: the visitor's address.
pub async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    let mut open = tokio::task::JoinSet::new(); // cut when we are dropped: the edge is lost
    while let Ok((stream, _)) = listener.accept().await {
        while open.try_join_next().is_some() {}
        open.spawn(connection(stream, shared.clone()));
    }
}

async fn connection(mut stream: UnixStream, shared: Arc<Shared>) {
    let mut visitor = Vec::new();
    loop {
        match stream.read_u8().await {
            Ok(b'\n') => break,
            Ok(byte) if visitor.len() < 64 => visitor.push(byte),
            _ => return,
        }
    }
    let visitor = String::from_utf8_lossy(&visitor).into_owned();
    let service = service_fn(|request| {
        let (shared, visitor) = (shared.clone(), visitor.clone());
        async move {
            let _in_flight = shared.in_flight();
            Ok::<_, Infallible>(answer(request, &shared, &visitor).await)
        }
    });
    let _ended = server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(mut request: Request<Incoming>, shared: &Arc<Shared>, visitor: &str) -> Response<Body> {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let rule = shared.config.rule(host.unwrap_or_default());
    let Some((number, rule)) = rule else {
        return plain(StatusCode::NOT_FOUND, "");
    };
    if let Some(status) = rule.service.strip_prefix("http_status:") {
        let status = status
            .parse()
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok());
        return plain(status.unwrap_or(StatusCode::NOT_FOUND), "");
    }
    as_cloudflare_does(request.headers_mut(), visitor);
    match forward(request, &rule.service, shared).await {
        Ok(response) => response,
        Err(why) => {
            let fields = [
                ("connIndex", "0".to_owned()),
                (
                    "error",
                    format!(
                        "Unable to reach the origin service. The service may be down or it may not be responding to traffic from cloudflared: {why}"
                    ),
                ),
                ("ingressRule", number.to_string()),
                ("originService", rule.service.clone()),
            ];
            shared.log.error("", &fields);
            shared
                .log
                .error("failed to serve incoming request", &fields[1..2]);
            plain(StatusCode::BAD_GATEWAY, "Bad gateway\n")
        }
    }
}

/// The headers that Cloudflare and cloudflared set. A client's own prefix of `X-Forwarded-For` stays, as it really does.
fn as_cloudflare_does(headers: &mut HeaderMap, visitor: &str) {
    let name = HeaderName::from_static;
    let ours = |text: &str| HeaderValue::from_str(text).unwrap();
    let forwarded = match headers
        .get("x-forwarded-for")
        .and_then(|value| value.to_str().ok())
    {
        Some(before) => format!("{before}, {visitor}"),
        None => visitor.to_owned(),
    };
    headers.insert(name("x-forwarded-for"), ours(&forwarded));
    headers.insert(name("cf-connecting-ip"), ours(visitor));
    headers.insert(name("x-forwarded-proto"), ours("https"));
    headers.insert(name("cf-visitor"), ours("{\"scheme\":\"https\"}"));
    headers.insert(name("cf-ipcountry"), ours("XX"));
    headers.insert(name("cf-ray"), ours("8f0000000000abcd-XXX"));
    headers.insert(name("cdn-loop"), ours("cloudflare; loops=1"));
}

async fn forward(
    request: Request<Incoming>,
    service: &str,
    shared: &Arc<Shared>,
) -> Result<Response<Body>, String> {
    let told = |err: std::io::Error, what: &str| format!("dial {what}: {err}");
    if let Some(path) = service.strip_prefix("unix:") {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|err| told(err, &format!("unix {path}")))?;
        return exchange(stream, request, shared).await;
    }
    let address = service.split_once("://").map_or(service, |(_, rest)| rest);
    let stream = TcpStream::connect(address)
        .await
        .map_err(|err| told(err, &format!("tcp {address}")))?;
    exchange(stream, request, shared).await
}

async fn exchange<S>(
    stream: S,
    mut request: Request<Incoming>,
    shared: &Arc<Shared>,
) -> Result<Response<Body>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let told = |err: hyper::Error| err.to_string();
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(told)?;
    tokio::spawn(connection.with_upgrades());
    let upgrades = request.headers().contains_key(header::UPGRADE);
    if !upgrades {
        request.headers_mut().remove(header::CONNECTION);
    }
    let visitor = upgrades.then(|| hyper::upgrade::on(&mut request));
    let mut response = sender.send_request(request).await.map_err(told)?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(visitor)) = (response.status(), visitor) {
        let origin = hyper::upgrade::on(&mut response);
        let held = shared.in_flight();
        let cut = shared.cut();
        tokio::spawn(async move {
            let _held = held;
            if let (Ok(visitor), Ok(origin)) = tokio::join!(visitor, origin) {
                let (mut visitor, mut origin) = (TokioIo::new(visitor), TokioIo::new(origin));
                tokio::select! {
                    _ended = copy_bidirectional(&mut visitor, &mut origin) => {}
                    () = cut => {}
                }
            }
        });
    }
    Ok(response.map(|body| body.boxed_unsync()))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let body = Full::from(text).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
