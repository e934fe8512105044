//! A client that costs next to nothing: blocking sockets, requests as ready bytes.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use serde_json::Value;

/// A kept-alive HTTP/1.1 connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

/// What matters of an answer.
pub struct Answer {
    pub status: u16,
}

impl Connection {
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
            line: String::new(),
            body: Vec::new(),
        })
    }

    pub fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request)?;
        self.receive()
    }

    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(request)
    }

    pub fn receive(&mut self) -> io::Result<Answer> {
        let (mut status, mut length, mut chunked) = (0, 0, false);
        loop {
            self.line.clear();
            if self.stream.read_line(&mut self.line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = self.line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
            } else if let Some((name, value)) = line.split_once(':') {
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap_or(0);
                }
                chunked |= name.eq_ignore_ascii_case("transfer-encoding");
            }
        }
        if chunked {
            self.chunks()?;
            return Ok(Answer { status });
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        Ok(Answer { status })
    }

    /// A body sent in chunks (RFC 9112 section 7.1), read and thrown away.
    fn chunks(&mut self) -> io::Result<()> {
        loop {
            self.line.clear();
            self.stream.read_line(&mut self.line)?;
            let length = usize::from_str_radix(self.line.trim(), 16).map_err(io::Error::other)?;
            self.body.resize(length + 2, 0); // with the line end behind it
            self.stream.read_exact(&mut self.body)?;
            if length == 0 {
                return Ok(());
            }
        }
    }
}

/// A raw WebSocket that is only listened to.
pub struct RawSocket {
    stream: BufReader<TcpStream>,
}

impl RawSocket {
    pub fn open(port: u16) -> io::Result<Self> {
        Self::at(port, "/")
    }

    fn at(port: u16, path: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let upgrade = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(upgrade.as_bytes())?;
        let mut stream = BufReader::with_capacity(16 * 1024, stream);
        let mut line = String::new();
        while stream.read_line(&mut line)? > 2 {
            line.clear();
        }
        Ok(Self { stream })
    }

    /// Frames until one contains this.
    pub fn until(&mut self, mark: &str) -> io::Result<Vec<u8>> {
        loop {
            let frame = self.next()?;
            if frame.windows(mark.len()).any(|window| window == mark.as_bytes()) {
                return Ok(frame);
            }
        }
    }

    /// The next frame's payload (RFC 6455 section 5.2; servers do not mask).
    pub fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let length = match head[1] & 0x7f {
            126 => {
                let mut wide = [0; 2];
                self.stream.read_exact(&mut wide)?;
                usize::from(u16::from_be_bytes(wide))
            }
            127 => {
                let mut wide = [0; 8];
                self.stream.read_exact(&mut wide)?;
                u64::from_be_bytes(wide) as usize
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(payload)
    }
}

/// A phone at `/mobile` that is only listened to (Socket.IO over a WebSocket).
pub struct Phone {
    socket: RawSocket,
}

impl Phone {
    /// Connects it, until it is greeted.
    pub fn open(port: u16, project: &str) -> io::Result<Self> {
        let socket = RawSocket::at(port, "/socket.io/?EIO=4&transport=websocket")?;
        let mut phone = Self { socket };
        phone.say(&format!("40/mobile,{{\"projectId\":\"{project}\"}}"))?;
        phone.until("[\"hello\",")?;
        Ok(phone)
    }

    /// Frames until one contains this; pings are answered.
    pub fn until(&mut self, mark: &str) -> io::Result<()> {
        loop {
            let frame = self.socket.next()?;
            if frame == b"2" {
                self.say("3")?;
            } else if frame.windows(mark.len()).any(|window| window == mark.as_bytes()) {
                return Ok(());
            }
        }
    }

    /// A text frame; the mask is all zeros, which leaves the text as it is.
    fn say(&mut self, text: &str) -> io::Result<()> {
        let length = u8::try_from(text.len()).map_err(io::Error::other)?;
        let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        self.socket.stream.get_mut().write_all(&frame)
    }
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

pub fn post(path: &str, body: &Value) -> Vec<u8> {
    with_body("POST", path, "", body)
}

pub fn post_minimal(path: &str, body: &Value) -> Vec<u8> {
    with_body("POST", path, "Prefer: return=minimal\r\n", body)
}

pub fn patch(path: &str, body: &Value) -> Vec<u8> {
    with_body("PATCH", path, "", body)
}

fn with_body(method: &str, path: &str, header: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{header}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}
