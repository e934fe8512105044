//! Every secret there is, searched for wherever it must not be, after a phone has done all it can do through the tunnel:
//! in the log at its most talkative, on command lines, in what the phone was told, in Redis, in the audit and in files.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::{
    harness::{Answer, Ask, Daemon, Edge, Redis, Setup, eventually, output::text, tunnel::TOKEN},
    operator::tunnel_becomes,
    phone::mint,
};

const KEYS: &[(&str, &str)] = &[
    ("ANTHROPIC_API_KEY", "sk-ant-secret-of-the-house"),
    ("GEMINI_API_KEY", "gemini-secret-of-the-house"),
    ("OPENAI_API_KEY", "sk-openai-secret-of-the-house"),
];
const POLL: &str = "/socket.io/?EIO=4&transport=polling";

/// Everything a Redis is asked to do, from now on: what is written, and what is published.
fn overhear(redis: &Redis) -> Arc<Mutex<String>> {
    let url = redis.url();
    let path = url.strip_prefix("redis+unix://").expect("a unix socket");
    let mut line = UnixStream::connect(path).expect("redis listens");
    line.write_all(b"MONITOR\r\n").expect("redis listens");
    let heard = Arc::new(Mutex::new(String::new()));
    let told = heard.clone();
    // Ends with the server, which ends with the test.
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = line.read(&mut bytes) {
            *told.lock().unwrap() += &String::from_utf8_lossy(&bytes[..read]);
        }
    });
    heard
}

/// A phone at the other end of the tunnel; what it was told is kept.
struct Phone<'a> {
    edge: &'a Edge,
    cookie: String,
    token: String,
    told: String,
}

impl Phone<'_> {
    fn asks(&self, method: &str, path: &str) -> Ask {
        Ask::new(method, path)
            .header("origin", self.edge.url())
            .header("cookie", format!("__Host-maestro={}", self.cookie))
            .header("x-maestro-device", &*self.token)
    }

    fn keep(&mut self, answer: &Answer) {
        self.told += &format!("{:?}\n{}\n", answer.headers, answer.text());
    }

    async fn get(&mut self, path: &str) -> Answer {
        let answer = self.edge.ask(self.asks("GET", path)).await;
        self.keep(&answer);
        answer
    }

    async fn post(&mut self, path: &str, body: Value) -> Answer {
        let answer = self.edge.ask(self.asks("POST", path).json(&body)).await;
        self.keep(&answer);
        answer
    }

    /// Sends a packet over its session.
    async fn send(&mut self, session: &str, packet: String) {
        let ask = self
            .asks("POST", session)
            .header("content-type", "text/plain;charset=UTF-8");
        let answer = self.edge.ask(ask.body(packet)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Polls until it was told this.
    async fn poll_until(&mut self, session: &str, sign: &str) {
        let mut heard = String::new();
        while !heard.contains(sign) {
            let answer = self.get(session).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            heard += &answer.text();
        }
    }
}

fn read_all(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, found);
        } else if let Ok(bytes) = fs::read(&path) {
            found.push((
                path.display().to_string(),
                String::from_utf8_lossy(&bytes).into_owned(),
            ));
        }
    }
}

