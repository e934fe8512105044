//! Frames of RFC 6455 as a server writes them: unmasked, never fragmented.

use bytes::{BufMut, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const FINAL: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
/// Longest payload of a control frame.
const CONTROL: usize = 125;

/// What stands before a text of this many bytes.
pub fn text_head(length: usize) -> Bytes {
    let mut head = BytesMut::with_capacity(10);
    put_head(&mut head, TEXT, length);
    head.freeze()
}

/// A whole text frame.
pub fn text(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 10);
    put_head(&mut frame, TEXT, payload.len());
    frame.put_slice(payload);
    frame.freeze()
}

/// A close frame; the reason is cut to what fits.
pub fn close(code: CloseCode, reason: &str) -> Bytes {
    let mut end = reason.len().min(CONTROL - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let mut frame = BytesMut::with_capacity(CONTROL + 2);
    put_head(&mut frame, CLOSE, end + 2);
    frame.put_u16(code.into());
    frame.put_slice(&reason.as_bytes()[..end]);
    frame.freeze()
}

fn put_head(out: &mut BytesMut, opcode: u8, length: usize) {
    out.put_u8(FINAL | opcode);
    // usize is at most 64 bits wide on every platform there is.
    match length {
        0..=125 => out.put_u8(length as u8),
        126..=0xffff => {
            out.put_u8(126);
            out.put_u16(length as u16);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use tokio_tungstenite::{
        WebSocketStream,
        tungstenite::{Message, protocol::Role},
    };

    use super::*;

    async fn read_by_another_implementation(frame: &[u8]) -> Message {
        let stream = tokio_test_stream(frame);
        let mut client = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        client.next().await.unwrap().unwrap()
    }

    fn tokio_test_stream(bytes: &[u8]) -> tokio::io::DuplexStream {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let bytes = bytes.to_vec();
        tokio::spawn(async move {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut far, &bytes).await;
            std::future::pending::<()>().await;
        });
        near
    }

    #[tokio::test]
    async fn texts_of_every_length_class_are_read_back() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
            let payload = "x".repeat(length);
            let frame = text(payload.as_bytes());
            assert!(frame.starts_with(&text_head(length)));
            assert_eq!(
                read_by_another_implementation(&frame).await,
                Message::text(payload),
                "{length}"
            );
        }
    }

    #[tokio::test]
    async fn a_long_reason_is_cut_between_characters() {
        let frame = close(CloseCode::Again, &"ü".repeat(100));
        let Message::Close(Some(close)) = read_by_another_implementation(&frame).await else {
            panic!("no close frame");
        };
        assert_eq!(close.code, CloseCode::Again);
        assert_eq!(close.reason.as_str(), "ü".repeat(61));
    }
}
