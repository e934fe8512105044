//! The hub over HTTP, as agents reach it: for what `maestroctl agent` does beside an agent, maybe on another machine.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Uri, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};

/// The longest answer worth reading, in bytes: a session with a long history.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Why the hub did not do it.
#[derive(Debug, Error)]
pub enum HubError {
    /// It is not there, or not now.
    #[error("the hub at {0} cannot be reached")]
    Away(String),
    /// It said no.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// For people.
        message: String,
    },
    /// The address is none that we can use.
    #[error("`{0}` is no http:// address of a hub")]
    Address(String),
}

/// Where the hub is.
#[derive(Clone, Debug)]
pub struct HubAt {
    url: String,
    authority: String,
    path: String,
}

impl HubAt {
    /// The hub at an `http://` URL. A remote one is reached through a tunnel of the user's own: no TLS here.
    pub fn new(url: &str) -> Result<Self, HubError> {
        let wrong = || HubError::Address(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
        let authority = authority.ok_or_else(wrong)?;
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            url: url.to_owned(),
            authority: format!("{}:{port}", authority.host()),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One request, answered within `limit`; a JSON answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        limit: Duration,
    ) -> Result<Value, HubError> {
        self.ask_once(method, path, body, None, limit).await
    }

    /// The same, under a key: asked again with it, it is done once.
    pub async fn ask_once(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
        limit: Duration,
    ) -> Result<Value, HubError> {
        let answered = timeout(limit, self.exchange(method, path, body, key)).await;
        let (status, body) = answered
            .ok()
            .flatten()
            .ok_or_else(|| HubError::Away(self.url.clone()))?;
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        if (200..300).contains(&status) {
            return Ok(value);
        }
        let told = value["message"].as_str();
        let message = told.map_or_else(|| format!("the hub answered {status}"), str::to_owned);
        Err(HubError::Refused { status, message })
    }

    /// Status and body; `None` if the conversation breaks.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Option<(u16, Bytes)> {
        let stream = TcpStream::connect(&self.authority).await.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let connection = tokio::spawn(connection);
        let request = Request::builder();
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        let request = request
            .method(method)
            .uri(format!("{}{path}", self.path))
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(
                body.map_or_else(Bytes::new, |body| body.to_string().into()),
            ))
            .ok()?;
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MOST_BYTES)
            .collect()
            .await
            .ok()?;
        connection.abort();
        Some((status, body.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_named_by_an_http_address() {
        let at = |url| HubAt::new(url).map(|hub| (hub.authority, hub.path));
        for (url, authority, path) in [
            ("http://localhost:3000", "localhost:3000", ""),
            ("http://[::1]:4000/", "[::1]:4000", ""),
            ("http://hub/maestro/", "hub:80", "/maestro"),
        ] {
            assert_eq!(
                at(url).expect("an address"),
                (authority.to_owned(), path.to_owned()),
                "{url}"
            );
        }
        for url in ["https://hub", "hub:3000", "", "http://", "/x"] {
            assert!(at(url).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_hub_that_is_not_there_is_away_and_one_that_says_no_is_understood() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let hub = HubAt::new(&format!("http://127.0.0.1:{port}")).expect("an address");
        let limit = Duration::from_secs(20);
        let serve = async {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = listener.accept().await.expect("a client");
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 19\r\n\r\n{\"message\": \"none\"}";
            stream.write_all(answer.as_bytes()).await.expect("written");
        };
        let (answer, ()) = tokio::join!(hub.ask(Method::GET, "/x", None, limit), serve);
        assert!(
            matches!(&answer, Err(HubError::Refused { status: 404, message }) if message == "none"),
            "{answer:?}"
        );
        drop(listener);
        let answer = hub.ask(Method::GET, "/x", None, limit).await;
        assert!(matches!(answer, Err(HubError::Away(_))), "{answer:?}");
    }
}
