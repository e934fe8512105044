//! A connection whose write hangs for too long fails, and stays failed; and so does one that is cut from outside.
//!
//! The kernel tells nobody that a client stopped reading: a write just stays pending, and with it everything that is
//! queued behind it. The failure is sticky because writers retry; each retry must not buy another period. It is told to
//! the reading side too: who waits for the client's next word learns at once that there will be none.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};

/// One connection as something that can be cut, whatever has become of it since: it stays the same after an upgrade.
/// Clones mean the same connection. In the extensions of every request that came over it.
#[derive(Clone, Debug)]
pub struct Line(Arc<Wire>);

#[derive(Debug, Default)]
struct Wire {
    broken: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Line {
    fn new() -> Self {
        Self(Arc::default())
    }

    /// Ends the connection: whoever reads from it or writes to it fails at once.
    pub fn cut(&self) {
        self.0.broken.store(true, Ordering::Release);
        self.0.reader.wake();
        self.0.writer.wake();
    }

    /// The same, without keeping anything of it.
    pub fn downgrade(&self) -> LineRef {
        LineRef(Arc::downgrade(&self.0))
    }

    fn is_broken(&self) -> bool {
        self.0.broken.load(Ordering::Acquire)
    }
}

/// A connection that may be gone.
#[derive(Clone, Debug)]
pub struct LineRef(Weak<Wire>);

impl LineRef {
    /// The connection, if it is still there.
    pub fn upgrade(&self) -> Option<Line> {
        self.0.upgrade().map(Line)
    }
}

/// A stream with a limit for each write. Holds the connection's permit: its end is the connection's real end, also
/// after an upgrade.
pub struct Stall<S> {
    stream: S,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    line: Line,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S> Stall<S> {
    /// Gives each write to `stream` at most `limit`.
    pub fn new(stream: S, limit: Duration, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            stream,
            limit,
            waiting: None,
            line: Line::new(),
            _permit: permit,
        }
    }

    /// The connection, to be cut.
    pub fn line(&self) -> Line {
        self.line.clone()
    }

    /// Refuses to write on a broken line. The waker is left first: what breaks it from now on wakes us.
    fn writable(&self, cx: &Context<'_>) -> io::Result<()> {
        self.line.0.writer.register(cx.waker());
        if self.line.is_broken() {
            Err(broken())
        } else {
            Ok(())
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
        self.waiting = None;
        self.line.cut();
        Poll::Ready(Err(broken()))
    }
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the client does not read, or was cut off",
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.line.0.reader.register(cx.waker());
        if self.line.is_broken() {
            return Poll::Ready(Err(broken()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writable(cx)?;
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(outcome, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writable(cx)?;
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writable(cx)?;
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
    async fn who_only_listens_learns_of_a_write_that_failed_and_of_a_cut() {
        for cut in [false, true] {
            let (near, _far) = duplex(8);
            let stall = Stall::new(near, Duration::from_secs(5), None);
            let line = stall.line();
            let (mut reading, mut writing) = tokio::io::split(stall);
            let writer = async {
                if cut {
                    line.cut();
                }
                writing.write_all(&[0; 64]).await
            };
            let (read, written) = tokio::join!(reading.read_u8(), writer);
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(written.is_err());
        }
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
