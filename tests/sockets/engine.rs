//! A client of our own, thin enough to hold thousands and to misbehave: Engine.IO 4 over a WebSocket.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, client::IntoClientRequest, protocol::WebSocketConfig},
};

use crate::harness::PATIENCE;

/// An open transport.
pub struct Engine {
    stream: WebSocketStream<TcpStream>,
}

impl Engine {
    /// Opens a WebSocket; no namespace yet.
    pub async fn open(port: u16) -> Self {
        let address = format!("ws://localhost:{port}/socket.io/?EIO=4&transport=websocket");
        let request = address.into_client_request().expect("an address");
        let stream = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("a connection");
        let config = WebSocketConfig::default()
            .read_buffer_size(2048)
            .write_buffer_size(0);
        let (stream, _) = client_async_with_config(request, stream, Some(config))
            .await
            .expect("the upgrade is accepted");
        let mut engine = Self { stream };
        assert!(engine.next().await.expect("an open packet").starts_with('0'));
        engine
    }

    /// Opens one and connects it to a namespace.
    pub async fn connected(port: u16, namespace: &str, auth: &Value) -> Self {
        let mut engine = Self::open(port).await;
        engine.connect(namespace, auth).await;
        let answer = engine.next().await.expect("an answer");
        assert!(answer.starts_with(&format!("40{namespace},")), "{answer}");
        engine
    }

    /// Asks to be connected, without waiting for the answer.
    pub async fn connect(&mut self, namespace: &str, auth: &Value) {
        self.send(&format!("40{namespace},{auth}")).await;
    }

    pub async fn send(&mut self, text: &str) {
        self.stream
            .send(Message::text(text))
            .await
            .expect("the connection is open");
    }

    /// The next packet but pings, which are answered; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            match timeout(PATIENCE, self.stream.next())
                .await
                .expect("a packet in time")
            {
                Some(Ok(Message::Text(text))) if text.as_str() == "2" => {
                    let _ = self.stream.send(Message::text("3")).await; // it may have ended
                }
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return None,
            }
        }
    }

    /// The next event: its name and payload.
    pub async fn event(&mut self) -> (String, Value) {
        loop {
            let packet = self.next().await.expect("the connection is open");
            let Some(json) = packet
                .strip_prefix("42")
                .and_then(|rest| rest.find('[').map(|at| &rest[at..]))
            else {
                continue;
            };
            let mut args: Vec<Value> = serde_json::from_str(json).expect("a list");
            let data = if args.len() > 1 {
                args.remove(1)
            } else {
                Value::Null
            };
            return (args[0].as_str().expect("a name").to_owned(), data);
        }
    }

    /// Waits for the end of the connection.
    pub async fn ended(&mut self) {
        while self.next().await.is_some() {}
    }
}
