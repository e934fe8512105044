//! Cloudflare, played by the test: a public address on this machine, and the program that connects to it.
//!
//! ```ignore
//! let edge = Edge::start().await;
//! let daemon = Setup::new().config(&edge.config()).start().await;   // tunnel.mode = "token"
//! edge.connected().await;                                            // the connector has registered
//! let answer = edge.get("/health").await;                            // through edge, connector and ingress socket
//! edge.lose(); edge.restore();                                       // the connection between the two
//! ```
//!
//! Everything a visitor sends to [`Edge::url`] goes to the stand-in for cloudflared (tests/fake_cloudflared) as it is, and
//! from there to the origin of its configuration, with the headers Cloudflare adds (`CF-Connecting-IP`: the address the
//! visitor really has, so connect from 127.0.0.2 to be another one). `Host` is left alone: it must be the public name,
//! [`Edge::host`] for the address above, or that of a quick tunnel. While no connector is there the edge answers 530.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinHandle,
};

use super::{Answer, Ask, eventually};

/// The token that the stand-in accepts; tests look for it where it must not be.
pub const TOKEN: &str = "eyJhIjoiYWNjb3VudCIsInQiOiJ0dW5uZWwiLCJzIjoic2VjcmV0In0=";

/// A place at Cloudflare's edge. Ends with the test; the connectors end with their daemons.
pub struct Edge {
    dir: tempfile::TempDir,
    port: u16,
    script: Mutex<Value>,
    stranger: Arc<Mutex<Option<String>>>,
    visits: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

/// One start of the connector.
#[derive(Clone, Debug)]
pub struct Start {
    pub pid: i32,
    pub argv: Vec<String>,
    pub env: Value,
}

impl Edge {
    /// Takes visitors from now on; no connector is there yet.
    pub async fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("edge-")
            .tempdir_in("/tmp")
            .expect("a directory");
        symlink(fake_cloudflared(), dir.path().join("cloudflared")).expect("a link to the stand-in");
        let token = dir.path().join("token");
        fs::write(&token, TOKEN).expect("written");
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("closed");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (stranger, visits) = (Arc::default(), Arc::default());
        let accepting = tokio::spawn(accept(
            listener,
            dir.path().join("connector.sock"),
            Arc::clone(&stranger),
            Arc::clone(&visits),
        ));
        let edge = Self {
            dir,
            port,
            script: Mutex::new(json!({})),
            stranger,
            visits,
            accepting,
        };
        edge.script(json!({}));
        edge
    }

    /// Where visitors connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The public address, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    /// `Host` of that address.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The program to be `tunnel.binary`.
    pub fn binary(&self) -> PathBuf {
        self.dir.path().join("cloudflared")
    }

    /// A file with [`TOKEN`], closed to others.
    pub fn token_file(&self) -> PathBuf {
        self.dir.path().join("token")
    }

    /// The `[tunnel]` table of a tunnel by token, reachable at [`Edge::url`].
    pub fn config(&self) -> String {
        format!(
            "[tunnel]\nmode = \"token\"\nbinary = {:?}\ntoken_file = {:?}\nurl = {:?}\n",
            self.binary(),
            self.token_file(),
            self.url()
        )
    }

    /// The `[tunnel]` table of a quick tunnel.
    pub fn quick_config(&self) -> String {
        format!("[tunnel]\nmode = \"quick\"\nbinary = {:?}\n", self.binary())
    }

    /// Changes the script of the connector (tests/fake_cloudflared/control.rs): these keys, the others stay.
    pub fn script(&self, change: Value) {
        let mut script = self.script.lock().expect("not poisoned");
        if let (Some(script), Some(change)) = (script.as_object_mut(), change.as_object()) {
            script.extend(change.clone());
        }
        let file = self.dir.path().join("edge.json");
        let fresh = file.with_extension("new");
        fs::write(&fresh, script.to_string()).expect("written");
        fs::rename(&fresh, &file).expect("replaced");
    }

    /// `connected`, `lost`, `unauthorized`, `refused`, `dns_dead`, `rate_limited`, `flood`, ...
    pub fn state(&self, state: &str) {
        self.script(json!({"state": state}));
    }

    /// Drops the connector's connections and takes no new ones.
    pub fn lose(&self) {
        self.state("lost");
    }

