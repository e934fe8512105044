//! A phone that only listens, in a few hundred bytes: the frames of Engine.IO, taken apart where they lie.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Times;

/// Before the time of a change in a task's title, in microseconds since the beginning.
pub const MARK: &str = "mark-";

/// Connects a phone, which then listens for good; if it is thrown out, it comes back.
pub async fn listen(port: u16, project: String, begun: Instant, times: Arc<Times>) {
    let first = connect(port, &project).await;
    tokio::spawn(async move {
        let mut stream = first;
        loop {
            if let Some(stream) = &mut stream {
                hear(stream, begun, &times).await;
                times.lost_phones.note(begun.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            stream = connect(port, &project).await;
        }
    });
}

async fn connect(port: u16, project: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let upgrade = format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await.ok()?;
    let mut byte = [0];
    let mut last = [0; 4];
    while &last != b"\r\n\r\n" {
        stream.read_exact(&mut byte).await.ok()?;
        last.rotate_left(1);
        last[3] = byte[0];
    }
    say(&mut stream, &format!("40/mobile,{{\"projectId\":\"{project}\"}}")).await?;
    Some(stream)
}

/// A text frame; the mask is all zeros, which leaves the text as it is.
async fn say(stream: &mut TcpStream, text: &str) -> Option<()> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126)?;
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend(text.as_bytes());
    stream.write_all(&frame).await.ok()
}

async fn hear(stream: &mut TcpStream, begun: Instant, times: &Times) -> Option<()> {
    let mut buffer = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
        let now = begun.elapsed();
        while let Some((head, length)) = frame(&buffer) {
            let Some(payload) = buffer.get(head..head + length) else {
                break;
            };
            if buffer[0] & 0x0F == 8 {
                return None;
            }
            let ping = payload == b"2";
            if let Some(sent) = mark(payload) {
                times
                    .deliveries
                    .note(now.saturating_sub(Duration::from_micros(sent)));
            }
            buffer.drain(..head + length);
            if ping {
                say(stream, "3").await?;
            }
        }
    }
}

/// Length of the head, and of the payload, of the frame that begins here.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? & 0x7F {
        126 => Some((
            4,
            usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        )),
        127 => {
            let length = u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?);
            Some((10, usize::try_from(length).ok()?))
        }
        length => Some((2, usize::from(length))),
    }
}

fn mark(payload: &[u8]) -> Option<u64> {
    let at = payload
        .windows(MARK.len())
        .position(|window| window == MARK.as_bytes())?;
    let digits = payload[at + MARK.len()..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
