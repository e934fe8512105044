//! API.md section 7: making sessions, reading them, and what hangs on them.

use serde_json::{Value, json};

use crate::scene::{Scene, form_a, id_of, timeline_types};

fn form_b(message: &str) -> Value {
    json!({"error": true, "message": message, "code": "VALIDATION_ERROR"})
}

#[tokio::test]
async fn a_session_is_checked_in_the_documented_order_and_nothing_is_stored_on_failure() {
    let mut scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    scene.events().await;
    let post = async |body: Value, status: u16| scene.daemon.post("/api/sessions", body).await.expect(status);
    assert_eq!(post(json!({}), 400).await, form_b("taskIds is required"));
    let required = form_a(400, "VALIDATION_ERROR", "Project ID is required");
    assert_eq!(post(json!({"taskIds": []}), 400).await, required);
    let unknown = post(json!({"taskIds": ["none"], "projectId": "none"}), 404).await;
    assert_eq!(unknown["message"], "Project with id 'none' not found");
    let body = json!({"taskIds": [task, "no-1", "no-2"], "projectId": scene.project});
    assert_eq!(post(body, 404).await["message"], "Task with id 'no-1' not found");
    assert_eq!(scene.get("/api/sessions").await, json!([]));
    assert_eq!(
        scene.get(&format!("/api/tasks/{task}")).await["sessionIds"],
        json!([])
    );
    assert_eq!(scene.events().await, [""; 0]);
}

#[tokio::test]
async fn a_session_has_its_defaults_and_is_told_to_its_tasks() {
    let mut scene = Scene::new().await;
    let first = scene.task(json!({})).await;
    let second = scene.task(json!({})).await;
    scene.events().await;
    let made = scene
        .post(
            "/api/sessions",
            json!({"taskId": first, "strategy": "x", "teamMemberId": "tm"}),
        )
        .await;
    let made = made.expect(201);
    assert_eq!(
        (&made["name"], &made["status"]),
        (&json!("Unnamed Session"), &json!("idle"))
    );
    assert_eq!((&made["taskIds"], &made["env"]), (&json!([first]), &json!({})));
    assert_eq!(
        (&made["parentSessionId"], &made["completedAt"]),
        (&Value::Null, &Value::Null)
    );
    for absent in ["agentId", "metadata", "needsInput", "teamMemberId", "strategy"] {
        assert_eq!(made.get(absent), None, "{absent}");
    }
    let both = json!({"taskIds": [first, second], "taskId": "ignored", "parentSessionId": "anyone", "env": {"A": "1"}});
    let both = scene.post("/api/sessions", both).await.expect(201);
    assert_eq!(both["parentSessionId"], "anyone");
    assert_eq!(
        timeline_types(&both),
        ["session_started", "task_started", "task_started"]
    );
    assert_eq!(both["timeline"][2]["taskId"], second);
    let events = scene.events().await;
    let expected = [
        "session:created",
        "task:session_added",
        "session:created",
        "task:session_added",
        "task:session_added",
    ];
    assert_eq!(events, expected);
    let task = scene.get(&format!("/api/tasks/{first}")).await;
    assert_eq!(task["sessionIds"], json!([made["id"], both["id"]]));
}

#[tokio::test]
async fn session_filters_combine() {
    let scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let one = scene.session(json!({"taskIds": [task], "status": "idle"})).await;
    let two = scene.session(json!({"parentSessionId": one})).await;
    let three = scene.session(json!({"status": "completed"})).await;
    let ids = async |query: String| -> Vec<String> {
        let listed = scene.get(&format!("/api/sessions?{query}")).await;
        listed.as_array().expect("a list").iter().map(id_of).collect()
    };
    let all = [one.clone(), two.clone(), three.clone()];
    assert_eq!(ids("projectId=&status=&parentSessionId=".into()).await, all);
    assert_eq!(ids(format!("taskId={task}")).await, std::slice::from_ref(&one));
    assert_eq!(
        ids(format!("parentSessionId={one}&status=working")).await,
        std::slice::from_ref(&two)
    );
    assert_eq!(ids("active=true".into()).await, [one, two]);
    assert_eq!(ids("projectId=none".into()).await, [""; 0]);
    let unknown = scene.daemon.get("/api/sessions/none").await.expect(404);
    assert_eq!(
        unknown,
        form_a(404, "NOT_FOUND", "Session with id 'none' not found")
    );
}

#[tokio::test]
async fn what_is_added_to_a_session_is_checked_before_the_session_is_looked_for() {
    let scene = Scene::new().await;
    for (path, body, message) in [
        ("events", json!({}), "type is required"),
        ("timeline", json!({"type": "progress"}), "message is required"),
        ("docs", json!({"filePath": "/f"}), "title is required"),
        ("docs", json!({"title": "t"}), "filePath is required"),
        ("modal", json!({"html": "x"}), "modalId is required"),
        ("modal", json!({"modalId": "x"}), "html content is required"),
        ("modal/m/actions", json!({}), "action is required"),
    ] {
        let refused = scene
            .daemon
            .post(&format!("/api/sessions/none/{path}"), body)
            .await
            .expect(400);
        assert_eq!(refused, form_b(message), "{path}");
    }
    for (path, body) in [
        ("events", json!({"type": "x"})),
        ("timeline", json!({"message": "m"})),
        ("docs", json!({"title": "t", "filePath": "/f"})),
        ("modal", json!({"modalId": "m", "html": "x"})),
        ("tasks/none", json!({})),
        ("prompt", json!({"content": "x"})),
    ] {
        let refused = scene
            .daemon
            .post(&format!("/api/sessions/none/{path}"), body)
            .await
            .expect(404);
        assert_eq!(refused["message"], "Session with id 'none' not found", "{path}");
    }
    let session = scene.session(json!({})).await;
    let refused = scene
        .daemon
        .post(&format!("/api/sessions/{session}/tasks/none"), json!({}))
        .await;
    assert_eq!(refused.expect(404)["message"], "Task with id 'none' not found");
}

