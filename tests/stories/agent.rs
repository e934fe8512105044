//! An agent at work: what the command-line client and its hooks ask for, in their order (API.md section 14).

use serde_json::{Value, json};

use crate::harness::{Ask, Daemon, Setup};

/// An agent whose session was named by whoever started it.
struct Agent<'a> {
    hub: &'a Daemon,
    id: &'a str,
}

impl Agent<'_> {
    fn path(&self) -> String {
        format!("/api/sessions/{}", self.id)
    }

    /// `session register`.
    async fn register(&self, project: &str, tasks: &[&str]) -> Value {
        let known = self.hub.get(&self.path()).await;
        if known.status == 200 {
            return self.update(json!({"status": "working"})).await;
        }
        assert_eq!(known.status, 404);
        let session = json!({
            "id": self.id, "projectId": project, "taskIds": tasks, "name": format!("execute: {}", self.id),
            "status": "working", "metadata": {"mode": "execute"}
        });
        self.hub.post("/api/sessions", session).await.expect(201)
    }

    /// `worker init`.
    async fn init(&self, task: &str) {
        self.update(json!({"status": "working"})).await;
        let path = format!("/api/tasks/{task}");
        self.hub
            .patch(&path, json!({"status": "in_progress"}))
            .await
            .expect(200);
        self.report(task, "working").await;
    }

    /// The first half of `task report …`.
    async fn report(&self, task: &str, status: &str) -> Value {
        let report = json!({"sessionStatus": status, "updateSource": "session", "sessionId": self.id});
        self.hub
            .patch(&format!("/api/tasks/{task}"), report)
            .await
            .expect(200)
    }

    /// The second half of `task report …`, and `report …`.
    async fn say(&self, entry: Value) -> Value {
        self.hub
            .post(&format!("{}/timeline", self.path()), entry)
            .await
            .expect(200)
    }

    async fn update(&self, body: Value) -> Value {
        self.hub.patch(&self.path(), body).await.expect(200)
    }

    async fn shown(&self) -> Value {
        self.hub.get(&self.path()).await.expect(200)
    }
}

async fn project(hub: &Daemon) -> String {
    text(
        &hub.post("/api/projects", json!({"name": "Demo"}))
            .await
            .expect(201)["id"],
    )
}

