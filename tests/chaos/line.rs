//! The wire between clients and the hub, which can be cut, held up and slowed down.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Connections made before this number went up are cut.
    cut: u64,
    /// Nothing passes, and nobody is told.
    held: bool,
    /// How late each piece is.
    delay: Duration,
}

/// A port that leads to the hub's.
pub struct Line {
    pub port: u16,
    state: Arc<watch::Sender<State>>,
    accepting: JoinHandle<()>,
}

impl Line {
    pub async fn to(hub: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let first = State {
            cut: 0,
            held: false,
            delay: Duration::ZERO,
        };
        let state = Arc::new(watch::channel(first).0);
        let told = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, hub, told.subscribe()));
            }
        });
        Self {
            port,
            state,
            accepting,
        }
    }

    /// Ends all connections there are; new ones may be made.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cut += 1);
    }

    pub fn hold(&self, held: bool) {
        self.state.send_modify(|state| state.held = held);
    }

    pub fn slow(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    /// As good as new.
    pub fn mend(&self) {
        self.hold(false);
        self.slow(Duration::ZERO);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connect(client: TcpStream, hub: u16, mut state: watch::Receiver<State>) {
    let Ok(hub) = TcpStream::connect(("127.0.0.1", hub)).await else {
        return; // as if nobody listened
    };
    let (there, back) = (state.clone(), state.clone());
    let cut = state.borrow_and_update().cut;
    let ((client_in, client_out), (hub_in, hub_out)) = (client.into_split(), hub.into_split());
    let both = async {
        tokio::join!(pass(client_in, hub_out, there), pass(hub_in, client_out, back));
    };
    tokio::select! {
        () = both => {}
        _ = state.wait_for(|state| state.cut != cut) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) {
    let mut piece = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut piece).await;
        if state.wait_for(|state| !state.held).await.is_err() {
            return;
        }
        let delay = state.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match read {
            Ok(length) if length > 0 => {
                if to.write_all(&piece[..length]).await.is_err() {
                    return;
                }
            }
            _ => {
                let _ended = to.shutdown().await;
                return;
            }
        }
    }
}
