//! Hubs that share one Redis, and other programs that speak there: everybody hears everything once.

use std::{
    process::{Child, Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Daemon, PATIENCE, Setup, eventually};

/// A redis-server of nobody's, at a unix socket.
struct Redis {
    dir: TempDir,
    child: Child,
}

impl Redis {
    fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("maestro-")
            .tempdir_in("/tmp")
            .unwrap();
        let child = spawn(&dir);
        let redis = Self { dir, child };
        redis.wait();
        redis
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = spawn(&self.dir);
        self.wait();
    }

    fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.line().is_err() {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    fn url(&self) -> String {
        format!("redis+unix://{}/s", self.dir.path().display())
    }

    fn line(&self) -> redis::RedisResult<redis::Connection> {
        let mut line = redis::Client::open(self.url())?.get_connection_with_timeout(PATIENCE)?;
        redis::cmd("PING").query::<String>(&mut line)?;
        Ok(line)
    }

    /// Publishes, and says how many heard it.
    fn publish(&self, event: &str, message: &Value) -> u64 {
        redis::cmd("PUBLISH")
            .arg(format!("maestro:events:{event}"))
            .arg(message.to_string())
            .query(&mut self.line().unwrap())
            .unwrap()
    }

    /// Waits until so many hubs listen.
    async fn until_heard_by(&self, hubs: u64) {
        eventually("the hubs listen", || async {
            (self.publish("test:anybody", &json!({"nothing": true})) == hubs).then_some(())
        })
        .await;
    }

    fn keys(&self, pattern: &str) -> Vec<String> {
        redis::cmd("KEYS")
            .arg(pattern)
            .query(&mut self.line().unwrap())
            .unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &TempDir) -> Child {
    let path = dir.path().display().to_string();
    let socket = format!("{path}/s");
    let _ = std::fs::remove_file(&socket);
    Command::new("redis-server")
        .args([
            "--port",
            "0",
            "--unixsocket",
            &socket,
            "--dir",
            &path,
            "--save",
            "",
            // What it dumps can be searched.
            "--rdbcompression",
            "no",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

async fn hub(redis: &Redis) -> Daemon {
    let setup = Setup::new()
        .without_env("REDIS_ENABLED")
        .env("REDIS_URL", redis.url());
    setup.start().await
}

async fn project(hub: &Daemon) -> Value {
    hub.post("/api/projects", json!({"name": "P"})).await.expect(201)["id"].clone()
}

fn of_projects(frames: &[Value]) -> Vec<&Value> {
    let made = frames.iter().filter(|frame| frame["event"] == "project:created");
    made.map(|frame| &frame["data"]["id"]).collect()
}

#[tokio::test]
async fn another_program_that_speaks_on_the_bus_is_heard_by_our_clients() {
    let redis = Redis::start();
    let hub = hub(&redis).await;
    redis.until_heard_by(1).await;
    let mut socket = hub.listen().await;
    let message = json!({
        "sourceId": "another", "epoch": "1", "seq": 1, "event": "task:updated",
        "data": {"id": "task_x", "status": "todo"}, "timestamp": 5, "projectId": "p"
    });
    for _ in 0..2 {
        assert_eq!(redis.publish("task:updated", &message), 1);
    }
    redis.publish("test:end", &json!({"data": {}}));
    assert_eq!(socket.next().await["data"], message["data"]);
    assert_eq!(
        socket.next().await["event"],
        "test:end",
        "what is repeated is not heard twice"
    );
    let told = hub.get("/api/events?since=0").await.expect(200);
    assert_eq!(
        told["events"].as_array().unwrap().len(),
        2,
        "and it can be asked for later"
    );
}

#[tokio::test]
async fn two_hubs_hear_each_other_and_each_client_hears_everything_once() {
    let redis = Redis::start();
    let (one, two) = (hub(&redis).await, hub(&redis).await);
    redis.until_heard_by(2).await;
    let (mut at_one, mut at_two) = (one.listen().await, two.listen().await);
    let (first, second) = (project(&one).await, project(&two).await);
    let wish = json!({"projectId": first, "taskIds": [], "env": {"TOKEN": "a-secret"}});
    one.post("/api/sessions", wish).await.expect(201);
    assert_eq!(
        at_one.next_event("session:created").await["data"]["env"]["TOKEN"],
        "a-secret"
    );
    let elsewhere = at_two.next_event("session:created").await;
    assert!(
        !elsewhere.to_string().contains("a-secret"),
        "environments stay at home"
    );
    // Last words of each, and then whatever came twice would have come.
    let (third, fourth) = (project(&one).await, project(&two).await);
    let mut listening = [(&one, &mut at_one), (&two, &mut at_two)];
    for (_, socket) in &mut listening {
        let mut made = Vec::new();
        while !(made.contains(&third) && made.contains(&fourth)) {
            made.push(socket.next_event("project:created").await["data"]["id"].clone());
        }
        let rest = socket.arrived().await;
        assert!(of_projects(&rest).is_empty(), "{rest:?}");
        for id in [&third, &fourth] {
            assert_eq!(made.iter().filter(|made| *made == id).count(), 1);
        }
    }
    assert_ne!(first, second);
}

#[tokio::test]
async fn while_redis_is_away_our_clients_hear_us_and_afterwards_the_others_do_again() {
    let mut redis = Redis::start();
    let (one, two) = (hub(&redis).await, hub(&redis).await);
    redis.until_heard_by(2).await;
    let (mut at_one, mut at_two) = (one.listen().await, two.listen().await);
    redis.kill();
    let alone = project(&one).await;
    assert_eq!(at_one.next_event("project:created").await["data"]["id"], alone);
    redis.start_again();
    redis.until_heard_by(2).await;
    let together = project(&one).await;
    assert_eq!(at_one.next_event("project:created").await["data"]["id"], together);
    loop {
        // What was said meanwhile may be heard or not; once it is over everything is.
        let heard = at_two.next_event("project:created").await["data"]["id"].clone();
        if heard == together {
            break;
        }
        assert_eq!(heard, alone);
    }
}

#[tokio::test]
async fn claims_are_kept_in_redis_and_refused_while_it_is_away() {
    let mut redis = Redis::start();
    let hub = hub(&redis).await;
    let project = project(&hub).await;
    let wish = json!({"projectId": project, "title": "T"});
    let task = hub.post("/api/tasks", wish).await.expect(201)["id"].clone();
    let wish = json!({"projectId": project, "taskIds": []});
    let session = hub.post("/api/sessions", wish).await.expect(201)["id"].clone();
    let path = format!("/api/tasks/{}/claim", task.as_str().unwrap());
    let wish = json!({"sessionId": session});
    let claimed = || async {
        let answer = hub.post(&path, wish.clone()).await;
        match answer.status {
            503 => None,
            _ => Some(answer.expect(200)["claim"]["fence"].as_u64().unwrap()),
        }
    };
    let first = eventually("the hub has its redis", claimed).await;
    assert_eq!(
        redis.keys("maestro:lock:*"),
        [format!("maestro:lock:task:{}", task.as_str().unwrap())]
    );
    redis.kill();
    let refused = hub.post(&path, wish.clone()).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    redis.start_again();
    let second = eventually("claims are given again", claimed).await;
    assert!(
        second > first,
        "the other redis has forgotten, the numbers still grow"
    );
    let path = format!("/api/sessions/{}", session.as_str().unwrap());
    hub.patch(&path, json!({"status": "completed"})).await.expect(200);
    assert_eq!(redis.keys("maestro:lock:*"), Vec::<String>::new());
}

#[tokio::test]
async fn an_agents_token_stays_on_its_own_machine() {
    let redis = Redis::start();
    let (one, two) = (hub(&redis).await, hub(&redis).await);
    redis.until_heard_by(2).await;
    let mut line = redis.line().unwrap();
    let mut spoken = line.as_pubsub();
    spoken.psubscribe("maestro:events:*").unwrap();
    spoken.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut terminal, mut elsewhere) = (one.listen().await, two.listen().await);
    let project = project(&one).await;
    let task = json!({"projectId": project, "title": "T"});
    let task = one.post("/api/tasks", task).await.expect(201)["id"].clone();
    let wish = json!({"projectId": project, "taskIds": [task]});
    one.post("/api/sessions/spawn", wish).await.expect(201);
    let told = terminal.next_event("session:spawn").await;
    let url = told["data"]["envVars"]["MAESTRO_SERVER_URL"].as_str().unwrap();
    let prefix = url.strip_prefix(one.base()).unwrap();
    let token = prefix.strip_prefix("/as/").unwrap();
    let mail = json!({"projectId": project, "fromSessionId": told["data"]["envVars"]["MAESTRO_SESSION_ID"],
                      "toSessionId": "human", "type": "query", "subject": "s"});
    one.post(&format!("{prefix}/api/mail"), mail).await.expect(201);

    let heard = elsewhere.next_event("session:spawn").await;
    assert!(!heard.to_string().contains(token));
    let received = elsewhere.next_event("mail:received").await;
    assert_eq!(
        received["data"]["sender"]["verified"], true,
        "the other hub knows it, too"
    );
    loop {
        let message = spoken.get_message().unwrap();
        let payload: String = message.get_payload().unwrap();
        assert!(!payload.contains(token), "{payload}");
        if message.get_channel_name().ends_with("mail:received") {
            break;
        }
    }
    drop(spoken);
    for key in redis.keys("*") {
        let dumped: Vec<u8> = redis::cmd("DUMP")
            .arg(&key)
            .query(&mut redis.line().unwrap())
            .unwrap();
        let found = dumped
            .windows(token.len())
            .any(|window| window == token.as_bytes());
        assert!(!found && !key.contains(token), "{key}");
    }
    // Its key is this hub's: what proves something here proves nothing there.
    let answer = two.get(&format!("{prefix}/api/tasks")).await;
    assert_eq!(answer.expect(401)["code"], "unknown_agent");
}
