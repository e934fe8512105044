//! A push service of nobody's, and browsers that subscribe to it (tests/clients/push_service.mjs): strict as the real
//! ones, and with nothing of the hub's own code in it.

use std::{collections::VecDeque, path::PathBuf, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::PATIENCE;

/// The service. Ended on drop.
pub struct PushService {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    kept: VecDeque<Value>,
    pub origin: String,
}

impl PushService {
    /// At a port of this machine, without encryption.
    pub async fn start() -> Self {
        Self::spawn(&[]).await
    }

    /// With a certificate for `localhost` by an authority of the tests.
    pub async fn with_tls() -> Self {
        let tls = |file: &str| format!("{}/tests/fixtures/tls/{file}", env!("CARGO_MANIFEST_DIR"));
        Self::spawn(&[
            ("TLS_CERT", tls("server.pem")),
            ("TLS_KEY", tls("server.key.pem")),
        ])
        .await
    }

    async fn spawn(env: &[(&str, String)]) -> Self {
        let clients = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        assert!(
            clients.join("node_modules/http_ece").exists(),
            "run tests/install-deps.sh clients"
        );
        let mut child = Command::new("node")
            .arg(clients.join("push_service.mjs"))
            .envs(env.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is installed");
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut service = Self {
            _child: child,
            input: input.expect("a pipe"),
            output: BufReader::new(output.expect("a pipe")).lines(),
            kept: VecDeque::new(),
            origin: String::new(),
        };
        let told = service.report("origin").await;
        service.origin = told["origin"].as_str().expect("a text").to_owned();
        service
    }

    /// `push.allow` with this service alone.
    pub fn config(&self) -> String {
        format!("[push]\nallow = [{:?}]\n", self.origin)
    }

    /// A browser subscribes with the hub's key: what it gives its page.
    pub async fn subscribe(&mut self, name: &str, key: &str) -> Value {
        self.say(&json!({"subscribe": name, "key": key})).await;
        self.report("subscribed").await["subscription"].take()
    }

    /// The next so many pushes to this browser are answered like this.
    pub async fn answers(&mut self, name: &str, status: u16, headers: Value, times: u32) {
        self.say(&json!({"answer": name, "status": status, "headers": headers, "times": times}))
            .await;
        self.report("answering").await;
    }

    /// The next push, whoever it is for; it was as the standards want it.
    pub async fn next(&mut self) -> Value {
        let push = self.report("push").await;
        assert_eq!(push["wrong"], json!([]), "{push}");
        push
    }

    async fn say(&mut self, command: &Value) {
        let line = format!("{command}\n");
        self.input.write_all(line.as_bytes()).await.expect("it runs");
    }

    async fn report(&mut self, kind: &str) -> Value {
        let is = |line: &Value| line.get(kind).is_some();
        if let Some(at) = self.kept.iter().position(is) {
            return self.kept.remove(at).expect("found");
        }
        loop {
            let line = timeout(PATIENCE, self.output.next_line()).await;
            let line =
                line.unwrap_or_else(|_| panic!("no {kind} within {PATIENCE:?}; kept: {:?}", self.kept));
            let line = line.expect("a pipe").expect("the push service runs");
            let line: Value = serde_json::from_str(&line).expect("JSON");
            if is(&line) {
                return line;
            }
            self.kept.push_back(line);
        }
    }
}
