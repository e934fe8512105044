//! Our side of the edge: registered, lost, refused, as the script says.

use std::{
    fs,
    io::Write,
    process::ExitCode,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{net::UnixListener, task::JoinHandle};

use crate::{
    args::Args,
    control::{Control, EdgeState, Script},
    life::{Shared, uuid},
    proxy,
};

/// Our side of the edge.
#[derive(Default)]
pub struct Edge {
    state: Option<EdgeState>,
    connections: usize,
    pub serving: Option<JoinHandle<()>>,
    socket: Option<std::path::PathBuf>,
    registered: bool,
    retry_at: Option<Instant>,
}

impl Edge {
    /// Does what the script says; a status if the program ends of it.
    pub fn follow(
        &mut self,
        script: &Script,
        control: &Control,
        shared: &Arc<Shared>,
        args: &Args,
    ) -> Option<ExitCode> {
        let log = shared.log;
        let changed = self.state != Some(script.state) || self.connections != script.connections;
        match script.state {
            EdgeState::Connected if changed => self.register(script.connections, control, shared, args),
            EdgeState::Lost | EdgeState::Connecting | EdgeState::Unauthorized if changed => self.lose(shared),
            EdgeState::Refused => {
                std::thread::sleep(Duration::from_millis(50));
                log.error(
                    "Register tunnel error from server side",
                    &[("error", "Server error".into())],
                );
                log.last("initial tunnel connection failed");
                return Some(ExitCode::from(1));
            }
            EdgeState::Flood => {
                // 30 000 lines a second.
                let line = log.line(
                    "error",
                    "ERR",
                    "Unable to establish connection with Cloudflare edge",
                    &[
                        ("connIndex", "0".into()),
                        (
                            "error",
                            "dial tcp 198.51.100.1:7844: connect: connection refused".into(),
                        ),
                    ],
                );
                let _ = std::io::stderr().lock().write_all(line.repeat(300).as_bytes());
            }
            EdgeState::DnsDead | EdgeState::RateLimited => {} // matters at a start only
            EdgeState::Connected | EdgeState::Lost | EdgeState::Connecting | EdgeState::Unauthorized => {}
        }
        if script.state == EdgeState::Unauthorized && self.retry_at.is_none_or(|at| Instant::now() >= at) {
            let fields = [
                ("connIndex", "0".into()),
                ("error", "Unauthorized: Invalid tunnel secret".into()),
            ];
            log.error("Register tunnel error from server side", &fields);
            log.info("Retrying connection in up to 1s", &fields[..1]);
            self.retry_at = Some(Instant::now() + Duration::from_millis(500));
        }
        (self.state, self.connections) = (Some(script.state), script.connections);
        None
    }

    fn register(&mut self, connections: usize, control: &Control, shared: &Arc<Shared>, args: &Args) {
        let most = if shared.quick_host.is_some() { 1 } else { 4 };
        let connections = connections.min(most);
        self.unregister();
        if connections == 0 {
            shared.connections.store(0, Ordering::SeqCst);
            return;
        }
        let path = control.file("connector.sock");
        let _ = fs::remove_file(&path);
        match UnixListener::bind(&path) {
            Ok(listener) => self.serving = Some(tokio::spawn(proxy::serve(listener, shared.clone()))),
            Err(err) => shared
                .log
                .error("no way to the test's edge", &[("error", err.to_string())]),
        }
        self.socket = Some(path);
        for index in 0..connections {
            let fields = [
                ("connIndex", index.to_string()),
                ("connection", uuid()),
                ("event", "0".into()),
                ("ip", "198.51.100.1".into()),
                ("location", "xxx01".into()),
                ("protocol", "quic".into()),
            ];
            shared.log.info("Registered tunnel connection", &fields);
        }
        shared.was_connected.store(true, Ordering::SeqCst);
        shared.connections.store(connections, Ordering::SeqCst);
        if !std::mem::replace(&mut self.registered, true) {
            announce(args);
        }
    }

    fn lose(&mut self, shared: &Shared) {
        let had = shared.connections.swap(0, Ordering::SeqCst) > 0;
        self.close();
        shared.cut.send_modify(|count| *count += 1);
        if had {
            let index = [("connIndex", "0".to_owned())];
            shared.log.error("Lost connection with the edge", &index);
            shared.log.error("Serve tunnel error", &index);
            shared.log.info("Retrying connection in up to 1s", &index);
            shared.log.error("Connection terminated", &index);
        }
    }

    /// Takes no more, and lets those that are open be. A socket without a listener's file is no way in.
    pub fn unregister(&mut self) {
        if let Some(path) = self.socket.take() {
            let _ = fs::remove_file(path);
        }
    }

    pub fn close(&mut self) {
        self.unregister();
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

/// What happens at the first registration only.
fn announce(args: &Args) {
    if let Some(file) = args.flag("pidfile") {
        let _ = fs::write(file, std::process::id().to_string());
    }
    if let Some(path) = std::env::var_os("NOTIFY_SOCKET")
        && let Ok(socket) = std::os::unix::net::UnixDatagram::unbound()
    {
        let _ = socket.send_to(b"READY=1", path);
    }
}