async fn task(hub: &Daemon, project: &str, title: &str) -> String {
    let task = json!({"projectId": project, "title": title, "description": "", "priority": "medium"});
    text(&hub.post("/api/tasks", task).await.expect(201)["id"])
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn timeline(session: &Value) -> Vec<&str> {
    let entries = session["timeline"].as_array().expect("a timeline");
    entries
        .iter()
        .filter_map(|entry| entry["type"].as_str())
        .collect()
}

#[tokio::test]
async fn an_agent_registers_works_asks_reports_and_completes() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let task = task(&hub, &project, "Build it").await;
    let agent = Agent {
        hub: &hub,
        id: "session-1700000000000-0a1b2c3d",
    };
    let mut watch = hub.listen().await;
    watch
        .send(&json!({"type": "subscribe", "sessionIds": [agent.id]}))
        .await;
    assert_eq!(watch.arrived_names().await, ["subscribed"]);

    agent.register(&project, &[&task]).await;
    agent.register(&project, &[&task]).await;
    agent.init(&task).await;
    let expected = [
        "session:created",
        "task:session_added",
        "session:updated",
        "session:updated",
    ];
    assert_eq!(
        watch.arrived_names().await,
        expected,
        "updates of the task are filtered by its own id (quirk 5)"
    );

    let file = json!({"type": "file_modified", "data": {"file": "/a.rs", "timestamp": 1}});
    hub.post(&format!("{}/events", agent.path()), file)
        .await
        .expect(200);
    let entry = json!({"id": "evt-17", "type": "needs_input", "timestamp": 17, "message": "Waiting"});
    let needs = json!({"active": true, "message": "Waiting", "since": 17});
    agent
        .update(json!({"needsInput": needs, "timeline": [entry]}))
        .await;
    agent
        .update(json!({"status": "working", "needsInput": {"active": false}}))
        .await;
    agent.report(&task, "working").await;
    agent
        .say(json!({"type": "progress", "message": "half way", "taskId": task}))
        .await;
    let doc = json!({"title": "Plan", "filePath": "/plan.md", "taskId": task, "content": "# Plan"});
    hub.post(&format!("{}/docs", agent.path()), doc).await.expect(200);
    let expected = [
        "session:updated",
        "session:updated",
        "notify:needs_input",
        "session:updated",
        "session:updated",
        "notify:progress",
        "session:updated",
    ];
    assert_eq!(watch.arrived_names().await, expected);

    agent.report(&task, "completed").await;
    agent
        .say(json!({"type": "task_completed", "message": "Built", "taskId": task}))
        .await;
    let done = json!({"status": "completed"});
    hub.patch(&format!("/api/tasks/{task}"), done).await.expect(200);
    agent
        .say(json!({"type": "task_status_changed", "message": "todo → completed", "taskId": task}))
        .await;
    agent
        .update(json!({"status": "completed", "completedAt": 1}))
        .await;
    let expected = [
        "notify:task_session_completed",
        "session:updated",
        "notify:task_completed",
        "session:updated",
        "session:updated",
        "notify:session_completed",
    ];
    assert_eq!(watch.arrived_names().await, expected);

    let session = agent.shown().await;
    let expected = [
        "session_started",
        "task_started",
        "needs_input",
        "progress",
        "doc_added",
        "task_completed",
        "task_status_changed",
    ];
    assert_eq!(timeline(&session), expected);
    assert_eq!(session["events"][0]["data"]["file"], "/a.rs");
    assert_eq!(
        (&session["status"], &session["needsInput"]["active"]),
        (&json!("completed"), &json!(false))
    );
    assert_ne!(session["completedAt"], 1, "the time of the end is the hub's");
    let shown = hub.get(&format!("/api/tasks/{task}")).await.expect(200);
    assert_eq!(shown["taskSessionStatuses"], json!({agent.id: "completed"}));
    assert_eq!(shown["sessionIds"], json!([agent.id]));
    assert!(shown["startedAt"].is_u64() && shown["completedAt"].is_u64());
    let docs = hub.get(&format!("/api/tasks/{task}/docs")).await.expect(200);
    assert_eq!(
        (&docs[0]["title"], &docs[0]["sessionId"]),
        (&json!("Plan"), &json!(agent.id))
    );
    let listed = hub.get(&format!("{}/docs", agent.path())).await.expect(200);
    assert_eq!(listed, session["docs"]);
}

#[tokio::test]
async fn a_first_report_on_a_foreign_task_links_the_session_to_it() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let (own, other) = (
        task(&hub, &project, "own").await,
        task(&hub, &project, "other").await,
    );
    let agent = Agent {
        hub: &hub,
        id: "worker",
    };
    agent.register(&project, &[&own]).await;
    let mut watch = hub.listen().await;
    for _ in 0..2 {
        agent.report(&other, "blocked").await;
    }
    let expected = [
        "session:task_added",
        "task:session_added",
        "task:updated",
        "task:updated",
    ];
    assert_eq!(watch.arrived_names().await, expected, "linked once");
    assert_eq!(agent.shown().await["taskIds"], json!([own, other]));

    agent.update(json!({"status": "failed"})).await;
    let expected = ["task:updated", "session:updated", "notify:session_failed"];
    assert_eq!(watch.arrived_names().await, expected);
    let other = hub.get(&format!("/api/tasks/{other}")).await.expect(200);
    assert_eq!(other["taskSessionStatuses"], json!({"worker": "failed"}));
}

