//! Agents that prove who they are by the URL they were started with, seen through a plain client that knows nothing of
//! it: it asks for server URL + path, as the command-line client does.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Daemon, Setup, eventually};

/// A hub with one project and one task.
struct House {
    hub: Daemon,
    project: String,
    task: String,
}

/// An agent that was spawned: what its terminal was told.
struct Agent {
    session: String,
    /// `/as/<token>`: what its server URL has behind the hub's own.
    prefix: String,
}

impl Agent {
    fn token(&self) -> &str {
        self.prefix.strip_prefix("/as/").unwrap()
    }
}

impl House {
    async fn with(setup: Setup) -> Self {
        let hub = setup.start().await;
        let project = json!({"name": "Demo", "workingDir": "/tmp"});
        let project = text(&hub.post("/api/projects", project).await.expect(201)["id"]);
        let task = json!({"projectId": project, "title": "Build it"});
        let task = text(&hub.post("/api/tasks", task).await.expect(201)["id"]);
        Self { hub, project, task }
    }

    async fn new() -> Self {
        Self::with(Setup::new()).await
    }

    fn wish(&self) -> Value {
        json!({"projectId": self.project, "taskIds": [self.task]})
    }

    async fn spawn(&self) -> Agent {
        let mut terminal = self.hub.listen().await;
        self.hub
            .post("/api/sessions/spawn", self.wish())
            .await
            .expect(201);
        let told = terminal.next_event("session:spawn").await;
        self.agent(&told["data"]["envVars"])
    }

    fn agent(&self, env: &Value) -> Agent {
        let url = text(&env["MAESTRO_SERVER_URL"]);
        let prefix = url
            .strip_prefix(self.hub.base())
            .expect("below the hub's own URL");
        Agent {
            session: text(&env["MAESTRO_SESSION_ID"]),
            prefix: prefix.to_owned(),
        }
    }

    /// A request of an agent's client.
    async fn post_as(&self, agent: &Agent, path: &str, body: Value) -> Answer {
        self.hub.post(&format!("{}{path}", agent.prefix), body).await
    }

    fn mail(&self, from: &str, to: &str) -> Value {
        json!({"projectId": self.project, "fromSessionId": from, "toSessionId": to, "type": "query",
               "subject": "how is it going?"})
    }

    async fn inbox(&self, of: &str) -> Value {
        let path = format!("/api/mail/inbox/{of}?projectId={}", self.project);
        self.hub.get(&path).await.expect(200)
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, text(&answer.json()["code"]))
}

#[tokio::test]
async fn an_agents_mail_to_people_is_proved_to_be_its_own_and_without_the_token_it_says_nothing_of_that() {
    let house = House::new().await;
    let agent = house.spawn().await;
    let mut socket = house.hub.listen().await;
    let proved = house
        .post_as(&agent, "/api/mail", house.mail(&agent.session, "human"))
        .await
        .expect(201);
    assert_eq!(proved["sender"], json!({"kind": "agent", "verified": true}));
    assert_eq!(proved["fromSessionId"], agent.session);
    assert_eq!(socket.next_event("mail:received").await["data"], proved);

    let claimed = house.mail(&agent.session, "human");
    let claimed = house.hub.post("/api/mail", claimed).await.expect(201);
    assert!(claimed.get("sender").is_none(), "{claimed}");
    assert_eq!(house.inbox("human").await, json!([proved, claimed]));
    let path = format!("/api/mail/{}", text(&proved["id"]));
    assert_eq!(house.hub.get(&path).await.expect(200), proved);
}

#[tokio::test]
async fn an_agent_speaks_for_nobody_else() {
    let house = House::new().await;
    let (one, two) = (house.spawn().await, house.spawn().await);
    for from in [two.session.as_str(), "human", "nobody"] {
        let refused = house
            .post_as(&one, "/api/mail", house.mail(from, &two.session))
            .await;
        assert_eq!(
            code(&refused),
            (403, "FORBIDDEN".to_owned()),
            "{}",
            refused.text()
        );
        assert!(text(&refused.json()["message"]).contains(&one.session));
    }
    assert_eq!(house.inbox(&two.session).await, json!([]));

    let prompt = |sender: &str| json!({"content": "go on", "senderSessionId": sender});
    let path = format!("/api/sessions/{}/prompt", two.session);
    let refused = house.post_as(&one, &path, prompt(&two.session)).await;
    assert_eq!(code(&refused), (403, "FORBIDDEN".to_owned()));

    let mut wish = house.wish();
    wish["spawnSource"] = "session".into();
    wish["sessionId"] = two.session.clone().into();
    let refused = house.post_as(&one, "/api/sessions/spawn", wish.clone()).await;
    assert_eq!(code(&refused), (403, "forbidden".to_owned()));
    // As today, for who has proved nothing.
    let spawned = house.hub.post("/api/sessions/spawn", wish).await.expect(201);
    assert_eq!(spawned["session"]["parentSessionId"], two.session);
}

