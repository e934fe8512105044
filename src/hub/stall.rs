//! A connection whose write hangs for too long fails, and stays failed.
//!
//! The kernel tells nobody that a client stopped reading: a write just stays pending, and with it everything that is
//! queued behind it. The failure is sticky because writers retry; each retry must not buy another period.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};

/// A stream with a limit for each write. Holds the connection's permit: its end is the connection's real end, also
/// after an upgrade.
pub struct Stall<S> {
    stream: S,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    failed: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S> Stall<S> {
    /// Gives each write to `stream` at most `limit`.
    pub fn new(stream: S, limit: Duration, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            stream,
            limit,
            waiting: None,
            failed: false,
            _permit: permit,
        }
    }

    /// Passes on what a write came to, unless it has been pending for too long.
    fn judge<T>(&mut self, outcome: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waiting = None;
            return outcome;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(cx));
        self.failed = true;
        self.waiting = None;
        Poll::Ready(Err(stalled()))
    }
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client does not read")
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.failed {
            return Poll::Ready(Err(stalled()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.failed {
            return Poll::Ready(Err(stalled()));
        }
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(outcome, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.failed {
            return Poll::Ready(Err(stalled()));
        }
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.failed {
            return Poll::Ready(Err(stalled()));
        }
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_nobody_reads_fails_once_and_for_all() {
        let (near, mut far) = duplex(8);
        let mut stall = Stall::new(near, Duration::from_secs(5), None);
        let began = tokio::time::Instant::now();
        let error = stall.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), Duration::from_secs(5));

        far.read_exact(&mut [0; 8]).await.unwrap(); // there is room now, but it is too late
        assert!(stall.write_all(&[0; 1]).await.is_err());
        assert!(stall.read_u8().await.is_err());
        assert_eq!(began.elapsed(), Duration::from_secs(5), "no second period");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_slowly_but_steadily_gets_everything() {
        let (near, mut far) = duplex(8);
        let mut stall = Stall::new(near, Duration::from_secs(5), None);
        let reader = async {
            let mut got = 0;
            while got < 64 {
                tokio::time::sleep(Duration::from_secs(4)).await;
                got += far.read(&mut [0; 8]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(stall.write_all(&[0; 64]), reader);
        written.unwrap();
    }
}
