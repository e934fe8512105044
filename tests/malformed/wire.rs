//! Brings made-up messages to a door, whole or in pieces, and takes in what comes back.

use std::{path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    harness::{Daemon, Dice},
    made_up::{Known, broken, frame, packet, raw, request},
};

/// How long an answer is waited for. A hub that waits for the rest of a request is right to.
const PATIENCE: Duration = Duration::from_millis(150);
/// Enough of an answer to judge it.
const ENOUGH: usize = 64 << 10;

/// Where one can knock.
pub enum Door {
    Local { port: u16 },
    Ingress { socket: PathBuf },
}

/// What became of a message.
#[derive(Debug)]
pub enum Outcome {
    /// A status of HTTP, and the beginning of the answer.
    Answered(u16, String),
    /// Something else came back.
    Spoke,
    /// The connection was closed without a word.
    Closed,
    /// Nothing came within the time; then we hung up.
    Silence,
}

impl Outcome {
    pub fn name(&self) -> String {
        match self {
            Self::Answered(status, _) => status.to_string(),
            other => format!("{other:?}"),
        }
    }
}

impl Door {
    pub fn all(hub: &Daemon) -> [Self; 2] {
        [
            Self::Local { port: hub.port() },
            Self::Ingress {
                socket: hub.place().runtime_dir().join("ingress.sock"),
            },
        ]
    }

    fn host(&self) -> String {
        match self {
            Self::Local { port } => format!("localhost:{port}"),
            Self::Ingress { .. } => "hub.example".into(),
        }
    }
}

/// One connection with something made up on it.
pub async fn send(doors: &[Door; 2], known: &Known, dice: &mut Dice) -> Outcome {
    let door = &doors[usize::from(dice.once_in(5))];
    let host = door.host();
    let pieces = conversation(dice, known, &host);
    match door {
        Door::Local { port } => match TcpStream::connect(("127.0.0.1", *port)).await {
            Ok(stream) => speak(stream, dice, &pieces).await,
            Err(_) => Outcome::Closed,
        },
        Door::Ingress { socket } => match UnixStream::connect(socket).await {
            Ok(stream) => speak(stream, dice, &pieces).await,
            Err(_) => Outcome::Closed,
        },
    }
}

fn upgrade(path: &str, host: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// What is said on one connection, in order.
fn conversation(dice: &mut Dice, known: &Known, host: &str) -> Vec<Vec<u8>> {
    match dice.below(10) {
        0..=4 => vec![request(dice, known, host)],
        5..=6 => {
            let mut said = vec![upgrade("/", host)];
            for _ in 0..=dice.below(4) {
                let message = raw(dice, known);
                said.push(frame(dice, &message));
            }
            said
        }
        7 => {
            // Polling: a session that is made up, or a body of packets.
            let packets: Vec<String> = (0..=dice.below(3)).map(|_| packet(dice, known)).collect();
            let body = packets.join("\u{1e}");
            let mut bytes = format!(
                "POST /socket.io/?EIO={}&transport=polling&sid={} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
                 content-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
                dice.pick(&["4", "3", "x", ""]),
                dice.pick(&["", "AAAAAAAAAAAAAAAAAAAA", "%00"]),
                body.len()
            )
            .into_bytes();
            if dice.once_in(5) {
                bytes = broken(dice, bytes);
            }
            vec![bytes]
        }
        _ => {
            let mut said = vec![upgrade("/socket.io/?EIO=4&transport=websocket", host)];
            if !dice.once_in(4) {
                let space = *dice.pick(&["/mobile", "/ui"]);
                let join = format!("40{space},{{\"projectId\":\"{}\"}}", known.project);
                let mut plain = Dice::new(5);
                said.push(whole(&mut plain, join.as_bytes()));
            }
            for _ in 0..=dice.below(5) {
                let message = packet(dice, known);
                said.push(frame(dice, message.as_bytes()));
            }
            said
        }
    }
}

/// A frame as it should be.
fn whole(dice: &mut Dice, payload: &[u8]) -> Vec<u8> {
    loop {
        let bytes = frame(dice, payload);
        // Text, final, masked, and as long as it says.
        let head = if payload.len() > 125 { 8 } else { 6 };
        if bytes[0] == 0x81
            && bytes[1] & 0x80 != 0
            && bytes.len() == payload.len() + head
            && bytes[1] & 0x7F <= 126
        {
            return bytes;
        }
    }
}

async fn speak(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    dice: &mut Dice,
    said: &[Vec<u8>],
) -> Outcome {
    let mut heard = Vec::new();
    for (n, bytes) in said.iter().enumerate() {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let piece = if dice.once_in(8) {
                1 + rest.len() / 3
            } else {
                rest.len()
            };
            if stream.write_all(&rest[..piece]).await.is_err() {
                return judge(&heard, true);
            }
            rest = &rest[piece..];
            if !rest.is_empty() {
                tokio::task::yield_now().await;
            }
        }
        // After an upgrade its answer; else what comes at the end.
        if n == 0 && said.len() > 1 {
            let _late = timeout(PATIENCE, stream.read_buf(&mut heard)).await;
        }
    }
    let first = heard.len();
    loop {
        match timeout(PATIENCE, stream.read_buf(&mut heard)).await {
            Ok(Ok(0) | Err(_)) => return judge(&heard, true),
            Ok(Ok(_)) if heard.len() > ENOUGH => return judge(&heard, false),
            // One answer is enough of a conversation.
            Ok(Ok(_)) if said.len() > 1 && heard.len() > first => return judge(&heard, false),
            Ok(Ok(_)) => {}
            Err(_) => return judge(&heard, false),
        }
    }
}

fn judge(heard: &[u8], closed: bool) -> Outcome {
    let text = String::from_utf8_lossy(&heard[..heard.len().min(400)]).into_owned();
    let status = text
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    match status {
        Some(101) => Outcome::Spoke,
        Some(status) => Outcome::Answered(status, text),
        None if !heard.is_empty() => Outcome::Spoke,
        None if closed => Outcome::Closed,
        None => Outcome::Silence,
    }
}
