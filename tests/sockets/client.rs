//! A real client in a process of its own, driven by lines of JSON (tests/clients).

use std::{collections::VecDeque, path::PathBuf, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::harness::{Daemon, PATIENCE};

/// A client. Ended on drop.
pub struct Client {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    kept: VecDeque<Value>,
    asked: u64,
}

fn clients() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

impl Client {
    /// npm `socket.io-client`, connected to a namespace.
    pub async fn node(hub: &Daemon, namespace: &str, options: Value) -> Self {
        let mut client = Self::start("node", "driver.mjs");
        client.connect(hub, namespace, options).await;
        client
    }

    /// The same over WebSocket from the start.
    pub async fn ws(hub: &Daemon, namespace: &str, auth: Value) -> Self {
        Self::node(hub, namespace, json!({"transports": ["websocket"], "auth": auth})).await
    }

    /// The same, and it was let in.
    pub async fn connected(hub: &Daemon, namespace: &str, auth: Value) -> Self {
        let mut client = Self::ws(hub, namespace, auth).await;
        client.report("connect").await;
        client
    }

    /// `python-socketio`.
    pub async fn python(hub: &Daemon, namespace: &str, auth: Value, transports: &[&str]) -> Self {
        let venv = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/clients-venv/bin/python3");
        assert!(
            venv.exists(),
            "run tests/install-deps.sh clients: there is no {}",
            venv.display()
        );
        let mut client = Self::start(venv.to_str().unwrap(), "driver.py");
        let url = format!("http://localhost:{}", hub.port());
        let options = json!({"url": url, "space": namespace, "auth": auth, "transports": transports});
        client.command(&json!({"connect": options})).await;
        client
    }

    /// npm `ws` on the raw WebSocket.
    pub async fn raw(hub: &Daemon) -> Self {
        let mut client = Self::start("node", "raw.mjs");
        let url = format!("ws://localhost:{}/", hub.port());
        client.command(&json!({"connect": {"url": url}})).await;
        client.report("connect").await;
        client
    }

    fn start(program: &str, script: &str) -> Self {
        let modules = clients().join("node_modules");
        assert!(
            modules.exists(),
            "run tests/install-deps.sh clients: there is no {}",
            modules.display()
        );
        let mut child = Command::new(program)
            .arg(clients().join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the client starts");
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            input: child.stdin.take().unwrap(),
            _child: child,
            output,
            kept: VecDeque::new(),
            asked: 0,
        }
    }

    /// Connects (again).
    pub async fn connect(&mut self, hub: &Daemon, namespace: &str, mut options: Value) {
        options["url"] = format!("http://localhost:{}{namespace}", hub.port()).into();
        self.command(&json!({"connect": options})).await;
    }

    pub async fn command(&mut self, command: &Value) {
        let line = format!("{command}\n");
        self.input
            .write_all(line.as_bytes())
            .await
            .expect("the client listens");
    }

    pub async fn emit(&mut self, args: Value) {
        self.command(&json!({"emit": args})).await;
    }

    /// Sends a request without waiting; its answer is fetched with [`Client::answer`].
    pub async fn ask(&mut self, args: Value) -> u64 {
        self.asked += 1;
        self.command(&json!({"emit": args, "ack": self.asked})).await;
        self.asked
    }

    /// The answer to a request; what comes before it is kept.
    pub async fn answer(&mut self, number: u64) -> Value {
        self.find(&format!("the answer {number}"), |line| line["ack"] == number)
            .await["data"]
            .clone()
    }

    /// A request and its answer.
    pub async fn request(&mut self, name: &str, data: Value) -> Value {
        let number = self.ask(json!([name, data])).await;
        self.answer(number).await
    }

    /// The next report of this kind (`connect`, `connect_error`, `disconnect`, `upgrade`); others are kept.
    pub async fn report(&mut self, kind: &str) -> Value {
        self.find(kind, |line| line.get(kind).is_some()).await
    }

    /// The next event of this name; others are kept.
    pub async fn event(&mut self, name: &str) -> Value {
        self.find(name, |line| line["event"] == name).await["data"].clone()
    }

    /// All events kept so far and up to the next one of this name, that one included.
    pub async fn events_until(&mut self, name: &str) -> Vec<Value> {
        let last = self.event(name).await;
        let (events, rest) = self
            .kept
            .drain(..)
            .partition::<Vec<_>, _>(|line| line.get("event").is_some());
        self.kept = rest.into();
        let data = events.into_iter().map(|line| line["data"].clone());
        data.chain([last]).collect()
    }

    /// Everything that had been sent to this socket by now: a request is answered behind it.
    pub async fn arrived(&mut self) -> Vec<Value> {
        let number = self.ask(json!(["no:such:request"])).await;
        self.answer(number).await;
        let (events, rest) = self
            .kept
            .drain(..)
            .partition::<Vec<_>, _>(|line| line.get("event").is_some());
        self.kept = rest.into();
        events.into_iter().map(|line| line["data"].clone()).collect()
    }

    /// As [`Client::arrived`], but behind everything that was asked for, not only behind what was sent.
    pub async fn arrived_after_work(&mut self) -> Vec<Value> {
        let number = self.ask(json!(["session:subscribe", []])).await;
        self.answer(number).await;
        self.arrived().await
    }

    async fn find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at).unwrap();
        }
        loop {
            let line = match timeout(PATIENCE, self.output.next_line()).await {
                Ok(Ok(Some(line))) => line,
                Ok(other) => panic!("the client ended before {what}: {other:?}; kept: {:?}", self.kept),
                Err(_) => panic!("no {what} within {PATIENCE:?}; kept: {:?}", self.kept),
            };
            let line: Value = serde_json::from_str(&line).expect("a report");
            if wanted(&line) {
                return line;
            }
            self.kept.push_back(line);
        }
    }
}