#[tokio::test]
async fn what_an_agent_leaves_unsaid_is_taken_from_what_it_proved() {
    let house = House::new().await;
    let (boss, worker) = (house.spawn().await, house.spawn().await);
    let mut terminal = house.hub.listen().await;
    let path = format!("/api/sessions/{}/prompt", worker.session);
    house
        .post_as(&boss, &path, json!({"content": "go on"}))
        .await
        .expect(200);
    let sent = terminal.next_event("session:prompt_send").await;
    assert_eq!(sent["data"]["senderSessionId"], boss.session);
    assert_eq!(sent["data"]["sender"], json!({"kind": "agent", "verified": true}));
    house
        .hub
        .post(&path, json!({"content": "go on"}))
        .await
        .expect(200);
    let sent = terminal.next_event("session:prompt_send").await;
    assert_eq!(sent["data"]["senderSessionId"], Value::Null);
    assert!(sent["data"].get("sender").is_none(), "{sent}");

    let spawned = house
        .post_as(&boss, "/api/sessions/spawn", house.wish())
        .await
        .expect(201);
    assert_eq!(spawned["session"]["parentSessionId"], boss.session);
    assert_eq!(spawned["session"]["metadata"]["spawnSource"], "session");
}

#[tokio::test]
async fn a_coordinator_may_still_do_everything_to_its_workers() {
    let house = House::new().await;
    let (boss, worker) = (house.spawn().await, house.spawn().await);
    let session = format!("/api/sessions/{}", worker.session);
    let task = format!("/api/tasks/{}", house.task);
    for (path, body) in [
        (format!("{session}/timeline"), json!({"message": "half done"})),
        (format!("{session}/events"), json!({"type": "note"})),
        (
            format!("{session}/docs"),
            json!({"title": "Plan", "filePath": "plan.md"}),
        ),
        (format!("{session}/heartbeat"), json!({})),
        (format!("{session}/modal"), json!({"modalId": "m", "html": "<p>"})),
        (format!("{task}/claim"), json!({"sessionId": worker.session})),
        (
            format!("{task}/timeline"),
            json!({"message": "m", "sessionId": worker.session}),
        ),
    ] {
        house.post_as(&boss, &path, body).await.expect(200);
    }
    let report = json!({"updateSource": "session", "sessionId": worker.session, "sessionStatus": "working"});
    let path = format!("{}{task}", boss.prefix);
    let reported = house.hub.patch(&path, report).await.expect(200);
    assert_eq!(reported["taskSessionStatuses"][&worker.session], "working");
}

#[tokio::test]
async fn the_token_is_in_the_spawn_event_and_nowhere_else() {
    let house = House::with(Setup::new().env("LOG_LEVEL", "trace")).await;
    let mut terminal = house.hub.listen().await;
    let answer = house.hub.post("/api/sessions/spawn", house.wish()).await;
    let session = text(&answer.expect(201)["sessionId"]);
    let frames = terminal.arrived().await;
    let spawn = frames
        .iter()
        .find(|frame| frame["event"] == "session:spawn")
        .unwrap();
    let agent = house.agent(&spawn["data"]["envVars"]);
    assert!(
        agent.token().bytes().all(|b| b.is_ascii_lowercase()),
        "{}",
        agent.token()
    );
    assert!(agent.token().len() > 32, "128 bits, and whose");
    let plain = json!(house.hub.base());
    let mut said = vec![answer.text()];
    let others = frames.iter().filter(|frame| frame["event"] != "session:spawn");
    said.extend(others.map(Value::to_string));

    // It is used for all kinds of things, some of them wrong.
    let path = format!("/api/sessions/{session}");
    let url = format!("{}{}", house.hub.base(), agent.prefix);
    let shown = house
        .hub
        .get(&format!("{}{path}", agent.prefix))
        .await
        .expect(200);
    assert_eq!(shown["env"]["MAESTRO_SERVER_URL"], plain);
    let env = json!({"env": {"MAESTRO_SERVER_URL": url, "ALSO": format!("see {url}/api")}});
    let told = house
        .hub
        .patch(&format!("{}{path}", agent.prefix), env)
        .await
        .expect(200);
    assert_eq!(told["env"]["MAESTRO_SERVER_URL"], plain);
    assert_eq!(told["env"]["ALSO"], format!("see {}/api", house.hub.base()));
    let made = json!({"projectId": house.project, "taskIds": [], "env": {"URL": url}});
    said.push(
        house
            .post_as(&agent, "/api/sessions", made)
            .await
            .expect(201)
            .to_string(),
    );
    let missing = house.hub.get(&format!("{}/no/such/page", agent.prefix)).await;
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("/no/such/page"), "{}", missing.text());
    let misplaced = house.hub.get(&format!("/api{}", agent.prefix)).await;
    assert_eq!(misplaced.status, 404);
    said.extend([
        missing.text(),
        misplaced.text(),
        shown.to_string(),
        told.to_string(),
    ]);
    for path in [
        "/api/sessions",
        "/api/agents",
        "/api/events?since=0",
        "/ws-status",
    ] {
        said.push(house.hub.get(path).await.expect(200).to_string());
    }
    said.extend(terminal.arrived().await.iter().map(Value::to_string));
    let dir = house.hub.place().root().join("exported");
    let exported = house.hub.ctl(&["export", &dir.to_string_lossy()]).await;
    assert!(exported.status.success());
    assert!(dir.join("sessions").join(format!("{session}.json")).exists());

    let log = house.hub.log();
    assert!(log.contains("/no/such/page"), "requests are logged, as trace is");
    said.push(log);
    for text in said {
        assert!(!text.contains(agent.token()), "{text}");
    }
    assert_no_file_contains(house.hub.place().root(), agent.token());
}

