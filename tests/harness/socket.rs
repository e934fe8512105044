//! A raw WebSocket client that keeps every frame in order.

use futures_util::{SinkExt, StreamExt};
use hyper::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::CloseFrame},
};

use super::PATIENCE;

/// An open connection.
pub struct Socket {
    /// Headers of the answer to the upgrade.
    pub headers: HeaderMap,
    stream: WebSocketStream<TcpStream>,
    pings: usize,
}

impl Socket {
    /// Opens `ws://localhost:<port><path>` with the headers given besides the usual ones.
    ///
    /// # Errors
    /// The HTTP status, if the server refused the upgrade.
    pub async fn open(port: u16, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://localhost:{port}{path}")
            .into_client_request()
            .expect("a WebSocket address");
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(*name, value.parse().expect("a header value"));
        }
        let stream = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("a connection");
        match tokio::time::timeout(PATIENCE, client_async(request, stream)).await {
            Ok(Ok((stream, answer))) => Ok(Self {
                headers: answer.headers().clone(),
                stream,
                pings: 0,
            }),
            Ok(Err(tungstenite::Error::Http(answer))) => Err(answer.status().as_u16()),
            Ok(Err(error)) => panic!("upgrade of {path}: {error}"),
            Err(_) => panic!("upgrade of {path}: no answer within {PATIENCE:?}"),
        }
    }

    pub async fn send(&mut self, frame: &Value) {
        if frame["type"] == "ping" {
            self.pings += 1;
        }
        self.send_message(Message::text(frame.to_string())).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        self.stream.send(message).await.expect("the connection is open");
    }

    /// The next JSON frame.
    ///
    /// # Panics
    /// When none comes in time, the connection ends, or the frame is not one JSON object as text.
    pub async fn next(&mut self) -> Value {
        let text = match self.next_message().await {
            Some(Message::Text(text)) => text,
            other => panic!("expected a text frame, got {other:?}"),
        };
        let frame: Value =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("frame is not JSON ({e}): {text}"));
        assert!(frame.is_object(), "frame is not an object: {text}");
        frame
    }

    /// The next message of any kind; `None` when the connection has ended.
    pub async fn next_message(&mut self) -> Option<Message> {
        match tokio::time::timeout(PATIENCE, self.stream.next()).await {
            Ok(Some(Ok(message))) => Some(message),
            Ok(None | Some(Err(_))) => None,
            Err(_) => panic!("no frame within {PATIENCE:?}"),
        }
    }

    /// Skips frames up to the next event of this name.
    pub async fn next_event(&mut self, name: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["event"] == name {
                return frame;
            }
        }
    }

    /// Everything that had been sent to this connection by now, and nothing later: a ping is answered behind it.
    pub async fn arrived(&mut self) -> Vec<Value> {
        self.send(&json!({"type": "ping"})).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await;
            if frame["type"] == "pong" {
                self.pings -= 1;
                if self.pings == 0 {
                    return frames;
                }
            }
            frames.push(frame);
        }
    }

    /// Sends text that need not be JSON.
    pub async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    /// The names of [`Socket::arrived`].
    pub async fn arrived_names(&mut self) -> Vec<String> {
        let name = |frame: &Value| frame["type"].as_str().unwrap_or_default().to_owned();
        self.arrived().await.iter().map(name).collect()
    }

    /// Waits for the end of the connection; frames before it are dropped.
    pub async fn closed(&mut self) -> Option<CloseFrame> {
        let mut reason = None;
        while let Some(message) = self.next_message().await {
            if let Message::Close(frame) = message {
                reason = frame;
            }
        }
        reason
    }
}
