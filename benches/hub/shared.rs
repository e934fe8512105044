//! What Redis is for, measured: hubs that hear each other, agents that wait and die, a server that is killed, and what
//! all of it weighs there.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{
    Daemon, Redis, Setup, eventually,
    wire::{self, Connection, RawSocket},
};
use crate::spread;

/// Requests of one latency measurement.
const SAMPLES: usize = 500;
/// Mails, heartbeats and claims that are weighed.
const WEIGHED: usize = 2000;
/// Agents that wait together.
const CROWD: usize = 500;

/// A hub at this redis whose mail is open.
async fn hub(redis: &Redis) -> Daemon {
    let setup = Setup::new()
        .without_env("REDIS_ENABLED")
        .env("REDIS_URL", redis.url());
    let hub = setup.start().await;
    until_open(&hub).await;
    hub
}

pub async fn until_open(hub: &Daemon) {
    eventually("mail is open", || async {
        let answer = hub.get("/api/mail/inbox/nobody?projectId=p").await;
        (answer.status == 200).then_some(())
    })
    .await;
}

async fn id(hub: &Daemon, path: &str, body: Value) -> String {
    let made = hub.post(path, body).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

/// PATCH at one hub → event on a raw socket of the other.
pub async fn to_another_hub() -> String {
    let redis = Redis::start();
    let (one, two) = (hub(&redis).await, hub(&redis).await);
    redis.until_heard_by(2).await;
    let project = id(&one, "/api/projects", json!({"name": "Bench"})).await;
    let session = id(
        &one,
        "/api/sessions",
        json!({"projectId": project, "taskIds": []}),
    )
    .await;
    let mut socket = RawSocket::open(two.port()).expect("a socket");
    let mut connection = Connection::open(one.port()).expect("a connection");
    let mut times = Vec::new();
    for n in 0..SAMPLES {
        let mark = format!("mark-{n}\"");
        let request = wire::patch(
            &format!("/api/sessions/{session}"),
            &json!({"agentId": format!("mark-{n}")}),
        );
        let began = Instant::now();
        connection.send(&request).expect("a request");
        socket.until(&mark).expect("an event");
        times.push(began.elapsed());
        connection.receive().expect("an answer");
    }
    spread(&times)
}

/// Hubs for the waits: one embedded, or two at a redis. Mail is sent at the first and waited for at the last.
async fn hubs(redis: Option<&Redis>) -> Vec<Daemon> {
    let Some(redis) = redis else {
        return vec![Setup::new().start().await];
    };
    let hubs = vec![hub(redis).await, hub(redis).await];
    redis.until_heard_by(2).await;
    hubs
}

/// So many wait for mail of a project, each in a connection of its own.
async fn waiting(there: &Daemon, waiters: usize, project: usize) -> Vec<Connection> {
    let waiting: Vec<Connection> = (0..waiters)
        .map(|n| {
            let mut connection = Connection::open(there.port()).expect("a connection");
            let path = format!("/api/mail/wait/w{n}?projectId=p{project}&timeout=120000");
            connection.send(&wire::get(&path)).expect("a request");
            connection
        })
        .collect();
    eventually("they wait", || async {
        let told = there.ctl(&["status", "--json"]).await;
        let told: Value = serde_json::from_slice(&told.stdout).ok()?;
        (told["mail"]["waiting"] == waiters).then_some(())
    })
    .await;
    waiting
}

fn mail(project: usize, to: Option<usize>) -> Vec<u8> {
    let to = to.map(|n| format!("w{n}"));
    let mail = json!({"projectId": format!("p{project}"), "fromSessionId": "lead", "toSessionId": to,
                      "type": "query", "subject": "Wake up"});
    wire::post("/api/mail", &mail)
}

/// POST of a mail to one of those who wait → its answer; and the server's CPU time while nobody is woken.
async fn wake_one(waiters: usize, redis: Option<&Redis>) -> String {
    let hubs = hubs(redis).await;
    let (here, there) = (&hubs[0], &hubs[hubs.len() - 1]);
    let mut sender = Connection::open(here.port()).expect("a connection");
    let (mut times, mut idle, mut round) = (Vec::new(), None, 0);
    while times.len() < 100 {
        let mut connections = waiting(there, waiters, round).await;
        if idle.is_none() {
            let before = there.cpu_time();
            thread::sleep(Duration::from_secs(2));
            idle = Some(there.cpu_time() - before);
        }
        for (n, connection) in connections.iter_mut().enumerate() {
            let request = mail(round, Some(n));
            let began = Instant::now();
            sender.send(&request).expect("a request");
            assert_eq!(connection.receive().expect("an answer").status, 200);
            times.push(began.elapsed());
            assert_eq!(sender.receive().expect("an answer").status, 201);
        }
        round += 1;
    }
    let idle = idle.unwrap_or_default().as_millis();
    format!("{}, CPU in 2 s of waiting {idle} ms", spread(&times))
}

/// POST of a mail to everybody → the answer of the last of those who wait.
async fn wake_all(waiters: usize, redis: Option<&Redis>) -> String {
    let hubs = hubs(redis).await;
    let (here, there) = (&hubs[0], &hubs[hubs.len() - 1]);
    let mut sender = Connection::open(here.port()).expect("a connection");
    let mut times = Vec::new();
    for round in 0..10 {
        let connections = waiting(there, waiters, round).await;
        let request = mail(round, None);
        let began = Instant::now();
        sender.send(&request).expect("a request");
        for mut connection in connections {
            assert_eq!(connection.receive().expect("an answer").status, 200);
        }
        times.push(began.elapsed());
        assert_eq!(sender.receive().expect("an answer").status, 201);
    }
    spread(&times)
}

/// `kill -9` of an agent → event on a raw socket.
pub async fn crash() -> String {
    let hub = Setup::new().start().await;
    let project = id(&hub, "/api/projects", json!({"name": "Bench"})).await;
    let mut times = Vec::new();
    for _ in 0..50 {
        let wish = json!({"projectId": project, "taskIds": [], "status": "working"});
        let session = id(&hub, "/api/sessions", wish).await;
        let mut agent = Command::new("sleep").arg("600").spawn().expect("an agent");
        hub.post(
            &format!("/api/sessions/{session}/heartbeat"),
            json!({"pid": agent.id()}),
        )
        .await
        .expect(200);
        let mut socket = RawSocket::open(hub.port()).expect("a socket");
        let began = Instant::now();
        agent.kill().expect("killed");
        socket.until("notify:session_failed").expect("an event");
        times.push(began.elapsed());
        agent.wait().expect("ended");
    }
    spread(&times)
}

/// How long a child must have been ready for its run to count as stable, and a little more.
const STABLE: Duration = Duration::from_secs(63);

/// SIGKILL of the hub's own redis, once in each of ten hubs' lives → another one answers, and → mail is answered again.
/// After a stable run it is started again at once, else after a first delay.
pub async fn redis_killed(stable: bool) -> (String, String) {
    let mut hubs = Vec::new();
    for _ in 0..10 {
        let setup = Setup::new().without_env("REDIS_ENABLED");
        let hub = setup.config("[redis]\nmode = \"managed\"\n").start().await;
        until_open(&hub).await;
        hubs.push(hub);
    }
    if stable {
        thread::sleep(STABLE);
    }
    let (redis, mail): (Vec<_>, Vec<_>) = hubs.iter().map(kill_redis).unzip();
    (spread(&redis), spread(&mail))
}

fn kill_redis(hub: &Daemon) -> (Duration, Duration) {
    let socket = hub.place().runtime_dir().join("redis.sock");
    let old = process_id(&socket).expect("redis answers");
    let mut connection = Connection::open(hub.port()).expect("a connection");
    let inbox = wire::get("/api/mail/inbox/nobody?projectId=p");
    let began = Instant::now();
    let _sent = Command::new("kill")
        .args(["-9", &old])
        .status()
        .expect("kill runs");
    loop {
        match process_id(&socket) {
            Some(new) if new != old => break,
            _ => thread::sleep(Duration::from_micros(500)),
        }
    }
    let redis = began.elapsed();
    while connection.ask(&inbox).expect("an answer").status != 200 {
        thread::sleep(Duration::from_micros(500));
    }
    (redis, began.elapsed())
}

fn process_id(socket: &std::path::Path) -> Option<String> {
    let client = redis::Client::open(format!("unix://{}", socket.display())).ok()?;
    let mut line = client.get_connection().ok()?;
    let info: String = redis::cmd("INFO").arg("server").query(&mut line).ok()?;
    let id = info.lines().find_map(|line| line.strip_prefix("process_id:"));
    id.map(|id| id.trim().to_owned())
}

/// Bytes in redis of one mail, one heartbeat, one claim.
pub async fn weights() -> [String; 3] {
    let redis = Redis::start();
    let hub = hub(&redis).await;
    let project = id(&hub, "/api/projects", json!({"name": "Bench"})).await;
    let mut connection = Connection::open(hub.port()).expect("a connection");
    let mut made = Vec::new();
    for n in 0..WEIGHED {
        let wish = json!({"id": format!("sess_{n:013}_abcdefghi"), "projectId": project, "taskIds": []});
        made.push(id(&hub, "/api/sessions", wish).await);
    }
    let task = json!({"projectId": project, "title": "t"});
    let mut tasks = Vec::new();
    for _ in 0..WEIGHED {
        tasks.push(id(&hub, "/api/tasks", task.clone()).await);
    }
    let mut weigh = |request: &dyn Fn(usize) -> Vec<u8>, keys: Option<(u8, &str)>| {
        let before = used(&redis);
        for n in 0..WEIGHED {
            let answer = connection.ask(&request(n)).expect("an answer");
            assert!((200..300).contains(&answer.status), "{}", answer.status);
        }
        if let Some((database, pattern)) = keys {
            let deadline = Instant::now() + Duration::from_secs(30);
            while count(&redis, database, pattern) < WEIGHED {
                assert!(Instant::now() < deadline, "{pattern} did not come");
                thread::sleep(Duration::from_millis(20));
            }
        }
        format!("{} B", (used(&redis) - before) / WEIGHED as i64)
    };
    let body = json!({"text": "The port is 3000. I have pushed the branch; please have a look at the tests first.",
                      "files": ["src/hub/rest/mail.rs", "tests/stories/mail.rs"]});
    let mail = weigh(
        &|n| {
            let mail = json!({"projectId": project, "fromSessionId": made[0], "toSessionId": made[n % 20 + 1],
                              "type": "status_update", "subject": "Ready for review", "body": body});
            wire::post("/api/mail", &mail)
        },
        None,
    );
    let presence = weigh(
        &|n| {
            let sign = json!({"host": "another.example", "pid": 4711, "startedAt": 1_700_000_000_000_i64, "ttl": 3_600_000});
            wire::post(&format!("/api/sessions/{}/heartbeat", made[n]), &sign)
        },
        Some((1, "maestro:presence:*")),
    );
    let claim = weigh(
        &|n| {
            let wish = json!({"sessionId": made[n], "ttl": 3_600_000});
            wire::post(&format!("/api/tasks/{}/claim", tasks[n]), &wish)
        },
        None,
    );
    [mail, presence, claim]
}

fn used(redis: &Redis) -> i64 {
    let info: String = redis.ask("INFO memory");
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory_dataset:"));
    used.and_then(|bytes| bytes.trim().parse().ok())
        .expect("redis tells")
}

fn count(redis: &Redis, database: u8, pattern: &str) -> usize {
    let mut line = redis.connect().expect("redis answers");
    let _: () = redis::cmd("SELECT")
        .arg(database)
        .query(&mut line)
        .expect("selected");
    let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut line).expect("listed");
    keys.len()
}

