//! The typed other end of the control socket, used by `maestroctl` and by tests.

use std::{io, path::Path, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::{net::UnixStream, time::timeout};

use super::protocol::{ChildAct, Problem, Progress, Status, TunnelReport};

/// An answer has to begin within this time: the daemon is on this machine and answers from memory.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// A longer answer, or line of one, is not ours.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Why the daemon could not be asked.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens: it is not running.
    #[error("maestrod is not running")]
    NotRunning,
    /// The socket belongs to somebody else.
    #[error("you may not talk to this maestrod: its control socket belongs to another user")]
    NoPermission,
    /// It listens but does not answer.
    #[error("maestrod listens but does not answer")]
    Silent,
    /// It said no.
    #[error("{}", .0.message)]
    Refused(Problem),
    /// The conversation broke.
    #[error("the conversation with maestrod broke: {0}")]
    Broken(String),
}

/// One connection to a daemon.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects to the daemon that listens on `socket`.
    pub async fn connect(socket: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => ClientError::NoPermission,
                _ => ClientError::NotRunning,
            })?;
        Self::over(stream).await
    }

    /// Talks over a connection that is there already.
    pub(super) async fn over(stream: UnixStream) -> Result<Self, ClientError> {
        let handshake = timeout(ANSWER_TIME, http1::handshake(TokioIo::new(stream)));
        let (sender, connection) = handshake
            .await
            .map_err(|_| ClientError::Silent)?
            .map_err(broken)?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// The truth at a glance.
    pub async fn status(&mut self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// Any JSON answer.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        let body = self.send(Method::GET, path, None).await?;
        whole(body).await
    }

    /// Everything that is counted, in the text format of Prometheus.
    pub async fn metrics(&mut self) -> Result<String, ClientError> {
        let body = self.send(Method::GET, "/v1/metrics", None).await?;
        let bytes = whole_bytes(body).await?;
        String::from_utf8(bytes.into()).map_err(|error| ClientError::Broken(error.to_string()))
    }

    /// Asks for something to be done.
    pub async fn post<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        let body = self.send(Method::POST, path, None).await?;
        whole(body).await
    }

    /// Asks for something that has to be described.
    pub async fn post_json<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = self.send(Method::POST, path, Some(told(body)?)).await?;
        whole(body).await
    }

    /// The same, answered step by step.
    pub async fn post_lines(&mut self, path: &str, body: &impl Serialize) -> Result<LineStream, ClientError> {
        Ok(LineStream {
            body: self.send(Method::POST, path, Some(told(body)?)).await?,
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
        })
    }

    /// The way in from outside; `check`: asked first whether it leads to the daemon.
    pub async fn tunnel(&mut self, check: bool) -> Result<TunnelReport, ClientError> {
        if check {
            self.post("/v1/tunnel/check").await
        } else {
            self.get("/v1/tunnel").await
        }
    }

    /// Asks for something to be removed.
    pub async fn delete<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        let body = self.send(Method::DELETE, path, None).await?;
        whole(body).await
    }

    /// Starts, stops or restarts a child.
    pub async fn act(&mut self, child: &str, act: ChildAct) -> Result<(), ClientError> {
        let path = format!("/v1/children/{}/{}", encode(child), act.word());
        self.post::<serde_json::Value>(&path).await.map(|_| ())
    }

    /// A stream of lines.
    pub async fn lines(&mut self, path: &str) -> Result<LineStream, ClientError> {
        Ok(LineStream {
            body: self.send(Method::GET, path, None).await?,
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
        })
    }

    /// Something that takes a while and tells how far it is; `path` is absolute.
    pub async fn long(&mut self, verb: &str, path: &Path) -> Result<LineStream, ClientError> {
        let body = serde_json::json!({"path": path}).to_string();
        let body = self
            .send(Method::POST, &format!("/v1/{verb}"), Some(body))
            .await?;
        Ok(LineStream {
            body,
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
        })
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Incoming, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "maestrod")
            .header("content-type", "application/json")
            .body(Full::from(body.unwrap_or_default()))
            .map_err(|error| ClientError::Broken(error.to_string()))?;
        let answer = timeout(ANSWER_TIME, self.sender.send_request(request));
        let answer = answer.await.map_err(|_| ClientError::Silent)?.map_err(broken)?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            StatusCode::UNPROCESSABLE_ENTITY => Err(ClientError::Refused(whole(answer.into_body()).await?)),
            StatusCode::NOT_FOUND => Err(ClientError::Refused(
                Problem::new("unknown_request", "this maestrod does not know the request")
                    .remedy("the daemon is older than maestroctl: restart it"),
            )),
            other => Err(ClientError::Broken(format!("it answered {other}"))),
        }
    }
}

/// Percent-encodes one path segment.
pub fn encode(segment: &str) -> String {
    percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Lines as they come.
pub struct LineStream {
    body: Incoming,
    buffer: BytesMut,
    /// So many bytes of the buffer hold no end of a line.
    searched: usize,
    ended: bool,
}

impl LineStream {
    /// The next line without its end, or `None` when there is no more.
    pub async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            let new = &self.buffer[self.searched..];
            if let Some(end) = new.iter().position(|&byte| byte == b'\n') {
                let line = self.buffer.split_to(self.searched + end);
                self.buffer.advance(1);
                self.searched = 0;
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            self.searched = self.buffer.len();
            if self.ended {
                return Ok(None);
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame.map_err(broken)?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                    if self.buffer.len() > MOST_BYTES {
                        return Err(ClientError::Broken("a line is too long".into()));
                    }
                }
                None => self.ended = true,
            }
        }
    }

    /// The next step of something that takes a while.
    pub async fn step(&mut self) -> Result<Option<Progress>, ClientError> {
        self.next_json().await
    }

    /// The next line, as what it says.
    pub async fn next_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        let Some(line) = self.next().await? else {
            return Ok(None);
        };
        serde_json::from_str(&line)
            .map(Some)
            .map_err(|error| ClientError::Broken(error.to_string()))
    }
}

fn told(body: &impl Serialize) -> Result<String, ClientError> {
    serde_json::to_string(body).map_err(|error| ClientError::Broken(error.to_string()))
}

async fn whole<T: DeserializeOwned>(body: Incoming) -> Result<T, ClientError> {
    let bytes = whole_bytes(body).await?;
    serde_json::from_slice(&bytes).map_err(|error| ClientError::Broken(error.to_string()))
}

async fn whole_bytes(body: Incoming) -> Result<Bytes, ClientError> {
    let limited = http_body_util::Limited::new(body, MOST_BYTES);
    let bytes = timeout(ANSWER_TIME, limited.collect())
        .await
        .map_err(|_| ClientError::Silent)?;
    let bytes = bytes.map_err(|error| ClientError::Broken(error.to_string()))?;
    Ok(bytes.to_bytes())
}

fn broken(error: hyper::Error) -> ClientError {
    ClientError::Broken(error.to_string())
}
