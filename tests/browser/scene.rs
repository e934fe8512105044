//! A hub behind a tunnel with a public name, something going on at it, and phones.

use std::{
    process::{Child, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::driver::{ask, tell};
use crate::harness::{Daemon, Edge, PushService, Setup, eventually};

/// All there is but to manage devices.
pub const ALL: &str = "view,answer,mail,prompt,spawn";

pub struct Scene {
    pub edge: Edge,
    pub daemon: Daemon,
    pub origin: String,
    pub service: PushService,
    pub project: String,
    pub task: String,
}

impl Scene {
    /// The hub with a project and a task; its public address is known, and nobody is paired.
    pub async fn open() -> Self {
        let (edge, service) = (Edge::start().await, PushService::start().await);
        let port = ask("front", json!({"to": edge.port()})).await;
        let origin = format!("https://hub.maestro.test:{port}");
        let config = edge.config().replace(&edge.url(), &origin) + &service.config();
        let setup = Setup::new().without_env("REDIS_ENABLED").config(&config);
        let daemon = setup.start().await;
        let dir = daemon.place().work_dir().display().to_string();
        let id = |value: Value| value["id"].as_str().expect("an id").to_owned();
        let project = json!({"name": "Lighthouse", "workingDir": dir});
        let project = id(daemon.post("/api/projects", project).await.expect(201));
        let task = json!({"projectId": project, "title": "Paint the tower", "description": "White and red."});
        let task = id(daemon.post("/api/tasks", task).await.expect(201));
        Self {
            edge,
            daemon,
            origin,
            service,
            project,
            task,
        }
    }

    /// A code, without its dash.
    pub async fn code(&self, scopes: &str) -> String {
        self.code_of(&["--scopes", scopes]).await
    }

    pub async fn code_of(&self, args: &[&str]) -> String {
        let args = [&["pair", "--no-wait", "--json"], args].concat();
        let told = self.daemon.ctl(&args).await;
        let told: Value = serde_json::from_slice(&told.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&told.stderr)));
        self.edge.connected().await;
        told["code"].as_str().expect("a code").replace('-', "")
    }

    /// A phone that was paired by the link of a QR code, and shows all there is.
    pub async fn paired(&self, name: &str, scopes: &str) -> Phone {
        let phone = self.phone().await;
        let code = self.code(scopes).await;
        phone.open(&format!("/pair/{code}")).await;
        phone.write("Name of this device", name).await;
        phone.tap("Pair this phone").await;
        phone.see("Live, as of").await;
        phone
    }

    /// One that nobody has paired.
    pub async fn phone(&self) -> Phone {
        Phone::make(json!({"origin": self.origin})).await
    }

    /// A session whose agent is a process, as `maestroctl agent run` starts it.
    pub async fn agent(&self, name: &str) -> Agent {
        let session = json!({
            "projectId": self.project, "taskIds": [self.task], "name": name, "status": "working",
        });
        let session = self.daemon.post("/api/sessions", session).await.expect(201);
        let session = session["id"].as_str().expect("an id").to_owned();
        let end = format!("crash-{session}");
        let script = format!("until [ -e {end} ]; do sleep 0.02; done; kill -9 $$");
        let mut command = self.daemon.setup().command(env!("CARGO_BIN_EXE_maestroctl"));
        command
            .args(["agent", "run", "--session", &session, "--", "sh", "-c", &script])
            .env("MAESTRO_SERVER_URL", self.daemon.base())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("it starts");
        let agent = Agent { session, child, end };
        eventually("the agent is known to live", || async {
            let agents = self.daemon.get("/api/agents").await.json();
            let ours = agents
                .as_array()?
                .iter()
                .find(|known| known["sessionId"] == *agent.session)?;
            (ours["verdict"] == "alive").then_some(())
        })
        .await;
        agent
    }

    /// A session without an agent that we know of.
    pub async fn session(&self, name: &str) -> String {
        let session = json!({"projectId": self.project, "taskIds": [], "name": name, "status": "working"});
        let session = self.daemon.post("/api/sessions", session).await.expect(201);
        session["id"].as_str().expect("an id").to_owned()
    }

    /// The session's agent asks; the name of its question.
    pub async fn asks(&self, session: &str, message: &str) -> String {
        let path = format!("/api/sessions/{session}");
        let question = json!({"type": "needs_input", "message": message});
        self.daemon
            .post(&format!("{path}/timeline"), question)
            .await
            .expect(200);
        let session = self.daemon.get(&path).await.expect(200);
        session["needsInput"]["requestId"]
            .as_str()
            .expect("a name")
            .to_owned()
    }

    /// Somebody at the computer answers.
    pub async fn answers(&self, session: &str, request: &str, text: &str) {
        let path = format!("/api/sessions/{session}/reply-input");
        let answer = json!({"requestId": request, "text": text});
        self.daemon.post(&path, answer).await.expect(200);
    }

    /// The network between phones and the tunnel is there, or not.
    pub async fn line(&self, up: bool) {
        let port: u16 = self
            .origin
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .expect("a port");
        ask("line", json!({"port": port, "up": up})).await;
    }

    /// The daemon again, in the same place.
    pub async fn start_again(&mut self) {
        let setup = self.daemon.setup().clone();
        self.daemon = setup.start().await;
    }
}

