//! Agents that live, fall silent, die and come back: real processes, told by the real hub.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join_all;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use serde_json::{Value, json};

use crate::harness::{Daemon, Setup, eventually};

/// Heartbeats lapse soon, so that silence can be waited for.
const IMPATIENT: &str = "[presence]\nheartbeat = \"200ms\"\nttl = \"800ms\"\n";

/// A process that stands for an agent; gone with the test, never reaped before.
struct Agent(Child);

impl Agent {
    fn start() -> Self {
        Self::of(Command::new("sleep").arg("600"))
    }

    fn of(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().expect("it starts"))
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("signalled");
    }

    /// It becomes a zombie: nobody waits for it.
    fn die(&self) {
        self.signal(Signal::SIGKILL);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn create(hub: &Daemon, path: &str, body: Value) -> String {
    let made = hub.post(path, body).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

/// A working session, in a project of its own.
async fn working(hub: &Daemon) -> String {
    let project = create(hub, "/api/projects", json!({"name": "Demo"})).await;
    let session = json!({"projectId": project, "taskIds": [], "status": "working"});
    create(hub, "/api/sessions", session).await
}

async fn beat(hub: &Daemon, session: &str, sign: Value) -> Value {
    let path = format!("/api/sessions/{session}/heartbeat");
    hub.post(&path, sign).await.expect(200)
}

async fn session(hub: &Daemon, id: &str) -> Value {
    hub.get(&format!("/api/sessions/{id}")).await.expect(200)
}

async fn verdict(hub: &Daemon, id: &str) -> String {
    let agents = hub.get("/api/agents").await.expect(200);
    let agents = agents.as_array().expect("a list");
    let agent = agents.iter().find(|agent| agent["sessionId"] == id);
    agent
        .map_or("none", |agent| agent["verdict"].as_str().expect("a verdict"))
        .to_owned()
}

async fn until_verdict(hub: &Daemon, id: &str, wanted: &str) {
    eventually(&format!("{id} is {wanted}"), || async {
        (verdict(hub, id).await == wanted).then_some(())
    })
    .await;
}

async fn until_status(hub: &Daemon, id: &str, wanted: &str) -> Value {
    eventually(&format!("{id} is {wanted}"), || async {
        let session = session(hub, id).await;
        (session["status"] == wanted).then_some(session)
    })
    .await
}

fn last_entry(session: &Value) -> &Value {
    session["timeline"]
        .as_array()
        .expect("a timeline")
        .last()
        .expect("an entry")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("a time")
}

#[tokio::test]
async fn an_agent_that_is_killed_is_noticed_at_once_its_session_fails_and_its_task_is_free_again() {
    let hub = Setup::new().start().await;
    let project = create(&hub, "/api/projects", json!({"name": "Demo"})).await;
    let task = create(&hub, "/api/tasks", json!({"projectId": project, "title": "T"})).await;
    let body = json!({"projectId": project, "taskIds": [task], "status": "working"});
    let id = create(&hub, "/api/sessions", body).await;
    let report = json!({"sessionStatus": "working", "updateSource": "session", "sessionId": id});
    hub.patch(&format!("/api/tasks/{task}"), report).await.expect(200);
    let claim = format!("/api/tasks/{task}/claim");
    hub.post(&claim, json!({"sessionId": id})).await.expect(200);
    let agent = Agent::start();
    let told = beat(&hub, &id, json!({"pid": agent.pid(), "startedAt": now_ms()})).await;
    assert_eq!(
        (&told["verdict"], &told["watched"]),
        (&json!("alive"), &json!(true)),
        "{told}"
    );

    let mut page = hub.listen().await;
    let killed = Instant::now();
    agent.die();
    let mut heard = Vec::new();
    while heard.last().is_none_or(|name| name != "notify:session_failed") {
        heard.push(page.next().await["event"].as_str().unwrap_or_default().to_owned());
    }
    println!(
        "kill -9 of an agent to the event at a socket: {:?}",
        killed.elapsed()
    );
    assert_eq!(
        heard,
        ["task:updated", "session:updated", "notify:session_failed"]
    );

    let failed = session(&hub, &id).await;
    assert_eq!(failed["status"], "failed");
    assert!(failed["completedAt"].is_u64());
    assert_eq!(
        (&failed["failure"]["reason"], &failed["failure"]["detail"]),
        (&json!("agent_disconnected"), &json!("crashed"))
    );
    assert_eq!(last_entry(&failed)["metadata"]["reason"], "agent_disconnected");
    assert_eq!(verdict(&hub, &id).await, "crashed");
    eventually("its task is free", || async {
        let shown = hub.get(&claim).await.expect(200);
        (shown["claimed"] == false).then_some(())
    })
    .await;
    let shown = hub.get(&format!("/api/tasks/{task}")).await.expect(200);
    assert_eq!(shown["taskSessionStatuses"][&id], "failed");
}

#[tokio::test]
async fn an_agent_elsewhere_that_falls_silent_is_lost_and_restored_when_it_comes_back() {
    let hub = Setup::new().config(IMPATIENT).start().await;
    let (id, mute) = (working(&hub).await, working(&hub).await);
    let sign = json!({"pid": 4711, "host": "far.example", "startedAt": now_ms(), "ttl": 1500});
    let told = beat(&hub, &id, sign.clone()).await;
    assert_eq!(
        (&told["verdict"], &told["watched"]),
        (&json!("alive"), &json!(false))
    );
    let since = Instant::now();
    let lost = until_status(&hub, &id, "failed").await;
    println!(
        "an agent elsewhere with a TTL of 1.5 s was missed after {:?}",
        since.elapsed()
    );
    assert_eq!(lost["failure"]["detail"], "lost");
    assert_eq!(
        session(&hub, &mute).await["status"],
        "working",
        "who never spoke is not missed"
    );
    assert_eq!(verdict(&hub, &mute).await, "unknown");

    beat(&hub, &id, sign).await;
    let back = until_status(&hub, &id, "working").await;
    assert_eq!(last_entry(&back)["message"], "Agent is back");
    assert!(back.get("failure").is_none());
}

#[tokio::test]
async fn three_hundred_agents_that_fall_silent_together_are_all_noticed() {
    let hub = Setup::new().config(IMPATIENT).start().await;
    let project = create(&hub, "/api/projects", json!({"name": "Demo"})).await;
    let made = (0..300).map(|n| {
        let body = json!({"id": format!("s{n}"), "projectId": project, "taskIds": [], "status": "working"});
        create(&hub, "/api/sessions", body)
    });
    let ids = join_all(made).await;
    let signs = ids
        .iter()
        .map(|id| beat(&hub, id, json!({"host": "far", "ttl": 3000})));
    join_all(signs).await;
    let since = Instant::now();
    eventually("all have failed", || async {
        let failed = hub.get("/api/sessions?status=failed").await.expect(200);
        (failed.as_array().expect("a list").len() == 300).then_some(())
    })
    .await;
    println!(
        "300 agents with a TTL of 3 s were missed after {:?}",
        since.elapsed()
    );
}

#[tokio::test]
async fn an_agent_that_is_stopped_is_silent_and_goes_on_working_when_it_is_continued() {
    let hub = Setup::new().config(IMPATIENT).start().await;
    let id = working(&hub).await;
    let agent = Agent::start();
    let pid = agent.pid().to_string();
    let attached = hub
        .ctl(&["agent", "attach", "--session", &id, "--pid", &pid])
        .await;
    assert!(attached.status.success(), "{attached:?}");
    agent.signal(Signal::SIGSTOP);
    until_verdict(&hub, &id, "silent").await;
    assert_eq!(session(&hub, &id).await["status"], "working");
    let shown = String::from_utf8(hub.ctl(&["agents"]).await.stdout).expect("text");
    assert!(shown.contains(&id) && shown.contains("silent"), "{shown}");
    agent.signal(Signal::SIGCONT);
    until_verdict(&hub, &id, "alive").await;
    assert_eq!(session(&hub, &id).await["status"], "working");
    agent.die();
    until_status(&hub, &id, "failed").await;
}

#[tokio::test]
async fn pids_that_are_nobodys_are_refused_and_those_of_others_are_watched_if_they_can_be_told_apart() {
    let hub = Setup::new().start().await;
    let id = working(&hub).await;
    let path = format!("/api/sessions/{id}/heartbeat");
    for pid in [1, 0, -1, -4711] {
        hub.post(&path, json!({"pid": pid})).await.expect(400);
    }
    hub.post(&path, json!({"ttl": 30})).await.expect(400);
    hub.post(&path, json!({"pid": "x"})).await.expect(400);
    hub.post("/api/sessions/none/heartbeat", json!({}))
        .await
        .expect(404);
    assert_eq!(verdict(&hub, &id).await, "unknown", "nothing of this was taken");
    // A process that is not there: believed for as long as the sign is, but not to be watched.
    let gone = {
        let agent = Agent::start();
        agent.pid()
    };
    hub.post(&path, json!({"pid": gone, "watch": true}))
        .await
        .expect(409);
    assert_eq!(beat(&hub, &id, json!({"pid": gone})).await["watched"], false);

    let mut command = Command::new("sleep");
    command.arg("600");
    if Uid::effective().is_root() {
        command.uid(65534);
    }
    let foreign = Agent::of(&mut command);
    assert_eq!(
        beat(&hub, &id, json!({"pid": foreign.pid()})).await["watched"],
        true
    );
    foreign.die();
    until_status(&hub, &id, "failed").await;
}

#[tokio::test]
async fn a_process_that_began_after_the_agent_has_only_taken_over_its_pid() {
    let hub = Setup::new().start().await;
    let id = working(&hub).await;
    let other = Agent::start();
    let sign = json!({"pid": other.pid(), "startedAt": now_ms() - 3_600_000});
    assert_eq!(beat(&hub, &id, sign).await["watched"], false);
    other.die();
    // Somebody who is watched dies after it, and is noticed: this one would have been, too.
    let (watched, agent) = (working(&hub).await, Agent::start());
    beat(&hub, &watched, json!({"pid": agent.pid()})).await;
    agent.die();
    until_status(&hub, &watched, "failed").await;
    assert_eq!(session(&hub, &id).await["status"], "working");
}

#[tokio::test]
async fn a_hub_that_was_killed_finds_who_died_meanwhile_and_watches_who_lives() {
    let mut hub = Setup::new().start().await;
    let mut agents = Vec::new();
    for name in ["dies", "lives", "recycled"] {
        let (id, agent) = (working(&hub).await, Agent::start());
        beat(&hub, &id, json!({"pid": agent.pid()})).await;
        agents.push((name, id, agent));
    }
    hub.kill().await;
    agents[0].2.die();
    // The pid of the third is somebody else's by now: same number, other start.
    let db = rusqlite::Connection::open(hub.place().data_dir().join("maestro.db")).expect("the hub's file");
    let changed = db.execute(
        "UPDATE agents SET json = json_set(json, '$.identity.token', json_extract(json, '$.identity.token') - 1)
         WHERE session = ?1",
        [&agents[2].1],
    );
    assert_eq!(changed.expect("changed"), 1);
    drop(db);

    let hub = hub.setup().clone().start().await;
    for (name, id, _) in [&agents[0], &agents[2]] {
        let failed = until_status(&hub, id, "failed").await;
        assert_eq!(failed["failure"]["detail"], "crashed", "{name}");
    }
    let (_, id, agent) = &agents[1];
    until_verdict(&hub, id, "alive").await;
    assert_eq!(session(&hub, id).await["status"], "working");
    agent.die();
    until_status(&hub, id, "failed").await;
}

#[tokio::test]
async fn an_agent_that_takes_leave_is_not_missed() {
    let hub = Setup::new().config(IMPATIENT).start().await;
    let (left, stayed) = (working(&hub).await, working(&hub).await);
    for id in [&left, &stayed] {
        beat(&hub, id, json!({"host": "far"})).await;
    }
    let path = format!("/api/sessions/{left}/heartbeat");
    assert_eq!(
        hub.delete(&path).await.expect(200),
        json!({"success": true, "known": true})
    );
    assert_eq!(hub.delete(&path).await.expect(200)["known"], false);
    until_status(&hub, &stayed, "failed").await;
    assert_eq!(session(&hub, &left).await["status"], "working");
}

#[tokio::test]
async fn presence_switched_off_and_on_again_loses_no_agent() {
    let off = "[presence]\nenabled = false\n";
    let mut hub = Setup::new().start().await;
    let mut agents = Vec::new();
    for _ in 0..2 {
        let (id, agent) = (working(&hub).await, Agent::start());
        beat(&hub, &id, json!({"pid": agent.pid()})).await;
        agents.push((id, agent));
    }
    hub.stop().await;
    let on = hub.setup().clone();
    let mut hub = on.clone().config(off).start().await;
    agents[0].1.die();
    for (id, _) in &agents {
        assert_eq!(session(&hub, id).await["status"], "working", "nobody looks");
    }
    hub.stop().await;
    let hub = on.start().await;
    until_status(&hub, &agents[0].0, "failed").await;
    assert_eq!(session(&hub, &agents[1].0).await["status"], "working");
    agents[1].1.die();
    until_status(&hub, &agents[1].0, "failed").await;
}

#[tokio::test]
async fn a_hub_without_presence_answers_heartbeats_and_misses_nobody() {
    let hub = Setup::new().config("[presence]\nenabled = false\n").start().await;
    let (id, agent) = (working(&hub).await, Agent::start());
    let told = beat(&hub, &id, json!({"pid": agent.pid()})).await;
    assert_eq!(
        (&told["enabled"], told.get("verdict")),
        (&json!(false), None),
        "{told}"
    );
    agent.die();
    assert_eq!(verdict(&hub, &id).await, "unknown");
    assert_eq!(session(&hub, &id).await["status"], "working");
    let path = format!("/api/sessions/{id}/heartbeat");
    assert_eq!(hub.delete(&path).await.expect(200)["known"], false);
}

/// `maestroctl agent run` beside a hub.
fn runner(setup: &Setup, server: &str, id: &str, script: &str) -> Agent {
    let mut command = setup.command(env!("CARGO_BIN_EXE_maestroctl"));
    command
        .env("MAESTRO_SERVER_URL", server)
        .args(["agent", "run", "--session", id, "--", "sh", "-c", script])
        .stdout(Stdio::null());
    Agent::of(&mut command)
}

async fn exit_code(agent: &mut Agent) -> Option<i32> {
    eventually("the runner ends", || {
        let ended = agent.0.try_wait().expect("ours");
        async move { ended }
    })
    .await
    .code()
}

#[tokio::test]
async fn an_agent_that_is_run_is_present_gets_its_signals_and_gives_its_exit_code() {
    let hub = Setup::new().start().await;
    let id = working(&hub).await;
    let script = "trap 'exit 7' TERM; touch ready; while :; do sleep 0.02; done";
    let mut agent = runner(hub.setup(), hub.base(), &id, script);
    until_verdict(&hub, &id, "alive").await;
    let ready = hub.place().root().join("ready");
    eventually("it hears signals", || async { ready.exists().then_some(()) }).await;
    agent.signal(Signal::SIGTERM);
    assert_eq!(exit_code(&mut agent).await, Some(7));
    // It ended badly, and said no goodbye.
    let failed = until_status(&hub, &id, "failed").await;
    assert_eq!(failed["failure"]["detail"], "crashed");

    for (script, code) in [("kill -9 $$", 137), ("exit 3", 3)] {
        let mut agent = runner(hub.setup(), hub.base(), &id, script);
        assert_eq!(exit_code(&mut agent).await, Some(code), "{script}");
    }
}

#[tokio::test]
async fn an_agent_that_ends_well_leaves_a_session_that_is_stopped() {
    let hub = Setup::new().start().await;
    let id = working(&hub).await;
    let mut agent = runner(
        hub.setup(),
        hub.base(),
        &id,
        "until [ -e enough ]; do sleep 0.02; done",
    );
    until_verdict(&hub, &id, "alive").await;
    hub.place().write("enough", "");
    assert_eq!(exit_code(&mut agent).await, Some(0));
    let stopped = session(&hub, &id).await;
    assert_eq!(stopped["status"], "stopped");
    assert_eq!(verdict(&hub, &id).await, "none");
}

#[tokio::test]
async fn an_agent_runs_while_the_hub_is_away_and_is_present_as_soon_as_it_is_back() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr();
    let port = port.expect("bound").port().to_string();
    let setup = Setup::new().config(IMPATIENT).env("PORT", port);
    let mut hub = setup.start().await;
    let id = working(&hub).await;
    let (setup, server) = (hub.setup().clone(), hub.base().to_owned());
    hub.stop().await;
    let script = "until [ -e enough ]; do sleep 0.02; done; exit 5";
    let mut agent = runner(&setup, &server, &id, script);
    let hub = setup.start().await;
    until_verdict(&hub, &id, "alive").await;
    hub.place().write("enough", "");
    assert_eq!(exit_code(&mut agent).await, Some(5));
    until_status(&hub, &id, "failed").await;

    let mut other = runner(hub.setup(), "http://127.0.0.1:9", &id, "exit 4");
    assert_eq!(exit_code(&mut other).await, Some(4), "it needs no hub");
    let mut none = Agent::of(
        hub.setup()
            .command(env!("CARGO_BIN_EXE_maestroctl"))
            .args(["agent", "run", "--session", &id, "--", "/nonexistent/agent"])
            .stderr(Stdio::null()),
    );
    assert_eq!(exit_code(&mut none).await, Some(127));
}

#[tokio::test]
async fn with_a_redis_of_its_own_the_hub_shares_heartbeats_and_reads_those_that_agents_write_themselves() {
    let managed = "[redis]\nmode = \"managed\"\n";
    let hub = Setup::new()
        .without_env("REDIS_ENABLED")
        .config(managed)
        .start()
        .await;
    let (told, written) = (working(&hub).await, working(&hub).await);
    beat(&hub, &told, json!({"host": "far"})).await;
    let socket = hub.place().runtime_dir().join("redis.sock");
    let ask = |database: u16, words: Vec<String>| {
        let client = redis::Client::open(format!("unix://{}?db={database}", socket.display()));
        let mut line = client.and_then(|client| client.get_connection()).ok()?;
        redis::cmd(&words[0])
            .arg(&words[1..])
            .query::<redis::Value>(&mut line)
            .ok()
    };
    let key = |id: &str| format!("maestro:presence:{id}");
    eventually("the heartbeat is shared", || async {
        let answer = ask(1, vec!["PTTL".into(), key(&told)]);
        matches!(answer, Some(redis::Value::Int(left)) if left > 0).then_some(())
    })
    .await;
    let value = r#"{"pid":4711,"host":"far","startedAt":1}"#.to_owned();
    let set = vec!["SET".into(), key(&written), value, "EX".into(), "15".into()];
    assert_eq!(ask(0, set), Some(redis::Value::Okay));
    until_verdict(&hub, &written, "alive").await;
}

#[tokio::test]
async fn heartbeats_cost_the_hub_little() {
    let hub = Setup::new().start().await;
    let id = working(&hub).await;
    let began = Instant::now();
    for _ in 0..200 {
        beat(&hub, &id, json!({"pid": std::process::id()})).await;
    }
    println!(
        "a heartbeat by a connection of its own: {:?}",
        began.elapsed() / 200
    );
    let timeline = session(&hub, &id).await["timeline"]
        .as_array()
        .expect("a timeline")
        .len();
    assert_eq!(timeline, 1, "they leave no traces in the session");
}
