//! A Redis that runs and does not do its work: the status tells one trouble from another and says what to do, the hub
//! goes on, and all is well again as soon as the trouble is over.

use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Daemon, Redis, Setup, eventually};

async fn hub(redis: &Redis) -> Daemon {
    let setup = Setup::new()
        .without_env("REDIS_ENABLED")
        .env("REDIS_URL", redis.url());
    setup.start().await
}

async fn part(hub: &Daemon, name: &str) -> Value {
    let told = hub.ctl(&["status", "--json"]).await;
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let parts = told["components"].as_array().expect("components");
    let part = parts.iter().find(|part| part["name"] == name);
    part.unwrap_or_else(|| panic!("no {name} in {told:#}")).clone()
}

/// Waits until redis is in this trouble; the line for people says so and what to do.
async fn until_trouble(hub: &Daemon, reason: &str) {
    let redis = eventually(&format!("redis is {reason}"), || async {
        let redis = part(hub, "redis").await;
        (redis["reason"] == reason).then_some(redis)
    })
    .await;
    assert_eq!(redis["state"], "degraded", "{redis}");
    let remedy = redis["remedy"].as_str().expect("a remedy");
    let shown = hub.ctl(&["status"]).await;
    assert_eq!(shown.status.code(), Some(1), "a script learns of it");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(remedy), "{shown}");
    // Whatever it is: what is embedded goes on.
    hub.post("/api/projects", json!({"name": "P"})).await.expect(201);
}

async fn until_well(hub: &Daemon) {
    eventually("redis is well", || async {
        let (redis, mail) = (part(hub, "redis").await, part(hub, "mail").await);
        (redis["state"] == "ready" && mail["state"] == "ready").then_some(())
    })
    .await;
    assert_eq!(hub.get("/api/mail/inbox/worker?projectId=p").await.status, 200);
}

fn letter() -> Value {
    json!({"projectId": "p", "fromSessionId": "a", "toSessionId": "worker", "type": "query", "subject": "s"})
}

#[tokio::test]
async fn each_trouble_has_a_name_and_a_remedy_and_passes() {
    let mut redis = Redis::start();
    let hub = hub(&redis).await;
    until_well(&hub).await;

    redis.signal(Signal::SIGSTOP);
    until_trouble(&hub, "silent").await;
    redis.signal(Signal::SIGCONT);
    until_well(&hub).await;

    let _: () = redis.ask("CONFIG SET maxmemory 1");
    until_trouble(&hub, "out_of_memory").await;
    let refused = hub.post("/api/mail", letter()).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("10")));
    hub.get("/api/mail/inbox/worker?projectId=p").await.expect(200);
    let _: () = redis.ask("CONFIG SET maxmemory 0");
    until_well(&hub).await;

    let _: () = redis.ask("REPLICAOF 127.0.0.1 1");
    until_trouble(&hub, "read_only").await;
    assert_eq!(hub.post("/api/mail", letter()).await.status, 503);
    let _: () = redis.ask("REPLICAOF NO ONE");
    until_well(&hub).await;

    let _: () = redis.ask("CONFIG SET busy-reply-threshold 50");
    let url = redis.url();
    let script = std::thread::spawn(move || {
        let mut line = redis::Client::open(url)
            .and_then(|c| c.get_connection())
            .expect("redis answers");
        let endless = redis::cmd("EVAL")
            .arg("while true do end")
            .arg(0)
            .query::<()>(&mut line);
        assert!(endless.is_err(), "it was ended by force");
    });
    until_trouble(&hub, "busy").await;
    let _: () = redis.ask("SCRIPT KILL");
    script.join().expect("the script has ended");
    until_well(&hub).await;

    redis.kill();
    until_trouble(&hub, "unreachable").await;
    redis.start_again();
    until_well(&hub).await;
    hub.post("/api/mail", letter()).await.expect(201);

    // Last, as we are locked out then, too.
    let _: () = redis.ask("CONFIG SET requirepass secret");
    let mut line = redis::Client::open(format!("{}?pass=secret", redis.url()))
        .and_then(|client| client.get_connection())
        .expect("with the password one gets in");
    let _: i64 = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query(&mut line)
        .expect("the others are cut off");
    until_trouble(&hub, "unauthenticated").await;
    assert_eq!(hub.post("/api/mail", letter()).await.status, 503);
    let _: () = redis::cmd("CONFIG")
        .arg(&["SET", "requirepass", ""])
        .query(&mut line)
        .expect("the password is taken back");
    until_well(&hub).await;
}

#[tokio::test]
async fn a_redis_that_reads_its_data_is_loading_and_nothing_else() {
    let mut redis = Redis::start();
    let fill = "for i = 1, 300000 do redis.call('SET', 'x' .. i, string.rep('x', 100)) end";
    let _: () = redis::cmd("EVAL")
        .arg(fill)
        .arg(0)
        .query(&mut redis.line().expect("redis answers"))
        .expect("filled");
    let hub = hub(&redis).await;
    until_well(&hub).await;
    // Slowed down as far as it can be, so that it can be seen.
    redis.kill();
    redis.start_slowly();
    until_trouble(&hub, "loading").await;
    let _: () = redis.ask("CONFIG SET key-load-delay 0");
    until_well(&hub).await;
}