/// An agent at work.
pub struct Agent {
    pub session: String,
    child: Child,
    end: String,
}

impl Agent {
    /// It ends as no agent should.
    pub fn crash(&self, scene: &Scene) {
        scene.daemon.place().write(&self.end, "");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// A phone in the browser. At its end it is asked what went wrong unseen.
pub struct Phone {
    id: String,
    done: bool,
}

impl Phone {
    pub async fn make(mut how: Value) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let id = format!("phone-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        how["phone"] = (*id).into();
        ask("phone", how).await;
        Self { id, done: false }
    }

    async fn does(&self, deed: &str, mut how: Value) -> Value {
        how["phone"] = (*self.id).into();
        ask(deed, how).await
    }

    pub async fn open(&self, path: &str) {
        self.does("open", json!({"path": path})).await;
    }

    /// To another screen, as a link does.
    pub async fn go(&self, hash: &str) {
        self.run(&format!("location.hash = {hash:?}")).await;
    }

    pub async fn reload(&self) {
        self.does("reload", json!({})).await;
    }

    /// Taps a button, a link or a choice of this name.
    pub async fn tap(&self, name: &str) {
        self.does("tap", json!({"name": name})).await;
    }

    /// Waits until this can be read.
    pub async fn see(&self, text: &str) {
        self.does("see", json!({"text": text})).await;
    }

    /// Waits until this cannot be read any more.
    pub async fn gone(&self, text: &str) {
        self.does("gone", json!({"text": text})).await;
    }

    pub async fn write(&self, label: &str, text: &str) {
        self.does("write", json!({"label": label, "text": text})).await;
    }

    pub async fn choose(&self, label: &str, option: &str) {
        self.does("choose", json!({"label": label, "option": option}))
            .await;
    }

    /// All that can be read.
    pub async fn text(&self) -> String {
        self.does("text", json!({}))
            .await
            .as_str()
            .expect("a text")
            .to_owned()
    }

    /// Whether there is a button, link or choice of this name.
    pub async fn has(&self, name: &str) -> bool {
        self.does("has", json!({"name": name})).await == true
    }

    pub async fn address(&self) -> String {
        self.does("address", json!({}))
            .await
            .as_str()
            .expect("a text")
            .to_owned()
    }

    pub async fn run(&self, code: &str) -> Value {
        self.does("run", json!({"code": code})).await
    }

    pub async fn offline(&self, offline: bool) {
        self.does("offline", json!({"offline": offline})).await;
    }

    /// Another size, another theme.
    pub async fn look(&self, how: Value) {
        self.does("look", how).await;
    }

    /// What axe finds, if it is serious; what a finger misses; what sticks out.
    pub async fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for deed in ["axe", "small", "wide"] {
            let found = self.does(deed, json!({})).await;
            let found = found.as_array().expect("a list").clone();
            faults.extend(
                found
                    .iter()
                    .map(|fault| format!("{deed}: {}", fault.as_str().unwrap_or_default())),
            );
        }
        faults
    }

    /// What sticks out.
    pub async fn wide(&self) -> Vec<String> {
        let found = self.does("wide", json!({})).await;
        let found = found.as_array().expect("a list").clone();
        found
            .iter()
            .map(|fault| fault.as_str().unwrap_or_default().to_owned())
            .collect()
    }

    pub async fn worker(&self) {
        self.does("worker", json!({})).await;
    }

    /// What the push service was given reaches the phone, all at once, and the phone has dealt with it.
    pub async fn push(&self, payloads: &[&Value]) {
        self.does("push", json!({"payloads": payloads})).await;
    }

    /// The notifications on the screen, once there are so many.
    pub async fn tray(&self, count: usize) -> Vec<Value> {
        let what = format!("{count} notifications are on the screen of {}", self.id);
        eventually(&what, || async {
            let tray = self.does("tray", json!({})).await;
            let tray = tray.as_array().expect("a list").clone();
            (tray.len() == count).then_some(tray)
        })
        .await
    }

    /// Waits until one notification is on the screen, and it has these fields.
    pub async fn notified(&self, fields: &Value) {
        let what = format!("{} shows {fields} and nothing else", self.id);
        eventually(&what, || async {
            let tray = self.does("tray", json!({})).await;
            let fields = fields.as_object().expect("an object");
            let fits = |shown: &Value| fields.iter().all(|(name, value)| shown[name] == *value);
            let tray = tray.as_array().expect("a list");
            (tray.len() == 1 && fits(&tray[0])).then_some(())
        })
        .await;
    }

    /// The page's clock can be moved, once it is opened.
    pub async fn clock(&self) {
        self.does("clock", json!({})).await;
    }

    /// So much time passes for the page, at once.
    pub async fn later(&self, time: Duration) {
        self.does("later", json!({"ms": time.as_millis()})).await;
    }

    /// What the hub refused to answer, as to a device that is not paired: paths.
    pub async fn refused(&self) -> Value {
        self.does("refused", json!({})).await
    }

    /// A finger on a notification.
    pub async fn tap_notification(&self, tag: &str) {
        self.does("tapped", json!({"tag": tag})).await;
    }

    /// The credential's readable half.
    pub async fn token(&self) -> String {
        let code = "new Promise((resolve, reject) => { const opening = indexedDB.open('maestro'); \
                    opening.onerror = () => reject(opening.error); opening.onsuccess = () => { \
                    const get = opening.result.transaction('device').objectStore('device').get('token'); \
                    get.onsuccess = () => { opening.result.close(); resolve(get.result ?? null); }; }; })";
        self.run(code).await.as_str().unwrap_or_default().to_owned()
    }

    /// Asks the hub as the page does: status and body.
    pub async fn fetch(&self, method: &str, path: &str, body: &Value) -> (u64, Value) {
        let token = self.token().await;
        let code = format!(
            "fetch({path:?}, {{method: {method:?}, headers: {{'content-type': 'application/json', \
             'x-maestro-device': {token:?}}}, body: {method:?} === 'GET' ? undefined : JSON.stringify({body})}})\
             .then(async (answer) => [answer.status, await answer.json()])"
        );
        let answer = self.run(&code).await;
        (answer[0].as_u64().expect("a status"), answer[1].clone())
    }

    /// Put away. Nothing may have gone wrong that nobody saw.
    pub async fn end(self) {
        let id = self.id.clone();
        assert_eq!(self.end_with().await, json!([]), "on {id}");
    }

    /// Put away, with what went wrong.
    pub async fn end_with(mut self) -> Value {
        self.done = true;
        self.does("problems", json!({})).await
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        tell("close", &self.id);
        assert!(
            self.done || std::thread::panicking(),
            "a story that does not ask its phone what went wrong"
        );
    }
}
