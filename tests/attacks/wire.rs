//! A paired phone's socket: Engine.IO 4 over a WebSocket through the ingress, packet by packet.

use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::UnixStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::harness::{Daemon, PATIENCE, eventually};
use crate::phone::{HOST, ORIGIN, Phone, connect};

/// An open transport.
pub struct Wire {
    stream: WebSocketStream<UnixStream>,
    kept: VecDeque<String>,
    asked: u64,
    /// All it was ever told.
    pub heard: String,
}

impl Wire {
    /// Opens one by the cookie alone; no namespace yet.
    ///
    /// # Errors
    /// Status and body of the answer, if the upgrade is refused.
    pub async fn open(daemon: &Daemon, phone: &Phone<'_>) -> Result<Self, (u16, String)> {
        let address = format!("ws://{HOST}/socket.io/?EIO=4&transport=websocket");
        let mut request = address.into_client_request().expect("an address");
        let headers = request.headers_mut();
        headers.insert("origin", ORIGIN.parse().unwrap());
        let cookie = format!("__Host-maestro={}", phone.cookie);
        headers.insert("cookie", cookie.parse().unwrap());
        let upgrading = client_async(request, connect(daemon).await);
        let stream = match timeout(PATIENCE, upgrading).await.expect("an answer in time") {
            Ok((stream, _)) => stream,
            Err(tungstenite::Error::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                return Err((
                    answer.status().as_u16(),
                    String::from_utf8_lossy(&body).into_owned(),
                ));
            }
            Err(error) => panic!("no upgrade: {error}"),
        };
        let mut wire = Self {
            stream,
            kept: VecDeque::new(),
            asked: 0,
            heard: String::new(),
        };
        assert!(wire.next().await.expect("an open packet").starts_with('0'));
        Ok(wire)
    }

    /// Opens one and asks for the namespace with this token; what is said about that.
    pub async fn try_join(daemon: &Daemon, phone: &Phone<'_>, token: &str, project: &str) -> (Self, String) {
        Self::try_join_with(daemon, phone, json!({"token": token, "projectId": project})).await
    }

    /// Opens one as the page does: for all that the device may see.
    pub async fn join_all(daemon: &Daemon, phone: &Phone<'_>) -> Self {
        let auth = json!({"token": phone.token, "projects": "all"});
        let (wire, told) = Self::try_join_with(daemon, phone, auth).await;
        assert!(told.starts_with("40/mobile,"), "{told}");
        wire
    }

    async fn try_join_with(daemon: &Daemon, phone: &Phone<'_>, auth: Value) -> (Self, String) {
        // The place of one that has just hung up may not be free yet.
        let opening = || async { Self::open(daemon, phone).await.ok() };
        let mut wire = eventually("there is room for a transport", opening).await;
        wire.send(format!("40/mobile,{auth}")).await;
        let told = wire.next().await.expect("an answer");
        (wire, told)
    }

    /// Opens one with both halves, in the namespace.
    pub async fn join(daemon: &Daemon, phone: &Phone<'_>, project: &str) -> Self {
        let (wire, told) = Self::try_join(daemon, phone, &phone.token, project).await;
        assert!(told.starts_with("40/mobile,"), "{told}");
        wire
    }

    async fn send(&mut self, packet: String) {
        self.stream.send(Message::text(packet)).await.expect("it is open");
    }

    /// The next packet but pings; `None` at the end.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            let message = timeout(PATIENCE, self.stream.next())
                .await
                .expect("a packet in time");
            let Some(Ok(message)) = message else { return None };
            match message {
                Message::Text(text) if text.as_str() == "2" => self.send("3".to_owned()).await,
                Message::Text(text) => {
                    self.heard += &text;
                    self.heard.push('\n');
                    return Some(text.to_string());
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// The next packet that begins like this; others are kept.
    async fn find(&mut self, begin: &str) -> String {
        if let Some(at) = self.kept.iter().position(|packet| packet.starts_with(begin)) {
            return self.kept.remove(at).unwrap();
        }
        loop {
            let packet = self.next().await;
            let packet = packet.unwrap_or_else(|| panic!("it ended before {begin}: {:?}", self.kept));
            if packet.starts_with(begin) {
                return packet;
            }
            self.kept.push_back(packet);
        }
    }

    /// A request and its acknowledgement.
    pub async fn request(&mut self, verb: &str, data: Value) -> Value {
        self.asked += 1;
        let number = self.asked;
        self.send(format!("42/mobile,{number}{}", json!([verb, data])))
            .await;
        let begin = format!("43/mobile,{number}[");
        let answer = self.find(&begin).await;
        let mut list: Value = serde_json::from_str(&answer[begin.len() - 1..]).expect("a list");
        list[0].take()
    }

    /// The next event of this name.
    pub async fn event(&mut self, name: &str) -> Value {
        let begin = format!("42/mobile,[\"{name}\"");
        let event = self.find(&begin).await;
        let mut list: Value = serde_json::from_str(&event["42/mobile,".len()..]).expect("a list");
        list[1].take()
    }

    /// Waits for the end of the connection.
    pub async fn ended(&mut self) {
        while self.next().await.is_some() {}
    }
}
