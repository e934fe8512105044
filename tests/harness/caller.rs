//! A client of REST that takes nothing for granted: it says what became of each request.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long a client waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(6);

/// What came back.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Status and body (`null` if that is no JSON).
    Answer(u16, Value),
    /// The request never left.
    Unsent,
    /// It left, and no answer came.
    Nothing,
}

impl Reply {
    pub fn done(&self) -> Option<&Value> {
        match self {
            Self::Answer(200..=299, body) => Some(body),
            _ => None,
        }
    }

    pub fn status(&self) -> u16 {
        match self {
            Self::Answer(status, _) => *status,
            _ => 0,
        }
    }
}

/// Where to call.
#[derive(Clone, Debug)]
pub struct Caller {
    pub port: u16,
    pub host: String,
}

impl Caller {
    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, Some(body), &[]).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call("PATCH", path, Some(body), &[]).await
    }

    pub async fn delete(&self, path: &str, body: Option<Value>) -> Reply {
        self.call("DELETE", path, body, &[]).await
    }

    pub async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let Ok(Ok(stream)) =
            tokio::time::timeout(PATIENCE, TcpStream::connect(("127.0.0.1", self.port))).await
        else {
            return Reply::Unsent;
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                body.to_string()
            }
            None => String::new(),
        };
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        match tokio::time::timeout(PATIENCE, exchange(stream, request)).await {
            Ok(Some(reply)) => reply,
            Ok(None) | Err(_) => Reply::Nothing,
        }
    }
}

async fn exchange(stream: TcpStream, request: Request<Full<Bytes>>) -> Option<Reply> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.ok()?;
    let driver = tokio::spawn(connection);
    let answer = async {
        let response = sender.send_request(request).await.ok()?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Some(Reply::Answer(head.status.as_u16(), body))
    };
    let answer = answer.await;
    driver.abort();
    answer
}
