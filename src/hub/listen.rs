//! Our own accept loop on hyper: HTTP/1.1 over TCP and unix sockets, with limits on heads, connections and writes.
//!
//! Trust comes from the listener: each is served with its own [`Door`], which is asked for every request. Nothing here
//! looks at a header or at a peer's address.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::private_socket::PrivateSocket;
use crate::shutdown::TaskGroup;

use super::stall::Stall;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;
/// Pause after an accept that failed, usually for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a connection that has not asked for anything may still do so when we stop.
const FIRST_WORD: Duration = Duration::from_millis(250);
/// How often another port is tried until it is free in both address families.
const PORT_TRIES: usize = 32;

/// By which listener a request came in. Put into its extensions by the [`Door`], and by nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// From this machine.
    Local,
    /// Through the tunnel: a stranger, until a paired device proves itself.
    Ingress,
}

/// In the extensions of a request that came by an address which will be gone: a tunnel on trial.
#[derive(Clone, Copy, Debug)]
pub struct OnTrial;

/// The ingress listener's socket, in the runtime directory: the only target of the tunnel.
pub const INGRESS_SOCKET: &str = "ingress.sock";

/// What a listener lets in, and to what. The only thing that decides how far a connection is trusted.
pub trait Door: Clone + Send + Sync + 'static {
    /// Answers a request that came in through this door, or turns it away.
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// What a connection may use.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections at once, upgraded ones included.
    pub connections: usize,
    /// Longest time for a request's head, and for an idle connection.
    pub head_time: Duration,
    /// Longest head of a request, in bytes; at least 8192.
    pub head_bytes: usize,
    /// How many headers a request may have.
    pub headers: usize,
    /// Longest time for one write.
    pub write_time: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            head_time: Duration::from_secs(30),
            head_bytes: 64 << 10,
            headers: 100,
            write_time: Duration::from_secs(10),
        }
    }
}

/// Why we cannot listen.
#[derive(Debug, Error)]
pub enum BindError {
    /// Another program listens there.
    #[error("{0} is taken by another program")]
    Taken(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {0}")]
    Failed(SocketAddr, #[source] io::Error),
    /// What was handed to us is no TCP socket that listens.
    #[error("it is no TCP socket that listens")]
    Handed(#[source] io::Error),
}

/// An address we listen on.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(PrivateSocket),
}

/// Listens on all of `hosts` at the same port; port 0 takes one that is free on all of them.
///
/// A family this machine does not have is left out, as long as another one is there.
///
/// # Errors
/// The first address that cannot be listened on.
pub fn bind(hosts: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, BindError> {
    let mut tries = if port == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match bind_all(hosts, port) {
            Err(BindError::Taken(_)) if tries > 0 => {}
            outcome => return outcome,
        }
    }
}

fn bind_all(hosts: &[IpAddr], mut port: u16) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    let mut missing = None;
    for &host in hosts {
        let address = SocketAddr::new(host, port);
        match bind_one(address) {
            Ok(listener) => {
                port = listener.local_addr().map_or(port, |bound| bound.port());
                listeners.push(listener);
            }
            Err(error) => match error.kind() {
                io::ErrorKind::AddrInUse => return Err(BindError::Taken(address)),
                io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported => {
                    missing = Some(BindError::Failed(address, error));
                }
                _ if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
                    missing = Some(BindError::Failed(address, error));
                }
                _ => return Err(BindError::Failed(address, error)),
            },
        }
    }
    match missing {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Takes a socket that somebody opened for us.
///
/// # Errors
/// [`BindError::Handed`].
pub fn adopt(fd: OwnedFd) -> Result<TcpListener, BindError> {
    let take = || -> io::Result<TcpListener> {
        let socket = Socket::from(fd);
        if socket.local_addr()?.as_socket().is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // One that listens already only gets our backlog; one that cannot listen is refused by the kernel.
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into())
    };
    take().map_err(BindError::Handed)
}

/// What listeners of one kind share. Another kind has its own, so that a flood from outside starves nobody at home.
#[derive(Clone)]
pub struct Connections {
    limits: ConnectionLimits,
    permits: Arc<Semaphore>,
    tasks: TaskGroup,
    cut: CancellationToken,
}

impl Connections {
    /// No connection yet.
    pub fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            permits: Arc::new(Semaphore::new(limits.connections)),
            tasks: TaskGroup::default(),
            cut: CancellationToken::new(),
        }
    }

    /// How many are open, upgraded ones included.
    pub fn open(&self) -> usize {
        self.limits.connections - self.permits.available_permits()
    }

    /// Tells every connection to end after the answer it is at.
    pub fn finish(&self) {
        self.tasks.stop();
    }

    /// Waits for those that are at an answer, then cuts the rest; false if there was a rest.
    pub async fn close(&self, grace: Duration) -> bool {
        let all = self.tasks.close(grace).await;
        self.cut.cancel();
        all
    }

    /// Accepts until `stop`, serving `door`. One such task per listener.
    pub async fn accept<D: Door>(self, listener: Listener, door: D, stop: CancellationToken) {
        loop {
            let permit = tokio::select! {
                () = stop.cancelled() => return,
                permit = self.permits.clone().acquire_owned() => permit,
            };
            let Ok(permit) = permit else { return }; // nobody closes the semaphore
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.accept_one(&listener, permit, &door) => accepted,
            };
            if let Err(error) = accepted {
                warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    async fn accept_one<D: Door>(
        &self,
        listener: &Listener,
        permit: OwnedSemaphorePermit,
        door: &D,
    ) -> io::Result<()> {
        match listener {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                tune(&stream, self.limits.write_time);
                self.serve(stream, permit, door);
            }
            Listener::Unix(listener) => {
                let stream = listener.accept().await?;
                self.serve(stream, permit, door);
            }
        }
        Ok(())
    }

    fn serve<S, D>(&self, stream: S, permit: OwnedSemaphorePermit, door: &D)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        D: Door,
    {
        let stream = Stall::new(stream, self.limits.write_time, Some(permit));
        let (door, cut, limits) = (door.clone(), self.cut.clone(), self.limits);
        self.tasks.spawn("connection", move |stop| async move {
            tokio::select! {
                () = connection(stream, door, limits, stop) => {}
                () = cut.cancelled() => debug!("a connection was cut"),
            }
        });
    }
}