    /// Takes the connector back.
    pub fn restore(&self) {
        self.state("connected");
    }

    /// From now on somebody else answers visitors with this, as a stale twin of a tunnel would. `None`: the connector.
    pub fn answered_by_a_stranger(&self, response: Option<&str>) {
        *self.stranger.lock().expect("not poisoned") = response.map(str::to_owned);
    }

    /// Visitors so far.
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    /// Waits until a connector is registered.
    pub async fn connected(&self) {
        let socket = self.dir.path().join("connector.sock");
        eventually("a connector is registered at the edge", || async {
            UnixStream::connect(&socket).await.ok()
        })
        .await;
    }

    /// All starts of the connector so far.
    pub fn starts(&self) -> Vec<Start> {
        let text = fs::read_to_string(self.dir.path().join("starts.jsonl")).unwrap_or_default();
        let parsed = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed
            .map(|start| Start {
                pid: i32::try_from(start["pid"].as_i64().expect("a pid")).expect("a pid"),
                argv: serde_json::from_value(start["argv"].clone()).expect("arguments"),
                env: start["env"].clone(),
            })
            .collect()
    }

    /// The account that `cloudflared tunnel create|route` worked on.
    pub fn account(&self) -> Value {
        let text = fs::read(self.dir.path().join("account.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Sends a request through the edge; `Host` is [`Edge::host`] unless set.
    pub async fn ask(&self, ask: Ask) -> Answer {
        let stream = TcpStream::connect(("127.0.0.1", self.port))
            .await
            .expect("the edge");
        ask.over(stream, &self.host()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Ask::new("GET", path)).await
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    connector: PathBuf,
    stranger: Arc<Mutex<Option<String>>>,
    visits: Arc<AtomicUsize>,
) {
    while let Ok((visitor, address)) = listener.accept().await {
        visits.fetch_add(1, Ordering::SeqCst);
        let answer = stranger.lock().expect("not poisoned").clone();
        tokio::spawn(visit(
            visitor,
            address.ip().to_string(),
            connector.clone(),
            answer,
        ));
    }
}

/// Bytes both ways, or what Cloudflare says when nobody is connected.
async fn visit(mut visitor: TcpStream, address: String, connector: PathBuf, stranger: Option<String>) {
    let way = match stranger {
        Some(answer) => Err(answer),
        None => UnixStream::connect(&connector).await.map_err(|_| {
            let body = "error code: 1033";
            format!(
                "HTTP/1.1 530 <none>\r\nserver: cloudflare\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
        }),
    };
    match way {
        Ok(mut connector) => {
            if connector
                .write_all(format!("{address}\n").as_bytes())
                .await
                .is_ok()
            {
                let _ended = copy_bidirectional(&mut visitor, &mut connector).await;
            }
        }
        Err(answer) => {
            let mut head = Vec::new();
            while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                match visitor.read_buf(&mut head).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
            let _gone = visitor.write_all(answer.as_bytes()).await;
        }
    }
}

/// The stand-in, as the build of the tests left it; built now if that was a build of single tests.
pub fn fake_cloudflared() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_cloudflared");
        let changed = fs::read_dir(&sources).expect("its sources").flatten();
        let changed = changed
            .filter_map(|file| file.metadata().ok()?.modified().ok())
            .max();
        let beside = std::env::current_exe().expect("this binary");
        let beside = beside.parent().expect("a directory");
        newest_in(beside)
            .filter(|(built, _)| changed.is_none_or(|changed| *built >= changed))
            .map_or_else(build, |(_, program)| program)
    })
}

fn newest_in(dir: &Path) -> Option<(SystemTime, PathBuf)> {
    let files = fs::read_dir(dir).ok()?.flatten();
    let programs = files.filter(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        name.starts_with("fake_cloudflared-") && !name.contains('.')
    });
    programs
        .filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())))
        .max()
}

fn build() -> PathBuf {
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args([
        "test",
        "--no-run",
        "--test",
        "fake_cloudflared",
        "--message-format=json",
        "--locked",
    ]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let lines = String::from_utf8_lossy(&built.stdout).into_owned();
    let program = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "fake_cloudflared")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.unwrap_or_else(|| {
        panic!(
            "the stand-in for cloudflared cannot be built:\n{}",
            String::from_utf8_lossy(&built.stderr)
        )
    })
}
