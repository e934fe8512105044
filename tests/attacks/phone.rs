//! The outside: a stranger at the ingress, and a phone that was paired through it.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::harness::{Answer, Ask, Daemon, Setup, eventually};

/// The name the world calls the hub by.
pub const HOST: &str = "hub.example";
/// The page that may speak to it.
pub const ORIGIN: &str = "https://hub.example";
/// All there is.
pub const EVERYTHING: &str = "view,answer,mail,prompt,spawn,admin";

/// A daemon with a public address that somebody else's tunnel leads to.
pub fn setup() -> Setup {
    Setup::new().config("[tunnel]\nmode = \"external\"\nurl = \"https://hub.example\"\n")
}

pub async fn connect(daemon: &Daemon) -> UnixStream {
    let socket = daemon.place().runtime_dir().join("ingress.sock");
    // It opens a moment after the local door.
    eventually("the ingress listens", || async {
        UnixStream::connect(&socket).await.ok()
    })
    .await
}

/// A stranger's request.
pub async fn stranger(daemon: &Daemon, ask: Ask) -> Answer {
    ask.over(connect(daemon).await, HOST).await
}

/// Sends raw bytes; all that comes back until the hub closes.
pub async fn raw(daemon: &Daemon, bytes: &[u8]) -> String {
    let mut stream = connect(daemon).await;
    // The hub may hang up before it has read all of it.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A code that is left live.
pub async fn mint(daemon: &Daemon, scopes: &str, project: Option<&str>) -> String {
    let mut args = vec!["pair", "--no-wait", "--json", "--scopes", scopes];
    if let Some(project) = project {
        args.extend(["--project", project]);
    }
    let output = daemon.ctl(&args).await;
    let step: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    step["code"].as_str().expect("a code").to_owned()
}

/// What a page sends to redeem a code.
pub fn redeeming(code: &str, name: &str) -> Ask {
    Ask::new("POST", "/pair")
        .header("origin", ORIGIN)
        .json(&json!({"code": code, "name": name}))
}

/// A paired phone.
pub struct Phone<'a> {
    daemon: &'a Daemon,
    pub id: String,
    pub cookie: String,
    pub token: String,
}

impl<'a> Phone<'a> {
    /// Pairs one as people do: a code from `maestroctl pair`, redeemed at the ingress.
    pub async fn pair(daemon: &'a Daemon, scopes: &str, project: Option<&str>) -> Self {
        Self::named(daemon, "iPhone of Anna", scopes, project).await
    }

    pub async fn named(daemon: &'a Daemon, name: &str, scopes: &str, project: Option<&str>) -> Self {
        let code = mint(daemon, scopes, project).await;
        let answer = stranger(daemon, redeeming(&code, name)).await;
        let body = answer.expect(201);
        let cookie = answer.header("set-cookie").expect("a cookie");
        let half = cookie
            .split(';')
            .next()
            .unwrap()
            .strip_prefix("__Host-maestro=")
            .unwrap();
        Self {
            daemon,
            id: body["device"]["id"].as_str().unwrap().to_owned(),
            cookie: half.to_owned(),
            token: body["token"].as_str().unwrap().to_owned(),
        }
    }

    /// One that was paired before.
    #[allow(dead_code, reason = "for tests/push")]
    pub fn with(daemon: &'a Daemon, id: String, cookie: String, token: String) -> Self {
        Self {
            daemon,
            id,
            cookie,
            token,
        }
    }

    /// A request with both halves, from our own page.
    pub fn asks(&self, method: &str, path: &str) -> Ask {
        Ask::new(method, path)
            .header("origin", ORIGIN)
            .header("cookie", format!("a=b; __Host-maestro={}", self.cookie))
            .header("x-maestro-device", &*self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        stranger(self.daemon, self.asks("GET", path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        stranger(self.daemon, self.asks("POST", path).json(&body)).await
    }

    /// The same under an idempotency key.
    pub async fn once(&self, key: &str, path: &str, body: Value) -> Answer {
        let ask = self.asks("POST", path).header("idempotency-key", key);
        stranger(self.daemon, ask.json(&body)).await
    }
}

/// The script that `page` names, without its folder.
pub fn asset_of(page: &str) -> String {
    let (_, from) = page.split_once("src=\"/assets/").expect("a script of ours");
    from.split_once('"').expect("its end").0.to_owned()
}

/// What there is to be seen and spoiled.
pub struct World {
    pub project: String,
    pub task: String,
    pub session: String,
    pub mail: String,
    /// A file that the page is made of.
    pub asset: String,
}

impl World {
    /// A project with a task, a session at work on it, and a mail from its agent to people.
    pub async fn make(daemon: &Daemon) -> Self {
        let id = |value: Value| value["id"].as_str().expect("an id").to_owned();
        let dir = daemon.place().work_dir();
        let project = json!({"name": "Demo", "workingDir": dir.display().to_string()});
        let project = id(daemon.post("/api/projects", project).await.expect(201));
        let task = json!({"projectId": project, "title": "Build it"});
        let task = id(daemon.post("/api/tasks", task).await.expect(201));
        let session = json!({"projectId": project, "taskIds": [task], "name": "Worker", "status": "working"});
        let session = id(daemon.post("/api/sessions", session).await.expect(201));
        let mail = json!({
            "projectId": project, "fromSessionId": session, "toSessionId": "human", "type": "query",
            "subject": "Which one?",
        });
        let mail = id(daemon.post("/api/mail", mail).await.expect(201));
        let page = stranger(daemon, Ask::new("GET", "/")).await.text();
        Self {
            project,
            task,
            session,
            mail,
            asset: asset_of(&page),
        }
    }

    /// A path of the table with ids that are there.
    pub fn fill(&self, pattern: &str) -> String {
        let file = match pattern {
            pattern if pattern.starts_with("/assets") => &self.asset,
            _ => "icon.svg",
        };
        let id = match pattern {
            pattern if pattern.starts_with("/api/tasks") => &self.task,
            pattern if pattern.starts_with("/api/sessions") => &self.session,
            pattern if pattern.starts_with("/api/mail") => &self.mail,
            _ => &self.project,
        };
        let path = pattern
            .replace("{id}", id)
            .replace("{file}", file)
            .replace("{task}", &self.task)
            .replace("{project}", &self.project)
            .replace("{code}", "AAAABBBB")
            .replace("{kind}", "task")
            .replace("{mode}", "execute")
            .replace("{modal}", "modal_1");
        match path.as_str() {
            "/api/team-members" | "/api/mail/inbox" => format!("{path}?projectId={}", self.project),
            _ => path,
        }
    }
}
