//! What clients say (EVENTS.md section 2). Anything else they say is ignored.

use std::{
    collections::HashSet,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as WsError, Message,
        protocol::{Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::bus::Subscription;
use crate::domain::Millis;

use super::{Farewell, frames};

/// Read buffer of a connection: clients say little, and there are many of them.
const READ_BUFFER: usize = 4096;

/// What reading a connection takes, before there is one.
pub struct Reader<N> {
    message_bytes: usize,
    subscription: Arc<Subscription>,
    now: N,
}

impl<N: Fn() -> Millis> Reader<N> {
    /// `message_bytes`: longest message a client may send; `now`: the time that answers carry.
    pub fn new(message_bytes: usize, subscription: Subscription, now: N) -> Self {
        let subscription = Arc::new(subscription);
        Self {
            message_bytes,
            subscription,
            now,
        }
    }

    /// Reads from `input`.
    pub async fn over<R: AsyncRead + Unpin>(self, input: R) -> Connection<R, N> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(self.message_bytes))
            .max_frame_size(Some(self.message_bytes));
        let stream = Duplex {
            input,
            answers: self.subscription,
        };
        Connection {
            stream: WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await,
            now: self.now,
        }
    }
}

/// The reading side of a connection.
pub struct Connection<R, N> {
    stream: WebSocketStream<Duplex<R>>,
    now: N,
}

impl<R: AsyncRead + Unpin, N: Fn() -> Millis> Connection<R, N> {
    /// The queue of this connection.
    pub fn subscription(&self) -> &Arc<Subscription> {
        &self.stream.get_ref().answers
    }

    /// Does what the client says until one side ends the connection.
    pub async fn read(&mut self) -> Farewell {
        loop {
            let bytes = match self.stream.next().await {
                Some(Ok(Message::Text(text))) => Bytes::from(text),
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Close(_))) => {
                    continue; // the library answers these, through our queue
                }
                Some(Err(error)) => return farewell(&error),
                None => return Farewell::Peer,
            };
            match understand(&bytes, (self.now)()) {
                Some(Said::Ping { answer }) => self.subscription().answer(answer),
                Some(Said::Filter { filter, answer }) => self.subscription().set_filter(filter, answer),
                None => {}
            }
        }
    }

    /// Reads and forgets until the client has closed its side.
    pub async fn drain(&mut self) {
        let mut scrap = [0; 1024];
        let input = &mut self.stream.get_mut().input;
        while input.read(&mut scrap).await.is_ok_and(|count| count > 0) {}
    }
}

fn farewell(error: &WsError) -> Farewell {
    match error {
        WsError::ConnectionClosed | WsError::AlreadyClosed => Farewell::Peer,
        WsError::Capacity(_) => Farewell::Close(CloseCode::Size, "the message is too large".into()),
        WsError::Utf8(_) => Farewell::Close(CloseCode::Invalid, "the text is not UTF-8".into()),
        WsError::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        )
        | WsError::Io(_) => Farewell::Gone,
        other => Farewell::Close(CloseCode::Protocol, other.to_string()),
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Ping {
        answer: Bytes,
    },
    Filter {
        filter: Option<HashSet<String>>,
        answer: Bytes,
    },
}

pub(super) fn understand(message: &[u8], now: Millis) -> Option<Said> {
    let message: Value = serde_json::from_slice(message).ok()?;
    let answer = |answer: Value| frames::text(answer.to_string().as_bytes());
    match message.get("type")?.as_str()? {
        "ping" => Some(Said::Ping {
            answer: answer(json!({"type": "pong", "timestamp": now})),
        }),
        "subscribe" => {
            let mut filter = HashSet::new();
            let ids: Vec<&str> = message
                .get("sessionIds")?
                .as_array()?
                .iter()
                .filter_map(Value::as_str)
                .filter(|id| filter.insert((*id).to_owned()))
                .collect();
            let answer = answer(json!({"type": "subscribed", "sessionIds": ids, "timestamp": now}));
            let filter = Some(filter);
            Some(Said::Filter { filter, answer })
        }
        "unsubscribe" => Some(Said::Filter {
            filter: None,
            answer: answer(json!({"type": "unsubscribed", "timestamp": now})),
        }),
        _ => None,
    }
}

/// What the library reads from is the connection; what it writes (pongs, the close handshake) goes to the queue, so
/// that it keeps its place among the events and counts against the same bound. The library writes whole frames.
struct Duplex<R> {
    input: R,
    answers: Arc<Subscription>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Duplex<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_read(cx, buf)
    }
}

impl<R: Unpin> AsyncWrite for Duplex<R> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, frame: &[u8]) -> Poll<io::Result<usize>> {
        self.answers.answer(Bytes::copy_from_slice(frame));
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_that_are_no_text_are_dropped_repeats_merged_and_the_order_kept() {
        let said = understand(
            br#"{"type":"subscribe","sessionIds":["b",1,"a","b",null]}"#,
            Millis(7),
        );
        let expected = r#"{"type":"subscribed","sessionIds":["b","a"],"timestamp":7}"#;
        assert_eq!(
            said,
            Some(Said::Filter {
                filter: Some(["a", "b"].map(str::to_owned).into()),
                answer: frames::text(expected.as_bytes())
            })
        );
    }

    proptest! {
        #[test]
        fn nothing_a_client_says_makes_us_panic(message: Vec<u8>, text in "\\PC*") {
            let _ = understand(&message, Millis(0));
            let _ = understand(text.as_bytes(), Millis(0));
            let _ = understand(format!(r#"{{"type":{text:?},"sessionIds":[{text:?}]}}"#).as_bytes(), Millis(0));
        }
    }
}