#[tokio::test]
async fn a_hook_that_wants_no_answer_gets_none_and_is_heard_all_the_same() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let task = task(&hub, &project, "Build it").await;
    let agent = Agent {
        hub: &hub,
        id: "worker",
    };
    agent.register(&project, &[]).await;
    let mut watch = hub.listen().await;
    let minimal = async |method: &str, path: String, body: Value| {
        let ask = Ask::new(method, path)
            .header("prefer", "return=minimal")
            .json(&body);
        let answer = hub.ask(ask).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{}", answer.what);
        assert_eq!(answer.header("preference-applied"), Some("return=minimal"));
    };
    let path = agent.path();
    minimal("POST", format!("{path}/timeline"), json!({"message": "m"})).await;
    minimal("POST", format!("{path}/events"), json!({"type": "x"})).await;
    minimal(
        "POST",
        format!("{path}/docs"),
        json!({"title": "t", "filePath": "/f"}),
    )
    .await;
    minimal("POST", format!("{path}/tasks/{task}"), json!({})).await;
    minimal("POST", format!("{path}/prompt"), json!({"content": "go"})).await;
    minimal("PATCH", path, json!({"agentId": "a"})).await;
    minimal(
        "PATCH",
        format!("/api/tasks/{task}"),
        json!({"status": "in_review"}),
    )
    .await;
    let expected = [
        "session:updated",
        "notify:progress",
        "session:updated",
        "session:updated",
        "session:task_added",
        "task:session_added",
        "session:prompt_send",
        "session:updated",
        "session:updated",
        "task:updated",
    ];
    assert_eq!(watch.arrived_names().await, expected);
    let session = agent.shown().await;
    let expected = [
        "session_started",
        "progress",
        "doc_added",
        "task_started",
        "prompt_received",
    ];
    assert_eq!(timeline(&session), expected);
}

#[tokio::test]
async fn a_provider_s_key_that_a_client_sends_is_in_no_answer_no_event_and_no_file() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let mut watch = hub.listen().await;
    let env = json!({"OPENAI_API_KEY": "sk-secret-1", "GOOGLE_GENAI_USE_GCA": "true"});
    let body = json!({"id": "worker", "projectId": project, "taskIds": [], "env": env});
    let made = hub.post("/api/sessions", body).await.expect(201);
    assert_eq!(made["env"], json!({"GOOGLE_GENAI_USE_GCA": "true"}));
    let agent = Agent {
        hub: &hub,
        id: "worker",
    };
    let updated = agent
        .update(json!({"env": {"ANTHROPIC_API_KEY": "sk-secret-2", "A": "1"}}))
        .await;
    assert_eq!(updated["env"], json!({"GOOGLE_GENAI_USE_GCA": "true", "A": "1"}));
    assert_eq!(agent.shown().await["env"], updated["env"]);
    let heard = json!(watch.arrived().await).to_string();
    assert!(
        heard.contains("session:created") && !heard.contains("sk-secret"),
        "{heard}"
    );

    let mut folders = vec![hub.place().root().to_path_buf()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(content) = std::fs::read(&path) {
                let secret = content.windows(9).any(|bytes| bytes == b"sk-secret");
                assert!(!secret, "a key lies in {}", path.display());
                files += 1;
            }
        }
    }
    assert!(files > 0, "the hub keeps its data somewhere");
}

#[tokio::test]
async fn an_agent_prompts_another_until_that_one_has_ended() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let agent = Agent {
        hub: &hub,
        id: "worker",
    };
    agent.register(&project, &[]).await;
    let mut terminal = hub.listen().await;
    let prompt = json!({"content": "go on", "mode": "paste", "senderSessionId": "boss"});
    let path = format!("{}/prompt", agent.path());
    assert_eq!(
        hub.post(&path, prompt.clone()).await.expect(200),
        json!({"success": true})
    );
    let heard = terminal.arrived().await;
    let data = &heard[0]["data"];
    assert_eq!(
        (&data["sessionId"], &data["content"], &data["mode"]),
        (&json!("worker"), &json!("go on"), &json!("paste"))
    );
    assert_eq!(heard[1]["event"], "session:updated");

    agent.update(json!({"status": "completed"})).await;
    terminal.arrived().await;
    let refused = hub.post(&path, prompt).await.expect(409);
    let text = "Session is not active (status: completed). Prompt can only be sent to active sessions.";
    assert_eq!(refused, json!({"error": text, "message": text}));
    assert!(terminal.arrived().await.is_empty());
    assert_eq!(
        timeline(&agent.shown().await),
        ["session_started", "prompt_received"]
    );
}

