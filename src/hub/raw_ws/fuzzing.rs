//! What holds whatever a client sends after its upgrade: we end, what we answer can be read by a client, and no more
//! of it waits than may.
//!
//! The input of [`raw_ws`]: a byte that says in pieces of which size the rest arrives, then the bytes of the stream.
//! That of [`raw_ws_message`] is one message.

#![allow(clippy::unwrap_used, clippy::expect_used)] // this is how a check fails

use std::{
    collections::HashSet,
    io::Cursor,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{FutureExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};

use crate::bus::{Bounds, Kind, Local};
use crate::domain::Millis;

use super::{
    Farewell,
    reader::{Reader, Said, understand},
    writer::Writer,
};

/// Longest message; small, so that inputs reach it.
const LONGEST: usize = 1024;
const BOUNDS: Bounds = Bounds {
    frames: 16,
    bytes: 4096,
};

pub(crate) fn raw_ws(bytes: &[u8]) {
    let Some((pace, stream)) = bytes.split_first() else {
        return;
    };
    let input = Pieces {
        rest: stream,
        most: usize::from(*pace) + 1,
    };
    // Nothing here ever waits: the input is there, and the output takes everything.
    conversation(input).now_or_never().expect("it waits for nothing");
}

async fn conversation(input: Pieces<'_>) {
    let bus = Local::new();
    let reader = Reader::new(LONGEST, bus.subscribe(Kind::Raw, BOUNDS), || Millis(7));
    let mut connection = reader.over(input).await;
    let farewell = connection.read().await;
    let mut deliveries = Vec::new();
    let mut output = Vec::new();
    let mut writer = Writer::new(&mut output);
    let kept_up = match connection.subscription().take(&mut deliveries, 0) {
        Ok(_) => {
            writer.rest(connection.subscription());
            true
        }
        Err(cut) => {
            assert!(
                cut.frames <= BOUNDS.frames && (cut.frames == 1 || cut.bytes <= BOUNDS.bytes),
                "{cut}"
            );
            false
        }
    };
    writer.flush().await.expect("memory takes everything");
    if let Farewell::Close(code, reason) = &farewell {
        writer.close(*code, reason);
    }
    writer.flush().await.expect("memory takes everything");
    let goodbye = matches!(farewell, Farewell::Close(..)) || (matches!(farewell, Farewell::Peer) && kept_up);
    assert_eq!(read_as_a_client_does(output).await, goodbye, "{farewell:?}");
}

/// Reads all of it; true if it ends with a goodbye.
async fn read_as_a_client_does(output: Vec<u8>) -> bool {
    let length = output.len() as u64;
    let mut client = WebSocketStream::from_raw_socket(Cursor::new(output), Role::Client, None).await;
    loop {
        match client.next().await {
            Some(Ok(Message::Text(text))) => is_an_answer(text.as_bytes()),
            Some(Ok(Message::Pong(_))) => {}
            Some(Ok(Message::Close(_))) => return true,
            Some(Ok(other)) => panic!("we never say {other:?}"),
            Some(Err(_)) | None => {
                assert_eq!(client.get_ref().position(), length, "a client cannot read on");
                return false;
            }
        }
    }
}

fn is_an_answer(text: &[u8]) {
    let answer: Value = serde_json::from_slice(text).expect("JSON");
    assert_eq!(answer["timestamp"], 7);
    match answer["type"].as_str() {
        Some("pong" | "unsubscribed") => assert_eq!(answer.as_object().map(serde_json::Map::len), Some(2)),
        Some("subscribed") => {
            let ids = answer["sessionIds"].as_array().expect("a list");
            let different: HashSet<&str> = ids.iter().map(|id| id.as_str().expect("text")).collect();
            assert_eq!(different.len(), ids.len(), "an id is said twice");
        }
        other => panic!("no answer of ours: {other:?}"),
    }
}

pub(crate) fn raw_ws_message(bytes: &[u8]) {
    let Some(said) = understand(bytes, Millis(7)) else {
        return;
    };
    let (Said::Ping { answer } | Said::Filter { answer, .. }) = &said;
    let head = match answer[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    is_an_answer(&answer[head..]);
    if let Said::Filter { filter, answer } = &said {
        let answer: Value = serde_json::from_slice(&answer[head..]).expect("JSON");
        let told = answer["sessionIds"].as_array().map(Vec::len);
        assert_eq!(
            filter.as_ref().map(HashSet::len),
            told,
            "what is promised is not what is done"
        );
    }
}

/// Bytes that arrive a few at a time.
struct Pieces<'a> {
    rest: &'a [u8],
    most: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let count = self.most.min(self.rest.len()).min(buf.remaining());
        let (piece, rest) = self.rest.split_at(count);
        buf.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}