/// What an agent with the password of the managed Redis's TCP port may do.
#[tokio::test]
async fn with_a_port_agents_reach_their_heartbeats_in_our_redis_and_nothing_else() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let setup = Setup::new().without_env("REDIS_ENABLED");
    let config = format!("[redis]\nmode = \"managed\"\nport = {port}\n");
    let hub = setup.config(&config).start().await;
    until_well(&hub).await;
    let project = hub.post("/api/projects", json!({"name": "P"})).await.expect(201)["id"].clone();
    let wish = json!({"projectId": project, "taskIds": [], "status": "working"});
    let session = hub.post("/api/sessions", wish).await.expect(201)["id"].clone();
    let session = session.as_str().expect("an id");
    hub.post("/api/mail", letter()).await.expect(201);

    let file = hub.place().state_dir().join("redis/agent.password");
    let password = std::fs::read_to_string(&file).expect("the agents' password");
    let line = |login: String, database: u8| {
        redis::Client::open(format!("redis://{login}127.0.0.1:{port}/{database}"))
            .and_then(|client| client.get_connection())
    };
    let agent = format!("agent:{}@", password.trim());
    let mut ask = line(agent.clone(), 0).expect("let in");
    let mut say = |words: &[&str]| {
        redis::cmd(words[0])
            .arg(&words[1..])
            .query::<redis::Value>(&mut ask)
    };
    let sign = r#"{"pid":4711,"host":"far","startedAt":1}"#;
    say(&["SET", &format!("maestro:presence:{session}"), sign, "EX", "15"]).expect("it is present");
    eventually("the hub sees it", || async {
        let agents = hub.get("/api/agents").await.expect(200);
        (agents[0]["verdict"] == "alive").then_some(())
    })
    .await;
    for words in [
        vec!["SET", "maestro:mail:x", "1"],
        vec!["GET", "maestro:fence"],
        vec!["SET", "maestro:lock:task:t", "1:x"],
        vec!["KEYS", "*"],
        vec!["SCAN", "0"],
        vec!["PUBLISH", "maestro:events:task:created", "{}"],
        vec!["EVAL", "return 1", "0"],
        vec!["CONFIG", "GET", "requirepass"],
        vec!["ACL", "LIST"],
        vec!["FLUSHALL"],
        vec!["SHUTDOWN", "NOSAVE"],
    ] {
        let refused = say(&words).map(drop).expect_err(&format!("{words:?} is allowed"));
        assert_eq!(refused.code(), Some("NOPERM"), "{words:?}: {refused}");
    }
    let nobody = line(String::new(), 0).and_then(|mut line| redis::cmd("PING").query::<String>(&mut line));
    assert!(nobody.is_err(), "nobody without a password");
}

/// Lesson 22: Redis tells of lapsed keys late or never then.
#[tokio::test]
async fn among_a_hundred_thousand_foreign_keys_that_lapse_a_silent_agent_is_missed_in_time() {
    let redis = Redis::start();
    let fill = "for i = 1, 100000 do redis.call('SET', 'x' .. i, 1, 'EX', 3600) end";
    let _: () = redis::cmd("EVAL")
        .arg(fill)
        .arg(0)
        .query(&mut redis.line().expect("redis answers"))
        .expect("filled");
    let impatient = "[presence]\nheartbeat = \"500ms\"\nttl = \"2s\"\n";
    let setup = Setup::new().without_env("REDIS_ENABLED").config(impatient);
    let hub = setup.env("REDIS_URL", redis.url()).start().await;
    let project = hub.post("/api/projects", json!({"name": "P"})).await.expect(201)["id"].clone();
    let wish = json!({"projectId": project, "taskIds": [], "status": "working"});
    let session = hub.post("/api/sessions", wish).await.expect(201)["id"].clone();
    let session = session.as_str().expect("an id");
    let key = format!("maestro:presence:{session}");
    // As the replaced server's agents do it: its key, its time to live, nothing said to the hub.
    let mut agent = agent(&redis, &key);
    eventually("the hub sees it", || async {
        let agents = hub.get("/api/agents").await.expect(200);
        (agents[0]["verdict"] == "alive").then_some(())
    })
    .await;
    let mut socket = hub.listen().await;
    agent.kill().expect("killed");
    agent.wait().expect("ended");
    let silent = std::time::Instant::now();
    let failed = socket.next_event("notify:session_failed").await;
    println!(
        "TTL 2 s among 100,000 foreign keys: missed after {:?}",
        silent.elapsed()
    );
    assert_eq!(failed["data"]["sessionId"], session);
}

/// A process that refreshes a key until it is killed.
fn agent(redis: &Redis, key: &str) -> Child {
    let socket = redis.url().trim_start_matches("redis+unix://").to_owned();
    let sign = r#"{"pid":4711,"host":"far","startedAt":1}"#;
    let beat = format!("while :; do redis-cli -s {socket} SET {key} '{sign}' EX 2; sleep 0.5; done");
    Command::new("sh")
        .args(["-c", &beat])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("sh starts")
}