fn assert_no_file_contains(dir: &Path, mark: &str) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_file_contains(&path, mark);
        } else if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
            assert!(!found, "{} holds a token", path.display());
        }
    }
}

#[tokio::test]
async fn a_page_that_an_agent_shows_has_the_plain_url() {
    let house = House::new().await;
    let agent = house.spawn().await;
    let mut screen = house.hub.listen().await;
    let page = |base: &str| format!("<script>const API = \"{base}\"; fetch(`{base}/api/sessions`)</script>");
    let told = format!("{}{}", house.hub.base(), agent.prefix);
    let modal = json!({"modalId": "modal_1", "html": page(&told)});
    let path = format!("/api/sessions/{}/modal", agent.session);
    house.post_as(&agent, &path, modal).await.expect(200);
    let plain = page(house.hub.base());
    assert_eq!(screen.next_event("session:modal").await["data"]["html"], plain);
    let file = house.hub.place().data_dir().join("modals/modal_1.html");
    assert_eq!(fs::read_to_string(file).unwrap(), plain);
}

#[tokio::test]
async fn a_token_nobody_knows_is_refused_and_never_taken_for_somebody_who_shows_none() {
    let house = House::new().await;
    let agent = house.spawn().await;
    let elsewhere = House::new().await.spawn().await;
    let (token, session) = (agent.token(), &agent.session);
    let mut changed = token.to_owned();
    let first = if changed.starts_with('a') { "b" } else { "a" };
    changed.replace_range(..1, first);
    for prefix in [
        format!("/as/{changed}"),
        format!("/as/{}", elsewhere.token()),
        format!("/as/{}", &token[..32]),
        format!("/as/{}", token.to_uppercase()),
        format!("/AS/{token}"),
        format!("//as/{token}"),
        format!("/as//{token}"),
        format!("/%61s/{token}"),
        format!("/a%53/{token}"),
        format!("/as/%61{token}"),
        format!("/as/{token}{}", agent.prefix),
        format!("/as/{changed}{}", agent.prefix),
        format!("{}/{}", agent.prefix, &agent.prefix),
        format!("{}/%41s/x", agent.prefix),
        "/as".to_owned(),
        "/as/x".to_owned(),
    ] {
        let path = format!("{prefix}/api/mail");
        let refused = house.hub.post(&path, house.mail(session, "human")).await;
        assert_eq!(code(&refused), (401, "unknown_agent".to_owned()), "{path}");
        assert!(refused.header("www-authenticate").is_some());
        let upgraded = house.hub.upgrade(&format!("{prefix}/"), &[]).await;
        assert_eq!(upgraded.err(), Some(401), "{prefix}");
    }
    assert_eq!(house.inbox("human").await, json!([]));
    let foreign = Ask::new("GET", format!("{}/api/tasks", agent.prefix)).header("host", "evil.example");
    assert_eq!(house.hub.ask(foreign).await.status, 421, "a token opens no gate");
    let foreign =
        Ask::new("GET", format!("{}/api/tasks", agent.prefix)).header("origin", "http://evil.example");
    assert_eq!(house.hub.ask(foreign).await.status, 403);
    for prefix in [&agent.prefix, "/as/x"] {
        let asked = house
            .hub
            .ask(Ask::new("OPTIONS", format!("{prefix}/api/tasks")))
            .await;
        assert_eq!(asked.status, 204, "OPTIONS is answered on any path");
    }
    let log = house.hub.log();
    assert!(!log.contains(token) && !log.contains(&changed));
}