#[tokio::test]
async fn an_agent_shows_a_page_and_hears_what_the_person_does_with_it() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let agent = Agent {
        hub: &hub,
        id: "worker",
    };
    agent.register(&project, &[]).await;
    let before = agent.shown().await;
    let mut ear = hub.listen().await;
    ear.send(&json!({"type": "subscribe", "sessionIds": ["worker"]}))
        .await;
    ear.arrived().await;
    let modal = json!({"modalId": "modal_1700000000000_0a1b2c3d", "title": "Choose", "html": "<b>?</b>", "filePath": null});
    hub.post("/api/sessions/worker/modal", modal).await.expect(200);
    let page = hub
        .place()
        .data_dir()
        .join("modals/modal_1700000000000_0a1b2c3d.html");
    assert_eq!(std::fs::read_to_string(page).expect("the page"), "<b>?</b>");
    let base = "/api/sessions/worker/modal/modal_1700000000000_0a1b2c3d";
    let act = json!({"action": "pick", "data": {"n": 1}});
    hub.post(&format!("{base}/actions"), act).await.expect(200);
    hub.ask(Ask::new("POST", format!("{base}/close")))
        .await
        .expect(200);
    hub.post("/api/sessions/stranger/modal/m/close", json!({}))
        .await
        .expect(200);
    let heard = ear.arrived().await;
    let names: Vec<_> = heard.iter().map(|frame| &frame["event"]).collect();
    assert_eq!(
        names,
        ["session:modal", "session:modal_action", "session:modal_closed"]
    );
    assert_eq!(heard[1]["data"]["data"], json!({"n": 1}));
    assert_eq!(agent.shown().await, before, "nothing of it stays on the session");
}

#[tokio::test]
async fn a_request_of_a_wrong_type_is_refused_by_its_field_and_changes_nothing() {
    let hub = Setup::new().start().await;
    let project = project(&hub).await;
    let agent = Agent {
        hub: &hub,
        id: "worker",
    };
    agent.register(&project, &[]).await;
    let before = agent.shown().await;
    let mut ear = hub.listen().await;
    for (method, path, field, wrong) in [
        ("PATCH", "", "taskIds", json!(null)),
        ("PATCH", "", "taskIds", json!("t")),
        ("PATCH", "", "taskIds", json!([{"id": "t"}])),
        ("PATCH", "", "status", json!(3)),
        ("PATCH", "", "status", json!(null)),
        ("PATCH", "", "agentId", json!([])),
        ("PATCH", "", "env", json!({"PORT": 3000})),
        ("PATCH", "", "events", json!({})),
        ("PATCH", "", "timeline", json!(["text"])),
        ("PATCH", "", "needsInput", json!(true)),
        ("PATCH", "", "needsInput", json!({"active": "yes"})),
        ("POST", "/events", "type", json!(["x"])),
        ("POST", "/timeline", "message", json!({"text": "m"})),
        ("POST", "/docs", "title", json!(7)),
        ("POST", "/modal", "html", json!(["<b>"])),
        ("POST", "/modal/m/actions", "action", json!({})),
    ] {
        let ask = Ask::new(method, format!("{}{path}", agent.path())).json(&json!({field: wrong}));
        let refused = hub.ask(ask).await.expect(400);
        let message = refused["message"].as_str().expect("a message");
        assert!(message.contains(field), "{path} {field} {wrong}: {message}");
        assert_eq!(refused["code"], "VALIDATION_ERROR");
    }
    assert_eq!(agent.shown().await, before);
    assert!(ear.arrived().await.is_empty());
}
