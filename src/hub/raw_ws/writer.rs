//! Writes frames without copying them. Always knows where one frame ends, so that a reason can follow the frame that
//! is on its way.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::bus::{Cut, Delivery, Subscription};

use super::frames;

/// How many frames are taken from the queue, and written together if the kernel takes them.
const BATCH: usize = 32;

/// A frame on its way: its head may stand apart from a payload that is shared by all connections.
struct Frame {
    head: Bytes,
    payload: Bytes,
}

/// The writing side of a connection.
pub struct Writer<W> {
    output: W,
    frames: VecDeque<Frame>,
    /// The first frame is partly written: it must be finished, or the client cannot read what follows.
    begun: bool,
    batch: Vec<Delivery>,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Writes to `output`.
    pub fn new(output: W) -> Self {
        Self {
            output,
            frames: VecDeque::new(),
            begun: false,
            batch: Vec::new(),
        }
    }

    /// Waits for something to be queued and takes it. Cancel-safe.
    pub async fn next(&mut self, subscription: &Subscription) -> Result<(), Cut> {
        subscription.next(&mut self.batch, BATCH).await?;
        self.enqueue();
        Ok(())
    }

    /// Takes everything that is still queued.
    pub fn rest(&mut self, subscription: &Subscription) {
        if subscription.take(&mut self.batch, usize::MAX).is_ok() {
            self.enqueue();
        }
    }

    fn enqueue(&mut self) {
        for delivery in self.batch.drain(..) {
            self.frames.push_back(match delivery {
                Delivery::Event(event) => {
                    let payload = event.raw_frame().clone();
                    let head = frames::text_head(payload.len());
                    Frame { head, payload }
                }
                Delivery::Answer(head) => Frame {
                    head,
                    payload: Bytes::new(),
                },
            });
        }
    }

    /// Drops what is not on its way yet, and says why there is no more.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.frames.truncate(usize::from(self.begun));
        self.frames.push_back(Frame {
            head: frames::close(code, reason),
            payload: Bytes::new(),
        });
    }

    /// Writes all frames. Cancel-safe: a later call goes on where this one stopped.
    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); 2 * BATCH];
            let mut used = 0;
            for part in self.frames.iter().flat_map(|f| [&f.head, &f.payload]) {
                if used < slices.len() && !part.is_empty() {
                    slices[used] = IoSlice::new(part);
                    used += 1;
                }
            }
            let written = self.output.write_vectored(&slices[..used]).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.advance(written);
        }
        self.output.flush().await
    }

    /// Writes all frames and closes our side.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.output.shutdown().await
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(frame) = self.frames.front_mut() {
            let before = written;
            for part in [&mut frame.head, &mut frame.payload] {
                let count = written.min(part.len());
                part.advance(count);
                written -= count;
            }
            if !(frame.head.is_empty() && frame.payload.is_empty()) {
                self.begun |= written < before;
                return;
            }
            self.frames.pop_front();
            self.begun = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::StreamExt;
    use tokio::io::duplex;
    use tokio_tungstenite::{
        WebSocketStream,
        tungstenite::{Message, protocol::Role},
    };

    use crate::bus::{Bounds, Kind, Local};
    use crate::domain::{Event, Id, Millis, Published};
    use crate::ports::EventBus;

    use super::*;

    fn event(n: u64) -> Arc<Published> {
        let id = Id::parse(&format!("p{n}{}", "x".repeat(100))).unwrap();
        Arc::new(Published::new(n, Millis(1), Event::ProjectDeleted(id)))
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order_through_the_narrowest_pipe() {
        let bus = Local::new();
        let subscription = bus.subscribe(Kind::Raw, Bounds::default());
        bus.publish((0..100).map(event).collect());
        subscription.answer(frames::text(b"pong"));
        let (near, far) = duplex(7);
        let mut client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        let mut writer = Writer::new(near);
        writer.rest(&subscription);
        writer.frames.push_back(Frame {
            head: frames::close(CloseCode::Away, "bye"),
            payload: Bytes::new(),
        });
        let reading = async {
            for n in 0..100 {
                let frame = event(n).raw_frame().clone();
                let expected = std::str::from_utf8(&frame).unwrap().to_owned();
                assert_eq!(client.next().await.unwrap().unwrap(), Message::text(expected));
            }
            assert_eq!(client.next().await.unwrap().unwrap(), Message::text("pong"));
            assert!(client.next().await.unwrap().unwrap().is_close());
        };
        let (written, ()) = tokio::join!(writer.flush(), reading);
        written.unwrap();
    }

    #[tokio::test]
    async fn a_reason_follows_the_frame_that_is_on_its_way_and_nothing_else() {
        let bus = Local::new();
        let subscription = bus.subscribe(Kind::Raw, Bounds::default());
        bus.publish((0..3).map(event).collect());
        let (near, far) = duplex(20);
        let mut writer = Writer::new(near);
        writer.rest(&subscription);
        // The pipe takes a part of the first frame; then the write hangs and is given up.
        assert!(futures_util::poll!(std::pin::pin!(writer.flush())).is_pending());
        writer.close(CloseCode::Again, "too slow");
        let mut client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        let reading = async {
            assert!(
                client
                    .next()
                    .await
                    .unwrap()
                    .unwrap()
                    .to_text()
                    .unwrap()
                    .contains("\"p0x")
            );
            let Message::Close(Some(close)) = client.next().await.unwrap().unwrap() else {
                panic!("no reason");
            };
            assert_eq!(
                (close.code, close.reason.as_str()),
                (CloseCode::Again, "too slow")
            );
        };
        let (written, ()) = tokio::join!(writer.flush(), reading);
        written.unwrap();
    }
}