#[tokio::test]
async fn a_token_outlives_the_hub_but_not_its_session() {
    let house = House::new().await;
    let agent = house.spawn().await;
    let House { hub, project, task } = house;
    let mut hub = hub;
    hub.kill().await;
    let house = House {
        hub: hub.restart().await,
        project,
        task,
    };
    let mail = || house.mail(&agent.session, "human");
    let sent = house.post_as(&agent, "/api/mail", mail()).await.expect(201);
    assert_eq!(sent["sender"]["verified"], true);

    let path = format!("/api/sessions/{}", agent.session);
    // It may even delete itself; that was its last word.
    house
        .hub
        .delete(&format!("{}{path}", agent.prefix))
        .await
        .expect(200);
    let refused = house.post_as(&agent, "/api/mail", mail()).await;
    assert_eq!(code(&refused), (401, "unknown_agent".to_owned()));
    let again = json!({"id": agent.session, "projectId": house.project, "taskIds": []});
    house.hub.post("/api/sessions", again).await.expect(201);
    let refused = house.post_as(&agent, "/api/mail", mail()).await;
    assert_eq!(
        code(&refused),
        (401, "unknown_agent".to_owned()),
        "another session of that name"
    );
}

#[tokio::test]
async fn a_raw_websocket_opens_below_the_agents_url() {
    let house = House::new().await;
    let agent = house.spawn().await;
    for path in [
        agent.prefix.clone(),
        format!("{}/", agent.prefix),
        format!("{}/any/path?x=1", agent.prefix),
    ] {
        let mut socket = house.hub.upgrade(&path, &[]).await.expect("it is an agent's");
        socket
            .send(&json!({"type": "subscribe", "sessionIds": [agent.session]}))
            .await;
        assert_eq!(socket.next().await["type"], "subscribed");
        let path = format!("/api/sessions/{}/timeline", agent.session);
        house
            .post_as(&agent, &path, json!({"message": "on it"}))
            .await
            .expect(200);
        let heard = socket.next_event("notify:progress").await;
        assert_eq!(heard["data"]["sessionId"], agent.session);
    }
}

#[tokio::test]
async fn who_has_proved_himself_is_told_apart_in_the_list_of_agents() {
    let house = House::new().await;
    let (one, two) = (house.spawn().await, house.spawn().await);
    let path = format!("{}/api/sessions/{}/heartbeat", one.prefix, one.session);
    house.hub.post(&path, json!({})).await.expect(200);
    let path = format!("/api/sessions/{}/heartbeat", two.session);
    house.hub.post(&path, json!({})).await.expect(200);
    let agents = house.hub.get("/api/agents").await.expect(200);
    let verified = |agent: &Agent| {
        let mut rows = agents.as_array().unwrap().iter();
        rows.find(|row| row["sessionId"] == agent.session).unwrap()["verified"].clone()
    };
    assert_eq!(
        (verified(&one), verified(&two)),
        (json!(true), json!(false)),
        "{agents}"
    );
}

#[tokio::test]
async fn no_session_can_be_called_as_people_are() {
    let house = House::new().await;
    for id in ["human", "Human", "HUMAN"] {
        let wish = json!({"id": id, "projectId": house.project, "taskIds": []});
        let refused = house.hub.post("/api/sessions", wish).await;
        assert_eq!(code(&refused), (400, "VALIDATION_ERROR".to_owned()), "{id}");
    }
}

#[tokio::test]
async fn a_sending_is_repeated_under_its_key_with_the_same_sender() {
    let house = House::new().await;
    let agent = house.spawn().await;
    let send = || {
        let path = format!("{}/api/mail", agent.prefix);
        let ask = Ask::new("POST", path).header("idempotency-key", "k1");
        house.hub.ask(ask.json(&house.mail(&agent.session, "human")))
    };
    let first = send().await.expect(201);
    assert_eq!(send().await.expect(201), first);
    assert_eq!(house.inbox("human").await, json!([first]));
}

#[tokio::test]
async fn an_answer_that_is_mailed_is_proved_to_be_from_who_gave_it() {
    let house = House::new().await;
    let (boss, worker) = (house.spawn().await, house.spawn().await);
    eventually("no desktop is there to type it", || async {
        let status = house.hub.get("/ws-status").await.expect(200);
        (status["connectedClients"] == 0).then_some(())
    })
    .await;
    let path = format!("/api/sessions/{}", worker.session);
    let asks = json!({"needsInput": {"active": true, "message": "Which port?"}});
    house.hub.patch(&path, asks).await.expect(200);
    let path = format!("{path}/reply-input");
    let answered = house
        .post_as(&boss, &path, json!({"text": "3000"}))
        .await
        .expect(200);
    assert_eq!(answered["how"], "mail", "{answered}");
    let mail = &house.inbox(&worker.session).await[0];
    assert_eq!(mail["fromSessionId"], boss.session);
    assert_eq!(mail["sender"], json!({"kind": "agent", "verified": true}));
}
