//! API.md section 8.

use serde_json::{Value, json};

use crate::scene::Scene;

async fn spawn(scene: &Scene, body: Value) -> Value {
    scene.post("/api/sessions/spawn", body).await.expect(201)["session"].clone()
}

#[tokio::test]
async fn a_spawn_is_checked_in_the_documented_order() {
    let mut scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    scene.events().await;
    let project = scene.project.clone();
    for (body, status, code) in [
        (
            json!({"taskIds": [], "spawnSource": "x"}),
            400,
            "missing_project_id",
        ),
        (
            json!({"projectId": "none", "spawnSource": "x"}),
            400,
            "invalid_task_ids",
        ),
        (
            json!({"projectId": "none", "taskIds": [], "spawnSource": "x"}),
            400,
            "invalid_task_ids",
        ),
        (
            json!({"projectId": "none", "taskIds": "t", "spawnSource": "x"}),
            400,
            "invalid_task_ids",
        ),
        (
            json!({"projectId": "none", "taskIds": ["none"], "spawnSource": "x"}),
            400,
            "invalid_spawn_source",
        ),
        (
            json!({"projectId": "none", "taskIds": ["none"], "spawnSource": "session"}),
            400,
            "missing_session_id",
        ),
        (
            json!({"projectId": "none", "taskIds": ["none"], "spawnSource": "session", "sessionId": "none"}),
            404,
            "parent_session_not_found",
        ),
        (
            json!({"projectId": "none", "taskIds": [task, "none"], "mode": "x"}),
            404,
            "task_not_found",
        ),
        (
            json!({"projectId": "none", "taskIds": [task], "mode": "x"}),
            400,
            "invalid_mode",
        ),
        (
            json!({"projectId": "none", "taskIds": [task]}),
            404,
            "project_not_found",
        ),
    ] {
        let refused = scene
            .daemon
            .post("/api/sessions/spawn", body.clone())
            .await
            .expect(status);
        assert_eq!(
            (&refused["error"], &refused["code"]),
            (&json!(true), &json!(code)),
            "{body}"
        );
        assert!(refused["message"].is_string());
    }
    let body = json!({"projectId": project, "taskIds": ["none"]});
    let refused = scene.daemon.post("/api/sessions/spawn", body).await.expect(404);
    assert_eq!(refused["details"], json!({"taskId": "none"}));
    assert_eq!(refused["message"], "Task none not found");
    assert_eq!(scene.events().await, [""; 0]);
    assert_eq!(scene.get("/api/sessions").await, json!([]));
}

#[tokio::test]
async fn a_bare_spawn_has_the_defaults() {
    let scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let session = spawn(
        &scene,
        json!({"taskIds": [task], "skills": "lint", "strategy": "x"}),
    )
    .await;
    assert_eq!(session["name"], format!("Execute for {task}"));
    assert_eq!(
        session["metadata"],
        json!({
            "skills": [], "spawnedBy": null, "spawnSource": "ui", "mode": "execute",
            "teamMemberId": null, "teamMemberIds": null, "context": {}
        })
    );
    for absent in [
        "teamMemberId",
        "teamMemberIds",
        "teamMemberSnapshot",
        "teamMemberSnapshots",
        "agentId",
    ] {
        assert_eq!(session.get(absent), None, "{absent}");
    }
    let named = spawn(
        &scene,
        json!({"taskIds": [task], "mode": "coordinate", "sessionId": "anyone"}),
    )
    .await;
    assert_eq!(named["name"], format!("Coordinate for {task}"));
    assert_eq!(
        named["parentSessionId"], "anyone",
        "a parent is not looked up for the UI"
    );
    assert_eq!(named["env"]["MAESTRO_COORDINATOR_SESSION_ID"], "anyone");
    assert_eq!(named["metadata"]["spawnedBy"], "anyone");
}

#[tokio::test]
async fn members_come_from_the_tasks_unless_the_request_names_some() {
    let scene = Scene::new().await;
    let strong = scene
        .member(json!({"name": "S", "model": "opus", "mode": "coordinate"}))
        .await;
    let quick = scene
        .member(json!({"name": "Q", "model": "haiku", "agentTool": "codex", "mode": "execute"}))
        .await;
    let odd = scene.member(json!({"name": "O", "model": "own-model"})).await;
    let first = scene
        .task(json!({"teamMemberIds": [quick, odd], "teamMemberId": strong}))
        .await;
    let second = scene.task(json!({"teamMemberId": strong})).await;
    let third = scene
        .task(json!({"teamMemberId": quick, "teamMemberIds": []}))
        .await;

    let collected = spawn(&scene, json!({"taskIds": [first, second, third]})).await;
    assert_eq!(
        collected["metadata"]["teamMemberIds"],
        json!([quick, odd, strong])
    );
    assert_eq!(
        collected["metadata"]["mode"], "execute",
        "the first member with a mode"
    );
    assert_eq!(collected["metadata"]["teamMemberId"], Value::Null);
    let names: Vec<&Value> = collected["teamMemberSnapshots"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| &s["name"])
        .collect();
    assert_eq!(names, ["Q", "O", "S"]);
    let spawned = collected["id"].as_str().expect("an id");
    let manifest = scene
        .daemon
        .place()
        .session_dir()
        .join(spawned)
        .join("manifest.json");
    let manifest: Value = serde_json::from_slice(&std::fs::read(manifest).expect("written")).expect("JSON");
    assert_eq!(manifest["session"]["model"], "opus", "the strongest");
    assert_eq!(manifest["agentTool"], "codex", "the first member with a tool");

    let named = spawn(
        &scene,
        json!({"taskIds": [first], "teamMemberId": strong, "teamMemberIds": []}),
    )
    .await;
    assert_eq!(named["teamMemberIds"], json!([strong]));
    assert_eq!(named["teamMemberId"], strong);
    assert_eq!(named["metadata"]["mode"], "coordinate");
    let unknown = spawn(&scene, json!({"taskIds": [second], "teamMemberIds": ["tm_none"]})).await;
    assert_eq!(unknown["teamMemberIds"], json!(["tm_none"]));
    assert_eq!(
        (&unknown["teamMemberId"], &unknown["teamMemberSnapshots"]),
        (&json!("tm_none"), &json!([]))
    );
    assert_eq!(unknown.get("teamMemberSnapshot"), None);
}

#[tokio::test]
async fn a_coordinator_with_delegates_takes_on_their_profiles() {
    let mut scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let delegate = scene.member(json!({"name": "D"})).await;
    let coordinator = format!("tm_{}_coordinator", scene.project);
    scene.events().await;
    let body = json!({"taskIds": [task], "teamMemberId": coordinator, "delegateTeamMemberIds": [delegate]});
    let session = spawn(&scene, body).await;
    assert_eq!(session["teamMemberId"], coordinator.as_str());
    let frames = scene.socket.arrived().await;
    let spawned = frames
        .iter()
        .find(|frame| frame["event"] == "session:spawn")
        .expect("announced");
    let data = &spawned["data"];
    assert_eq!(data["command"], "maestro orchestrator init");
    assert_eq!(data["cwd"], "", "the project has no directory");
    let manifest = &data["manifest"];
    assert_eq!(manifest.get("teamMemberId"), None);
    assert_eq!(manifest["teamMemberProfiles"][0]["id"], delegate);
    assert_eq!(manifest["teamMembers"][0]["mailId"], format!("mail_{delegate}"));
    assert_eq!(manifest["session"].get("workingDirectory"), None);
}
