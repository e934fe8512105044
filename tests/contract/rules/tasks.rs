//! API.md section 6.

use serde_json::{Value, json};

use crate::scene::{Scene, form_a, id_of};

fn titles(list: &Value) -> Vec<&str> {
    let items = list.as_array().expect("a list");
    items.iter().filter_map(|item| item["title"].as_str()).collect()
}

#[tokio::test]
async fn a_task_is_checked_in_the_documented_order() {
    let scene = Scene::new().await;
    let refuse = async |body: Value, status: u16| scene.daemon.post("/api/tasks", body).await.expect(status);
    let invalid = |message: &str| form_a(400, "VALIDATION_ERROR", message);
    assert_eq!(refuse(json!({}), 400).await, invalid("Project ID is required"));
    assert_eq!(
        refuse(json!({"projectId": "none"}), 400).await,
        invalid("Task title is required")
    );
    let body = json!({"projectId": "none", "title": "t", "parentId": "none"});
    assert_eq!(
        refuse(body, 404).await,
        form_a(404, "NOT_FOUND", "Project with id 'none' not found")
    );

    let task = scene
        .post(
            "/api/tasks",
            json!({
                "title": "t", "id": "mine", "status": "completed", "pinned": true, "dependencies": ["d"],
                "agentIds": ["a"], "sessionIds": ["s"], "createdAt": 1, "model": "m", "parentId": "",
                "teamMemberIds": ["x"], "priority": ""
            }),
        )
        .await
        .expect(201);
    assert_ne!(task["id"], "mine");
    assert_eq!(task["status"], "todo");
    assert_eq!(task["priority"], "medium");
    assert_eq!(task["parentId"], Value::Null);
    assert_eq!(task["teamMemberIds"], json!(["x"]));
    for list in ["dependencies", "agentIds", "sessionIds"] {
        assert_eq!(task[list], json!([]), "{list}");
    }
    for absent in ["pinned", "model", "teamMemberId", "taskSessionStatuses"] {
        assert_eq!(task.get(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn task_filters_combine_and_lists_are_in_order_of_creation() {
    let scene = Scene::new().await;
    let first = scene.task(json!({"title": "first"})).await;
    scene.task(json!({"title": "second", "parentId": first})).await;
    scene.task(json!({"title": "third"})).await;
    scene
        .patch(&format!("/api/tasks/{first}"), json!({"status": "done-ish"}))
        .await;
    let list = async |query: String| scene.get(&format!("/api/tasks{query}")).await;
    assert_eq!(titles(&list(String::new()).await), ["first", "second", "third"]);
    assert_eq!(titles(&list("?status=todo".into()).await), ["second", "third"]);
    assert_eq!(titles(&list(format!("?parentId={first}")).await), ["second"]);
    assert_eq!(
        titles(&list("?status=todo&parentId=null".into()).await),
        ["third"]
    );
    assert_eq!(titles(&list("?projectId=none".into()).await), [""; 0]);
    assert_eq!(scene.daemon.get("/api/tasks/none/children").await.status, 404);
}

#[tokio::test]
async fn a_user_sets_what_is_settable_and_nothing_else() {
    let mut scene = Scene::new().await;
    let id = scene.task(json!({"initialPrompt": "go"})).await;
    let path = format!("/api/tasks/{id}");
    let settable = json!({
        "title": "new", "description": "d", "status": "in_progress", "priority": "critical", "pinned": false,
        "sessionIds": ["s"], "skillIds": ["k"], "agentIds": ["a"], "referenceTaskIds": ["r"],
        "teamMemberId": null, "teamMemberIds": ["m"]
    });
    let updated = scene.patch(&path, settable.clone()).await;
    for (key, value) in settable.as_object().expect("an object") {
        assert_eq!(updated.get(key), Some(value), "{key}");
    }
    let started = updated["startedAt"].clone();
    assert!(started.is_u64());
    let before = updated.clone();
    let ignored = json!({
        "id": "x", "projectId": "x", "parentId": "x", "dependencies": ["x"], "initialPrompt": "x",
        "createdAt": 1, "startedAt": 1, "completedAt": 1, "sessionStatus": "working", "unknown": 1
    });
    let mut after = scene.patch(&path, ignored).await;
    after["updatedAt"] = before["updatedAt"].clone();
    assert_eq!(after, before);
    scene.events().await;

    scene
        .patch(
            &path,
            json!({"taskSessionStatuses": {"a": "working", "b": "completed"}}),
        )
        .await;
    let merged = scene
        .patch(
            &path,
            json!({"taskSessionStatuses": {"a": "failed", "c": "skipped"}}),
        )
        .await;
    assert_eq!(
        merged["taskSessionStatuses"],
        json!({"a": "failed", "b": "completed", "c": "skipped"})
    );
    let expected = [
        "task:updated",
        "notify:task_session_completed",
        "task:updated",
        "notify:task_session_failed",
    ];
    assert_eq!(scene.events().await, expected, "only what changed is notified");
    let completed = scene.patch(&path, json!({"status": "completed"})).await;
    assert_eq!(completed["startedAt"], started);
    assert_eq!(scene.events().await, ["task:updated", "notify:task_completed"]);
    scene.patch(&path, json!({"status": "completed"})).await;
    assert_eq!(scene.events().await, ["task:updated"], "no change of status");
    scene.patch(&path, json!({"status": "cancelled"})).await;
    assert_eq!(scene.events().await, ["task:updated", "notify:task_failed"]);
}

/// Deviation: null was stored wherever it was sent.
#[tokio::test]
async fn null_empties_texts_and_lists_and_is_kept_only_where_a_field_may_be_absent() {
    let scene = Scene::new().await;
    let body = json!({"description": "d", "skillIds": ["s"], "teamMemberId": "m"});
    let path = format!("/api/tasks/{}", scene.task(body).await);
    let nulls = json!({"description": null, "skillIds": null, "pinned": null, "teamMemberId": null});
    let task = scene.patch(&path, nulls).await;
    assert_eq!(
        (&task["description"], &task["skillIds"]),
        (&json!(""), &json!([]))
    );
    for kept in ["pinned", "teamMemberId"] {
        assert_eq!(task.get(kept), Some(&Value::Null), "{kept}");
    }
    for refused in [json!({"status": null}), json!({"priority": null})] {
        let answer = scene.daemon.patch(&path, refused).await;
        assert_eq!(answer.expect(400)["code"], "VALIDATION_ERROR");
    }
    assert_eq!(scene.get(&path).await, task);
}

#[tokio::test]
async fn a_report_of_a_session_changes_its_entry_only() {
    let mut scene = Scene::new().await;
    let id = scene.task(json!({})).await;
    let path = format!("/api/tasks/{id}");
    let session = scene.session(json!({"taskIds": [id]})).await;
    scene.events().await;
    let report = json!({
        "updateSource": "session", "sessionId": session, "sessionStatus": "blocked",
        "status": "completed", "title": "x", "pinned": true
    });
    let task = scene.patch(&path, report).await;
    assert_eq!(task["taskSessionStatuses"], json!({session.as_str(): "blocked"}));
    assert_eq!((&task["status"], &task["title"]), (&json!("todo"), &json!("T")));
    assert_eq!(task.get("pinned"), None);
    assert_eq!(scene.events().await, ["task:updated"]);

    let half = json!({"updateSource": "session", "sessionStatus": "failed", "status": "completed"});
    let task = scene.patch(&path, half).await;
    assert_eq!(task["taskSessionStatuses"], json!({session.as_str(): "blocked"}));
    assert_eq!(task["status"], "todo");

    let stranger = json!({"updateSource": "session", "sessionId": "none", "sessionStatus": "failed"});
    let refused = scene.daemon.patch(&path, stranger).await.expect(404);
    assert_eq!(
        refused,
        form_a(404, "NOT_FOUND", "Session with id 'none' not found")
    );
}

#[tokio::test]
async fn a_blank_title_is_refused_after_the_link_was_made() {
    let mut scene = Scene::new().await;
    let id = scene.task(json!({})).await;
    let session = scene.session(json!({})).await;
    scene.events().await;
    let empty = form_a(400, "VALIDATION_ERROR", "Task title cannot be empty");
    assert_eq!(
        scene
            .daemon
            .patch("/api/tasks/none", json!({"title": " "}))
            .await
            .expect(400),
        empty
    );
    assert_eq!(scene.events().await, [""; 0]);

    let body =
        json!({"updateSource": "session", "sessionId": session, "sessionStatus": "working", "title": ""});
    assert_eq!(
        scene
            .daemon
            .patch(&format!("/api/tasks/{id}"), body)
            .await
            .expect(400),
        empty
    );
    assert_eq!(scene.events().await, ["session:task_added", "task:session_added"]);
    assert_eq!(
        scene.get(&format!("/api/sessions/{session}")).await["taskIds"],
        json!([id])
    );
}

#[tokio::test]
async fn deleting_a_task_deletes_its_parts_deepest_last_branch_first() {
    let mut scene = Scene::new().await;
    let root = scene.task(json!({})).await;
    let a = scene.task(json!({"parentId": root})).await;
    let b = scene.task(json!({"parentId": root})).await;
    let a1 = scene.task(json!({"parentId": a})).await;
    let session = scene.session(json!({"taskIds": [a1]})).await;
    scene.events().await;
    scene
        .daemon
        .delete(&format!("/api/tasks/{root}"))
        .await
        .expect(200);
    let frames = scene.socket.arrived().await;
    let deleted: Vec<String> = frames.iter().map(|frame| id_of(&frame["data"])).collect();
    assert_eq!(deleted, [b, a1.clone(), a, root]);
    assert_eq!(scene.get("/api/tasks").await, json!([]));
    assert_eq!(
        scene.get(&format!("/api/sessions/{session}")).await["taskIds"],
        json!([a1]),
        "dead ids stay"
    );
    let unlink = scene
        .daemon
        .delete(&format!("/api/sessions/{session}/tasks/{a1}"))
        .await;
    assert_eq!(unlink.status, 404, "a deleted task cannot be unlinked");
}

#[tokio::test]
async fn a_timeline_entry_through_a_task_is_checked_in_order_and_makes_no_link() {
    let scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let session = scene.session(json!({})).await;
    let path = format!("/api/tasks/{task}/timeline");
    let form_b = |message: &str| json!({"error": true, "message": message, "code": "VALIDATION_ERROR"});
    let post =
        async |path: &str, body: Value, status: u16| scene.daemon.post(path, body).await.expect(status);
    assert_eq!(
        post("/api/tasks/none/timeline", json!({}), 400).await,
        form_b("message is required")
    );
    let body = json!({"message": "m"});
    assert_eq!(
        post("/api/tasks/none/timeline", body, 400).await,
        form_b("sessionId is required")
    );
    let body = json!({"message": "m", "sessionId": "none"});
    let unknown = post("/api/tasks/none/timeline", body.clone(), 404).await;
    assert_eq!(unknown["message"], "Task with id 'none' not found");
    assert_eq!(
        post(&path, body, 404).await["message"],
        "Session with id 'none' not found"
    );
    let told = post(
        &path,
        json!({"message": "m", "sessionId": session, "metadata": {"x": 1}}),
        200,
    )
    .await;
    let expected =
        json!({"success": true, "taskId": task, "sessionId": session, "message": "m", "type": "progress"});
    assert_eq!(told, expected);
    let shown = scene.get(&format!("/api/sessions/{session}")).await;
    assert_eq!(shown["taskIds"], json!([]));
    assert_eq!(shown["timeline"][1]["taskId"], task);
    assert_eq!(shown["timeline"][1].get("metadata"), None);
}

#[tokio::test]
async fn documents_of_a_task_come_from_all_its_sessions() {
    let scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let other = scene.task(json!({})).await;
    let mut expected = Vec::new();
    for name in ["one", "two"] {
        let session = scene.session(json!({"name": name, "taskIds": [task]})).await;
        for (title, about) in [
            ("mine", json!(task)),
            ("other's", json!(other)),
            ("nobody's", Value::Null),
        ] {
            let mut doc = json!({"title": title, "filePath": "/f"});
            if !about.is_null() {
                doc["taskId"] = about;
            }
            scene
                .daemon
                .post(&format!("/api/sessions/{session}/docs"), doc)
                .await
                .expect(200);
            if title != "other's" {
                expected.push((title.to_owned(), name.to_owned(), session.clone()));
            }
        }
    }
    let unlinked = scene.session(json!({})).await;
    let doc = json!({"title": "unseen", "filePath": "/f", "taskId": task});
    scene
        .daemon
        .post(&format!("/api/sessions/{unlinked}/docs"), doc)
        .await
        .expect(200);

    let docs = scene.get(&format!("/api/tasks/{task}/docs")).await;
    let text = |doc: &Value, key: &str| doc[key].as_str().expect("text").to_owned();
    let found: Vec<_> = docs
        .as_array()
        .expect("a list")
        .iter()
        .map(|doc| {
            (
                text(doc, "title"),
                text(doc, "sessionName"),
                text(doc, "sessionId"),
            )
        })
        .collect();
    assert_eq!(found, expected);
}