/// Small answers at once; a peer that is gone is noticed.
fn tune(stream: &TcpStream, write_time: Duration) {
    // What the kernel will not do, it will not do: the connection works all the same.
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)));
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(write_time * 2)); // above our own limit, which can say why
    #[cfg(not(target_os = "linux"))]
    let _ = write_time;
}

async fn connection<S, D>(stream: Stall<S>, door: D, limits: ConnectionLimits, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    D: Door,
{
    let line = stream.line();
    let asked = Arc::new(Notify::new());
    let asks = asked.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let door = door.clone();
        asks.notify_one();
        request.extensions_mut().insert(line.clone());
        async move { Ok::<_, Infallible>(door.answer(request.map(Body::new)).await) }
    });
    // Who comes while we stop gets one answer; asked to finish, hyper would close a fresh connection without any.
    let late = stop.is_cancelled();
    let serving = http1::Builder::new()
        .keep_alive(!late)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_headers(limits.headers)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stop.cancelled(), if !late => {
            // Who connected in this moment gets its answer, too.
            let first = timeout(FIRST_WORD, asked.notified());
            let ended = tokio::select! {
                ended = &mut serving => Some(ended),
                _asked_or_silent = first => None,
            };
            match ended {
                Some(ended) => ended,
                None => {
                    serving.as_mut().graceful_shutdown();
                    serving.await
                }
            }
        }
    };
    if let Err(error) = ended {
        debug!("a connection ended: {error}");
    }
}

/// The loopback addresses, IPv4 first.
pub fn loopback() -> [IpAddr; 2] {
    [Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()]
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn both_families_share_a_free_port_and_a_taken_one_is_named() {
        let first = bind(&loopback(), 0).unwrap();
        let port = first[0].local_addr().unwrap().port();
        assert!(first.iter().all(|l| l.local_addr().unwrap().port() == port));
        let again = bind(&loopback(), port).unwrap_err();
        assert_eq!(
            again.to_string(),
            format!("127.0.0.1:{port} is taken by another program")
        );
        drop(first);
        assert!(bind(&loopback(), port).is_ok(), "a port is free again at once");
    }

    #[derive(Clone)]
    struct Yes;

    impl Door for Yes {
        async fn answer(&self, _: Request) -> Response {
            Response::new(Body::empty())
        }
    }

    #[tokio::test]
    async fn who_has_just_connected_when_we_stop_is_answered() {
        let connections = Connections::new(ConnectionLimits::default());
        let listener = bind(&loopback()[..1], 0).unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        let accepting = connections.clone();
        tokio::spawn(accepting.accept(Listener::Tcp(listener), Yes, CancellationToken::new()));
        let mut client = TcpStream::connect(address).await.unwrap();
        // One permit waits for the next client.
        while connections.open() < 2 {
            sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..10 {
            tokio::task::yield_now().await; // its task waits for a request by now
        }
        connections.finish();
        tokio::task::yield_now().await;
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        assert!(connections.close(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn an_address_that_is_not_this_machines_is_refused() {
        let elsewhere: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(matches!(bind(&[elsewhere], 0), Err(BindError::Failed(..))));
        assert_eq!(bind(&[loopback()[0], elsewhere], 0).unwrap().len(), 1);
    }
}
