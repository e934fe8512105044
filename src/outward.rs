//! One question to somebody outside: one HTTP request over a connection that is open, and a bounded answer.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{Request, Response, body::Body, client::conn::http1, rt};

/// Asks, and reads at most `most` bytes of the answer's body; of a longer one there is nothing. No redirect is followed.
/// Nothing is left behind when this is dropped, so a limit in time is the caller's `timeout`.
///
/// # Errors
/// The connection broke before there was an answer.
pub async fn ask<S, B>(stream: S, request: Request<B>, most: usize) -> Result<Response<Bytes>, hyper::Error>
where
    S: rt::Read + rt::Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, connection) = http1::handshake(stream).await?;
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, most).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        Ok(Response::from_parts(head, body))
    };
    // Both halves here, so that none outlives the other.
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        _ended = connection => answer.await,
    }
}

/// An error and what caused it, on one line.
pub fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    async fn answered(with: &'static str) -> Result<Response<Bytes>, hyper::Error> {
        let (near, mut far) = duplex(4096);
        let service = async {
            let read = far.read(&mut [0; 4096]).await;
            assert!(read.is_ok_and(|bytes| bytes > 0), "a request");
            let _may_be_gone = far.write_all(with.as_bytes()).await;
            drop(far);
        };
        let request = Request::get("/").body(Empty::<Bytes>::new()).unwrap();
        let (answer, ()) = tokio::join!(ask(TokioIo::new(near), request, 4), service);
        answer
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_bound_and_a_broken_connection_is_an_error() {
        let short = answered("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfour").await;
        assert_eq!(short.unwrap().body(), "four");
        let long = answered("HTTP/1.1 404 No\r\ncontent-length: 5\r\n\r\nfives")
            .await
            .unwrap();
        assert_eq!((long.status().as_u16(), long.body().len()), (404, 0));
        assert!(answered("").await.is_err());
    }
}