async fn made(daemon: &Daemon, path: &str, body: Value) -> String {
    let made = daemon.post(path, body).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_where_it_must_not_be_after_a_phone_did_everything_through_the_tunnel() {
    let (edge, redis) = (Edge::start().await, Redis::start());
    let overheard = overhear(&redis);
    let mut setup = Setup::new()
        .config(&edge.config())
        .without_env("REDIS_ENABLED")
        .env("REDIS_URL", redis.url())
        .env("LOG_LEVEL", "trace");
    for (name, key) in KEYS {
        setup = setup.env(name, *key);
    }
    let daemon = setup.start().await;
    redis.until_heard_by(1).await;
    let mut desktop = daemon.listen().await;
    let project = made(&daemon, "/api/projects", json!({"name": "Demo"})).await;
    let session = json!({"projectId": project, "taskIds": [], "status": "working"});
    let session = made(&daemon, "/api/sessions", session).await;
    let question = json!({"type": "needs_input", "message": "Which one?"});
    let timeline = format!("/api/sessions/{session}/timeline");
    daemon.post(&timeline, question).await.expect(200);
    let waits = daemon.get(&format!("/api/sessions/{session}")).await.expect(200);

    // It pairs.
    let minted = daemon
        .ctl(&[
            "pair",
            "--no-wait",
            "--json",
            "--scopes",
            "view,answer,mail,prompt,spawn",
        ])
        .await;
    let step: Value = serde_json::from_slice(&minted.stdout).expect("a code");
    let code = step["code"].as_str().expect("a code").to_owned();
    let unused = mint(&daemon).await["code"].as_str().expect("a code").to_owned();
    tunnel_becomes(&daemon, "ready").await;
    let page = format!("/pair/{}", code.replace('-', ""));
    assert_eq!(edge.get(&page).await.status, 200);
    let redeem = Ask::new("POST", "/pair")
        .header("origin", edge.url())
        .json(&json!({"code": code, "name": "iPhone"}));
    let answer = edge.ask(redeem).await;
    let paired = answer.expect(201);
    let cookie = answer
        .header("set-cookie")
        .and_then(|cookie| cookie.split(';').next());
    let cookie = cookie.and_then(|cookie| cookie.strip_prefix("__Host-maestro="));
    let mut phone = Phone {
        edge: &edge,
        cookie: cookie.expect("a cookie").to_owned(),
        token: paired["token"].as_str().expect("a token").to_owned(),
        told: String::new(),
    };

    // It does everything, over REST and over its socket.
    let opened = phone.get(POLL).await.text();
    let hello: Value = serde_json::from_str(&opened[1..]).expect("an open packet");
    let socket = format!("{POLL}&sid={}", hello["sid"].as_str().expect("a session"));
    let auth = json!({"token": phone.token, "projectId": project});
    phone.send(&socket, format!("40/mobile,{auth}")).await;
    phone.poll_until(&socket, "\"hello\"").await;
    let request = &waits["needsInput"]["requestId"];
    let reply = json!({"requestId": request, "text": "this one"});
    phone
        .post(&format!("/api/sessions/{session}/reply-input"), reply)
        .await
        .expect(200);
    let mail = json!({"projectId": project, "toSessionId": session, "type": "query", "subject": "Hello"});
    phone.post("/api/mail", mail).await.expect(201);
    let prompt = json!(["session:prompt", {"sessionId": session, "content": "go on"}]);
    phone.send(&socket, format!("42/mobile,1{prompt}")).await;
    phone.poll_until(&socket, "43/mobile,1[{\"success\":true").await;
    let members = phone.get(&format!("/api/team-members?projectId={project}")).await;
    let member = members.expect(200)["items"][0]["id"].clone();
    let spawn = json!(["session:spawn", {
        "projectId": project, "teamMemberId": member, "message": "Fix it", "requestId": "r",
    }]);
    phone.send(&socket, format!("42/mobile,2{spawn}")).await;
    phone.poll_until(&socket, "43/mobile,2[{\"success\":true").await;
    for path in [
        "/api/devices/me".to_owned(),
        "/api/projects".to_owned(),
        "/api/sessions".to_owned(),
        format!("/api/sessions/{session}"),
        format!("/api/mail/inbox?projectId={project}"),
        "/api/events?since=0&limit=200".to_owned(),
    ] {
        phone.get(&path).await.expect(200);
    }

    // At home the one who opens the terminal gets what the agent needs, and nobody else anything.
    let spawned = eventually_spawned(&mut desktop).await;
    let environment = spawned["data"]["envVars"].to_string();
    assert!(
        environment.contains(KEYS[0].1),
        "there is something to hide: {spawned}"
    );
    let agent = environment
        .split("/as/")
        .nth(1)
        .expect("a token of the agent's own");
    let agent: String = agent.chars().take_while(char::is_ascii_alphabetic).collect();
    assert!(agent.len() >= 32, "{agent}");

    let half = phone.cookie.rsplit('.').next().expect("a half").to_owned();
    let mut secrets = vec![
        ("the half in the cookie", half),
        ("the half of the page", phone.token.clone()),
        ("the code", code.clone()),
        ("the code as it is in the address", code.replace('-', "")),
        ("a code that is live", unused.replace('-', "")),
        ("the agent's token", agent),
        ("the tunnel's token", TOKEN.to_owned()),
    ];
    secrets.extend(KEYS.iter().map(|(name, key)| (*name, (*key).to_owned())));

    let lines = Command::new("ps")
        .args(["-A", "-ww", "-o", "args="])
        .output()
        .expect("ps runs");
    let lines = String::from_utf8_lossy(&lines.stdout).into_owned();
    assert!(
        lines.contains("maestrod") && lines.contains("--token-file"),
        "{lines}"
    );
    eventually("redis was told of the spawn", || async {
        overheard.lock().unwrap().contains("session:spawn").then_some(())
    })
    .await;
    let asked_of_redis = overheard.lock().unwrap().clone();
    let mut places = vec![
        ("on a command line".to_owned(), lines),
        ("in what the phone was told".to_owned(), phone.told.clone()),
        ("in what redis was asked".to_owned(), asked_of_redis),
        ("in the log".to_owned(), daemon.log()),
        (
            "in `maestroctl logs hub`".to_owned(),
            text(&daemon.ctl(&["logs", "hub", "-n", "10000"]).await),
        ),
        (
            "in `maestroctl audit`".to_owned(),
            text(&daemon.ctl(&["audit", "-n", "1000", "--json"]).await),
        ),
        (
            "in `maestroctl status`".to_owned(),
            text(&daemon.ctl(&["status", "--json"]).await),
        ),
    ];
    let named = places.len();
    read_all(daemon.place().root(), &mut places);
    assert!(places.len() > named + 5, "there are files");
    assert!(
        places.iter().filter(|(_, text)| text.contains(&session)).count() > 4,
        "what is no secret is found"
    );
    let found: Vec<_> = places
        .iter()
        .flat_map(|(place, text)| {
            secrets
                .iter()
                .filter(|(_, secret)| text.contains(secret.as_str()))
                .map(move |(what, _)| format!("{what} is {place}"))
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// The announcement of the spawn, as a desktop gets it.
async fn eventually_spawned(desktop: &mut crate::harness::Socket) -> Value {
    loop {
        let frame = desktop.next().await;
        if frame["event"] == "session:spawn" {
            return frame;
        }
    }
}