#[tokio::test]
async fn entries_keep_what_was_given_and_nothing_more() {
    let mut scene = Scene::new().await;
    let session = scene.session(json!({})).await;
    scene.events().await;
    let path = format!("/api/sessions/{session}");
    let event = scene
        .daemon
        .post(&format!("{path}/events"), json!({"type": "x"}))
        .await
        .expect(200);
    assert_eq!(event["events"][0].get("data"), None);
    let body = json!({"message": "m", "type": "milestone", "taskId": "any", "metadata": {"k": null}});
    let told = scene
        .daemon
        .post(&format!("{path}/timeline"), body)
        .await
        .expect(200);
    let entry = &told["timeline"][1];
    assert_eq!(
        (&entry["taskId"], &entry["metadata"]),
        (&json!("any"), &json!({"k": null}))
    );
    let doc = scene
        .daemon
        .post(&format!("{path}/docs"), json!({"title": "t", "filePath": "/f"}))
        .await
        .expect(200);
    assert_eq!(doc["docs"][0].get("content"), None);
    assert_eq!(doc["docs"][0].get("taskId"), None);
    assert_eq!(doc["timeline"][2].get("taskId"), None);
    assert_eq!(doc["timeline"][2]["metadata"]["docId"], doc["docs"][0]["id"]);
    assert_eq!(scene.events().await, ["session:updated"; 3]);
}

#[tokio::test]
async fn needing_input_through_the_timeline_is_notified_each_time() {
    let mut scene = Scene::new().await;
    let session = scene.session(json!({})).await;
    scene.events().await;
    let path = format!("/api/sessions/{session}/timeline");
    for question in ["which?", "really?"] {
        let asked = scene
            .daemon
            .post(&path, json!({"type": "needs_input", "message": question}))
            .await;
        let asked = asked.expect(200);
        assert_eq!(asked["needsInput"]["active"], true);
        assert_eq!(asked["needsInput"]["message"], question);
        assert!(asked["needsInput"]["since"].is_u64());
        assert_eq!(scene.events().await, ["session:updated", "notify:needs_input"]);
    }
}

#[tokio::test]
async fn a_modal_is_written_for_the_ui_and_answered_without_its_session() {
    let mut scene = Scene::new().await;
    let session = scene.session(json!({})).await;
    scene.events().await;
    let path = format!("/api/sessions/{session}/modal");
    let shown = scene
        .daemon
        .post(&path, json!({"modalId": "m_1", "html": "<i>"}))
        .await
        .expect(200);
    let said =
        json!({"success": true, "modalId": "m_1", "sessionId": session, "message": "Modal sent to UI"});
    assert_eq!(shown, said);
    let frames = scene.socket.arrived().await;
    let stored = scene.daemon.place().data_dir().join("modals/m_1.html");
    assert_eq!(frames[0]["data"]["title"], "Agent Modal");
    assert_eq!(frames[0]["data"]["filePath"], stored.to_string_lossy().as_ref());
    assert_eq!(std::fs::read_to_string(stored).expect("written"), "<i>");
    let own = json!({"modalId": "m_1", "html": "<b>", "filePath": "/own.html", "title": "T"});
    scene.daemon.post(&path, own).await.expect(200);
    assert_eq!(scene.socket.arrived().await[0]["data"]["filePath"], "/own.html");

    let acted = scene
        .daemon
        .post("/api/sessions/none/modal/any/actions", json!({"action": "a"}))
        .await;
    assert_eq!(
        acted.expect(200),
        json!({"success": true, "modalId": "any", "action": "a"})
    );
    let frames = scene.socket.arrived().await;
    assert_eq!(frames[0]["data"]["data"], json!({}));
    let closed = scene
        .daemon
        .ask(crate::harness::Ask::new(
            "POST",
            "/api/sessions/none/modal/any/close",
        ))
        .await;
    assert_eq!(closed.expect(200), json!({"success": true, "modalId": "any"}));
    assert_eq!(scene.events().await, ["session:modal_closed"]);
}

#[tokio::test]
async fn a_prompt_is_checked_announced_and_noted() {
    let mut scene = Scene::new().await;
    let session = scene.session(json!({"status": "needs_input"})).await;
    let path = format!("/api/sessions/{session}/prompt");
    for (body, message) in [
        (json!({"content": ""}), "content is required and must be a string"),
        (json!({"content": 5}), "content is required and must be a string"),
        (
            json!({"content": "x", "mode": "shout"}),
            "mode must be \"send\" or \"paste\"",
        ),
    ] {
        assert_eq!(scene.daemon.post(&path, body).await.expect(400)["error"], message);
    }
    scene.events().await;
    let long = "🦀".repeat(60);
    scene
        .daemon
        .post(&path, json!({"content": long, "mode": "paste"}))
        .await
        .expect(200);
    let frames = scene.socket.arrived().await;
    let data = &frames[0]["data"];
    assert_eq!((&data["content"], &data["mode"]), (&json!(long), &json!("paste")));
    assert_eq!(data["senderSessionId"], Value::Null);
    let entry = &frames[1]["data"]["timeline"][1];
    let cut = "🦀".repeat(50);
    assert_eq!(
        entry["message"],
        format!("Received prompt from session unknown: \"{cut}...\"")
    );
    assert_eq!(entry["metadata"], json!({"mode": "paste"}));
}