/// All of it, as rows of the table.
pub async fn measure(row: &mut impl FnMut(&str, String, &'static str)) {
    row(
        "PATCH at one hub → event on a raw socket of another",
        to_another_hub().await,
        "p50 ≤ 600 µs",
    );
    for (shared, place) in [(false, "embedded"), (true, "sent at another hub")] {
        // Another one for each: what was sent before would be found at once.
        let redis = || shared.then(Redis::start);
        for waiters in [1, CROWD] {
            let what = format!("mail to one of {waiters} who wait → its answer, {place}");
            let aim = if waiters == CROWD {
                "p50 ≤ 300 µs, p99 ≤ 1 ms"
            } else {
                ""
            };
            row(&what, wake_one(waiters, redis().as_ref()).await, aim);
        }
        let what = format!("mail to all of {CROWD} who wait → the last one's answer, {place}");
        row(&what, wake_all(CROWD, redis().as_ref()).await, "");
    }
    row(
        "agent `kill -9` → event on a raw socket",
        crash().await,
        "≤ 100 ms",
    );
    let (redis, mail) = redis_killed(true).await;
    row(
        "own redis SIGKILL after a stable run → another answers",
        redis,
        "p50 ≤ 40 ms, p99 ≤ 250 ms",
    );
    row(
        "own redis SIGKILL after a stable run → mail is answered again",
        mail,
        "",
    );
    let (redis, _) = redis_killed(false).await;
    row(
        "own redis SIGKILL just after its start → another answers",
        redis,
        "",
    );
    let [mail, presence, claim] = weights().await;
    row("one mail in Redis (300 B of JSON)", mail, "about 1 KB");
    row("one heartbeat in Redis", presence, "");
    row("one claim in Redis, its owner's list included", claim, "");
}
