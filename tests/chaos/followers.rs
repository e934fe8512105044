//! Clients that follow what goes on: phones, desktops, scripts. They come back whenever they are thrown out.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{
    harness::Caller,
    replica::{Order, State},
};

/// A connection that says nothing for so long is given up; the hub pings every 25 s.
const SILENCE: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(150);

/// What is known of a follower.
#[derive(Debug, Default)]
pub struct Known {
    pub state: State,
    pub events: u64,
    pub connections: u64,
    pub resets: u64,
    pub complaints: Vec<String>,
}

/// Somebody who follows, and how it gets there.
#[derive(Clone)]
pub struct Follower {
    pub name: &'static str,
    pub known: Arc<Mutex<Known>>,
    /// Where and as whom it connects.
    pub port: u16,
    pub host: String,
    pub headers: Vec<(&'static str, String)>,
    pub project: String,
    pub auth: Value,
    /// For lists, past the broken line.
    pub caller: Caller,
}

type Stream = WebSocketStream<TcpStream>;

/// Where a phone stands.
#[derive(Clone, Debug, Default)]
struct Cursor {
    epoch: Option<String>,
    seq: u64,
}

impl Follower {
    pub async fn be_a_phone(self) {
        let mut cursor = Cursor::default();
        loop {
            let _ended = self.phone(&mut cursor).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub async fn be_a_desktop(self) {
        loop {
            let _ended = self.desktop().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub async fn be_an_old_desktop(self) {
        loop {
            let _ended = self.raw().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub async fn be_a_script(self) {
        let mut cursor = Cursor::default();
        loop {
            let _failed = self.script(&mut cursor).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.lock().expect("not poisoned"))
    }

    fn complain(&self, what: &str) {
        self.with(|known| known.complaints.push(format!("{}: {what}", self.name)));
    }

    async fn open(&self, path: &str) -> Option<Stream> {
        let mut request = format!("ws://{}{path}", self.host).into_client_request().ok()?;
        for (name, value) in &self.headers {
            request.headers_mut().insert(*name, value.parse().ok()?);
        }
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        let opened = timeout(SILENCE, client_async(request, stream)).await;
        let (stream, _) = opened.ok()?.ok()?;
        self.with(|known| known.connections += 1);
        Some(stream)
    }

    /// A Socket.IO connection to a namespace that let us in.
    async fn join(&self, namespace: &str) -> Option<Stream> {
        let mut stream = self.open("/socket.io/?EIO=4&transport=websocket").await?;
        next(&mut stream).await?;
        let hello = Message::text(format!("40{namespace},{}", self.auth));
        stream.send(hello).await.ok()?;
        loop {
            let packet = next(&mut stream).await?;
            if packet.starts_with(&format!("40{namespace}")) {
                return Some(stream);
            }
            if packet.starts_with("44") {
                return None;
            }
        }
    }

    async fn lists(&self) -> State {
        loop {
            let tasks = self
                .caller
                .get(&format!("/api/tasks?projectId={}", self.project))
                .await;
            let sessions = self
                .caller
                .get(&format!("/api/sessions?projectId={}", self.project))
                .await;
            if let (Some(tasks), Some(sessions)) = (tasks.done(), sessions.done()) {
                return State::of(tasks, sessions);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn phone(&self, cursor: &mut Cursor) -> Option<()> {
        let mut stream = self.join("/mobile").await?;
        let (mut order, mut heard, mut asked) = (Order::default(), VecDeque::new(), 0);
        self.sync(&mut stream, cursor, &mut heard, &mut asked).await?;
        loop {
            while let Some((name, message)) = heard.pop_front() {
                if name == "state:reset" {
                    *cursor = Cursor::default();
                    self.sync(&mut stream, cursor, &mut heard, &mut asked).await?;
                    continue;
                }
                let Some(seq) = message["seq"].as_u64().filter(|_| message.get("data").is_some()) else {
                    continue;
                };
                if let Err(what) = order.hear(seq, false) {
                    self.complain(&what);
                }
                if message["epoch"].as_str() != cursor.epoch.as_deref() {
                    self.complain(&format!(
                        "an event of epoch {} on a connection of {cursor:?}",
                        message["epoch"]
                    ));
                }
                if seq > cursor.seq {
                    cursor.seq = seq;
                    self.take(&name, &message["data"]);
                }
            }
            let packet = next(&mut stream).await?;
            heard.extend(event(&packet, "/mobile"));
        }
    }

    /// Asks until nothing is missing any more; what is heard meanwhile is kept.
    async fn sync(
        &self,
        stream: &mut Stream,
        cursor: &mut Cursor,
        heard: &mut VecDeque<(String, Value)>,
        asked: &mut u64,
    ) -> Option<()> {
        loop {
            *asked += 1;
            let since = match &cursor.epoch {
                Some(epoch) => json!({"epoch": epoch, "since": cursor.seq}),
                None => json!({}),
            };
            let ask = format!("42/mobile,{asked}[\"state:sync\",{since}]");
            stream.send(Message::text(ask)).await.ok()?;
            let answer = loop {
                let packet = next(stream).await?;
                match packet.strip_prefix(&format!("43/mobile,{asked}")) {
                    Some(answer) => break serde_json::from_str::<Value>(answer).ok()?[0].take(),
                    None => heard.extend(event(&packet, "/mobile")),
                }
            };
            if answer["success"] != true {
                return None; // busy, or on its way out: connect again
            }
            if answer["reset"] == true {
                let state = State::of(&answer["tasks"], &answer["sessions"]);
                self.with(|known| {
                    known.state = state;
                    known.resets += 1;
                });
            } else {
                let mut order = Order::default();
                for event in answer["events"].as_array().into_iter().flatten() {
                    let seq = event["seq"].as_u64().unwrap_or_default();
                    if seq <= cursor.seq {
                        self.complain(&format!("event {seq} was told again after {}", cursor.seq));
                    }
                    if let Err(what) = order.hear(seq, false) {
                        self.complain(&what);
                    }
                    self.take(event["event"].as_str().unwrap_or_default(), &event["data"]);
                }
            }
            cursor.epoch = answer["epoch"].as_str().map(str::to_owned);
            cursor.seq = answer["seq"].as_u64()?;
            if answer["more"] != true {
                return Some(());
            }
        }
    }

    fn take(&self, name: &str, data: &Value) {
        self.with(|known| {
            known.state.apply(name, data);
            known.events += 1;
        });
    }

    /// A desktop hears everything; it reads the lists when it connects, as ours does.
    async fn desktop(&self) -> Option<()> {
        let mut stream = self.join("/ui").await?;
        let state = self.lists().await;
        self.with(|known| known.state = state);
        let mut order = Order::default();
        loop {
            let packet = next(&mut stream).await?;
            let Some((name, message)) = event(&packet, "/ui") else {
                continue;
            };
            if name == "state:reset" {
                return None; // connect again, and read anew
            }
            let Some(seq) = message["seq"].as_u64().filter(|_| message.get("data").is_some()) else {
                continue;
            };
            if let Err(what) = order.hear(seq, true) {
                self.complain(&what);
            }
            self.take(&name, &message["data"]);
        }
    }

    async fn raw(&self) -> Option<()> {
        let mut stream = self.open("/").await?;
        let state = self.lists().await;
        self.with(|known| known.state = state);
        loop {
            let frame = next(&mut stream).await?;
            let frame: Value = serde_json::from_str(&frame).ok()?;
            let Some(name) = frame["event"].as_str() else {
                continue;
            };
            self.take(name, &frame["data"]);
        }
    }

    /// One look at what happened since.
    async fn script(&self, cursor: &mut Cursor) -> Option<()> {
        let Some(epoch) = cursor.epoch.clone() else {
            let now = self.caller.get("/api/events").await;
            let now = now.done()?;
            *cursor = Cursor {
                epoch: Some(now["epoch"].as_str()?.to_owned()),
                seq: now["seq"].as_u64()?,
            };
            let state = self.lists().await;
            self.with(|known| {
                known.state = state;
                known.resets += 1;
            });
            return Some(());
        };
        let path = format!("/api/events?epoch={epoch}&since={}", cursor.seq);
        let answer = self.caller.get(&path).await;
        let answer = answer.done()?;
        if answer.get("reset").is_some() {
            *cursor = Cursor::default();
            return None;
        }
        for event in answer["events"].as_array()? {
            let seq = event["seq"].as_u64()?;
            if seq != cursor.seq + 1 {
                self.complain(&format!("event {seq} was told right after {}", cursor.seq));
            }
            cursor.seq = seq;
            self.take(event["event"].as_str()?, &event["data"]);
        }
        if answer["seq"].as_u64()? != cursor.seq {
            self.complain(&format!(
                "told up to {} and claimed {}",
                cursor.seq, answer["seq"]
            ));
        }
        Some(())
    }
}

/// The next text, pings answered; `None` at the end of the connection.
async fn next(stream: &mut Stream) -> Option<String> {
    loop {
        match timeout(SILENCE, stream.next()).await.ok()?? {
            Ok(Message::Text(text)) if text.as_str() == "2" => {
                stream.send(Message::text("3")).await.ok()?;
            }
            Ok(Message::Text(text)) => return Some(text.to_string()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Name and payload of an event packet.
fn event(packet: &str, namespace: &str) -> Option<(String, Value)> {
    let rest = packet
        .strip_prefix("42")?
        .strip_prefix(namespace)?
        .strip_prefix(',')?;
    let mut args: Value = serde_json::from_str(rest).ok()?;
    Some((args[0].as_str()?.to_owned(), args.get_mut(1)?.take()))
}
