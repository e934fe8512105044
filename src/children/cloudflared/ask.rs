//! Asking a cloudflared how it is: its metrics server on a loopback port that we chose.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// The kernel answers for a listener on loopback at once, even if its process does not.
const CONNECT_TIME: Duration = Duration::from_secs(1);
/// What is asked is answered from memory.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Longest answer worth reading, in bytes.
const LONGEST: usize = 64 << 10;

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nobody listens (yet, or any more): no proof of death, because look-ups come before the listener.
    Nobody,
    /// Somebody listens and does not answer.
    Silence,
    /// Something that is no answer.
    Noise,
    /// An answer.
    Answer { status: u16, body: Bytes },
}

/// One GET.
pub(super) async fn get(port: u16, path: &str) -> Heard {
    let Ok(Ok(stream)) = timeout(CONNECT_TIME, TcpStream::connect(("127.0.0.1", port))).await else {
        return Heard::Nobody;
    };
    match timeout(ANSWER_TIME, exchange(stream, port, path)).await {
        Ok(Some((status, body))) => Heard::Answer { status, body },
        Ok(None) => Heard::Noise,
        Err(_) => Heard::Silence,
    }
}

async fn exchange(stream: TcpStream, port: u16, path: &str) -> Option<(u16, Bytes)> {
    let request = Request::get(path)
        .header("host", format!("127.0.0.1:{port}"))
        .header("connection", "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let answer = async {
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await.ok()?;
        Some((status, body.to_bytes()))
    };
    // Both halves here, so that nothing is left behind when this is dropped.
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        _ended = connection => answer.await,
    }
}
