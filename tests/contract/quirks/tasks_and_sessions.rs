//! Quirks of tasks, sessions and projects: 5, 6, 8 to 15, 17, 19, 23, 27.

use serde_json::{Value, json};

use crate::{
    harness::eventually,
    scene::{Scene, timeline_types},
};

#[tokio::test]
async fn quirk_05_a_filter_takes_the_id_of_a_task_for_that_of_a_session() {
    let scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let mut by_session = scene.daemon.listen().await;
    let mut by_task = scene.daemon.listen().await;
    by_session
        .send(&json!({"type": "subscribe", "sessionIds": ["sess_x"]}))
        .await;
    by_task
        .send(&json!({"type": "subscribe", "sessionIds": [task]}))
        .await;
    by_session.arrived().await;
    by_task.arrived().await;

    scene
        .patch(&format!("/api/tasks/{task}"), json!({"status": "blocked"}))
        .await;
    scene
        .daemon
        .delete(&format!("/api/tasks/{task}"))
        .await
        .expect(200);
    assert_eq!(
        by_session.arrived_names().await,
        ["notify:task_blocked", "task:deleted"]
    );
    assert_eq!(
        by_task.arrived_names().await,
        ["task:updated", "notify:task_blocked", "task:deleted"]
    );
}

#[tokio::test]
async fn quirk_06_review_of_a_task_is_not_notified() {
    let mut scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    scene.events().await;
    scene
        .patch(&format!("/api/tasks/{task}"), json!({"status": "in_review"}))
        .await;
    assert_eq!(scene.events().await, ["task:updated"]);
}

#[tokio::test]
async fn quirk_08_deleting_a_session_is_told_to_tasks_but_not_announced_for_them() {
    let mut scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let session = scene.session(json!({"taskIds": [task]})).await;
    let report = json!({"updateSource": "session", "sessionId": session, "sessionStatus": "working"});
    scene.patch(&format!("/api/tasks/{task}"), report).await;
    scene.events().await;

    scene
        .daemon
        .delete(&format!("/api/sessions/{session}"))
        .await
        .expect(200);
    assert_eq!(scene.events().await, ["session:deleted"]);
    let task = scene.get(&format!("/api/tasks/{task}")).await;
    assert_eq!(task["sessionIds"], json!([]));
    assert_eq!(
        task["taskSessionStatuses"],
        json!({session: "working"}),
        "the entry stays"
    );
}

#[tokio::test]
async fn quirk_09_unlinking_a_task_is_logged_as_its_completion() {
    let scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let session = scene.session(json!({"taskIds": [task]})).await;
    let unlinked = scene
        .daemon
        .delete(&format!("/api/sessions/{session}/tasks/{task}"))
        .await
        .expect(200);
    assert_eq!(
        timeline_types(&unlinked),
        ["session_started", "task_started", "task_completed"]
    );
    assert_eq!(unlinked["timeline"][2]["message"], "Removed task from session");
    assert_eq!(scene.get(&format!("/api/tasks/{task}")).await["status"], "todo");
}

#[tokio::test]
async fn quirk_10_linking_again_is_logged_and_announced_again() {
    let mut scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let session = scene.session(json!({})).await;
    scene.events().await;
    let path = format!("/api/sessions/{session}/tasks/{task}");
    for round in 1..=2 {
        let linked = scene.daemon.post(&path, json!({})).await.expect(200);
        assert_eq!(linked["taskIds"], json!([task]), "once");
        assert_eq!(timeline_types(&linked).len(), 1 + round);
        assert_eq!(scene.events().await, ["session:task_added", "task:session_added"]);
    }
    for _ in 1..=2 {
        let unlinked = scene.daemon.delete(&path).await.expect(200);
        assert_eq!(unlinked["taskIds"], json!([]));
        assert_eq!(
            scene.events().await,
            ["session:task_removed", "task:session_removed"]
        );
    }
    assert_eq!(
        scene.get(&format!("/api/tasks/{task}")).await["sessionIds"],
        json!([])
    );
}

#[tokio::test]
async fn quirk_11_any_text_is_a_status_but_a_number_is_no_title() {
    let scene = Scene::new().await;
    let task = scene.task(json!({"priority": "urgent"})).await;
    let path = format!("/api/tasks/{task}");
    assert_eq!(
        scene.patch(&path, json!({"status": "archived"})).await["status"],
        "archived"
    );
    assert_eq!(
        scene.patch(&path, json!({"status": "on hold"})).await["status"],
        "on hold"
    );
    let session = scene.session(json!({"status": "pondering"})).await;
    let entry = json!({"type": "task_status_changed", "message": "m"});
    let told = scene
        .daemon
        .post(&format!("/api/sessions/{session}/timeline"), entry)
        .await
        .expect(200);
    assert_eq!(timeline_types(&told).last(), Some(&"task_status_changed"));
    let member = json!({"model": "some-native-name", "agentTool": "vi", "mode": "dreaming"});
    scene.member(member).await;

    for (wrong, path) in [
        (json!({"title": 5}), "/api/tasks"),
        (json!({"title": "t", "description": []}), "/api/tasks"),
        (json!({"title": "t", "skillIds": "lint"}), "/api/tasks"),
        (json!({"name": {}}), "/api/projects"),
        (json!({"taskIds": "t"}), "/api/sessions"),
        (json!({"taskIds": [], "status": 1}), "/api/sessions"),
        (
            json!({"name": 1, "role": "r", "avatar": "a"}),
            "/api/team-members",
        ),
    ] {
        let refused = scene.post(path, wrong.clone()).await;
        assert_eq!(refused.expect(400)["code"], "VALIDATION_ERROR", "{path} {wrong}");
    }
    let refused = scene.daemon.patch(&path, json!({"title": 5})).await;
    assert_eq!(refused.expect(400)["code"], "VALIDATION_ERROR");
}

#[tokio::test]
async fn quirk_12_project_updates_keep_fields_nobody_knows() {
    let scene = Scene::new().await;
    let path = format!("/api/projects/{}", scene.project);
    let body = json!({"color": "red", "nested": {"a": [1, null]}, "id": "other", "createdAt": 1});
    let updated = scene.daemon.put(&path, body).await.expect(200);
    assert_eq!(updated["color"], "red");
    assert_eq!(updated["nested"], json!({"a": [1, null]}));
    assert_eq!(updated["id"], scene.project);
    assert_ne!(updated["createdAt"], 1);
    let again = scene.daemon.put(&path, json!({})).await.expect(200);
    assert_eq!(again["color"], "red");
}

#[tokio::test]
async fn quirk_13_names_are_trimmed_when_things_are_made_and_never_after() {
    let scene = Scene::new().await;
    let task = scene
        .post("/api/tasks", json!({"title": " t "}))
        .await
        .expect(201);
    assert_eq!(task["title"], "t");
    let path = format!("/api/tasks/{}", task["id"].as_str().expect("an id"));
    assert_eq!(scene.patch(&path, json!({"title": " t "})).await["title"], " t ");
    let project = scene
        .daemon
        .post("/api/projects", json!({"name": " p "}))
        .await
        .expect(201);
    assert_eq!(project["name"], "p");
    let path = format!("/api/projects/{}", scene.project);
    assert_eq!(
        scene.daemon.put(&path, json!({"name": " p "})).await.expect(200)["name"],
        " p "
    );
}

#[tokio::test]
async fn quirk_14_a_task_is_completed_once_and_a_session_each_time() {
    let scene = Scene::new().await;
    let task = format!("/api/tasks/{}", scene.task(json!({})).await);
    let session = format!("/api/sessions/{}", scene.session(json!({})).await);
    let done = json!({"status": "completed"});
    let first_task = scene.patch(&task, done.clone()).await["completedAt"].clone();
    let first_session = scene.patch(&session, done.clone()).await["completedAt"].clone();
    assert!(first_task.is_u64() && first_session.is_u64());

    assert_eq!(
        scene.patch(&task, json!({"status": "todo"})).await["completedAt"],
        first_task
    );
    let working = scene.patch(&session, json!({"status": "working"})).await;
    assert_eq!(working["completedAt"], first_session, "kept while it works again");
    eventually("the session's time moves", || async {
        let again = scene.patch(&session, done.clone()).await["completedAt"].clone();
        assert_eq!(scene.patch(&task, done.clone()).await["completedAt"], first_task);
        (again.as_u64() > first_session.as_u64()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn quirk_15_failed_and_stopped_sessions_count_as_active() {
    let scene = Scene::new().await;
    let mut active = Vec::new();
    for status in ["working", "failed", "stopped", "completed", "idle"] {
        let id = scene.session(json!({"status": status})).await;
        if status != "completed" {
            active.push(id);
        }
    }
    let listed = scene.get("/api/sessions?active=true").await;
    let ids: Vec<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|s| s["id"].as_str())
        .collect();
    assert_eq!(ids, active);
    let all = scene.get("/api/sessions?active=yes").await;
    assert_eq!(all.as_array().expect("a list").len(), 5);
}

#[tokio::test]
async fn quirk_17_a_session_can_be_made_in_silence() {
    let mut scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    scene.events().await;
    let session = scene
        .session(json!({"taskIds": [task], "_suppressCreatedEvent": true}))
        .await;
    assert_eq!(scene.events().await, [""; 0]);
    let shown = scene.get(&format!("/api/sessions/{session}")).await;
    assert_eq!(shown.get("_suppressCreatedEvent"), None);
    assert_eq!(
        scene.get(&format!("/api/tasks/{task}")).await["sessionIds"],
        json!([session])
    );
}

#[tokio::test]
async fn quirk_19_reading_a_session_completes_it_with_its_member() {
    let mut scene = Scene::new().await;
    let member = scene.member(json!({"name": "Rusty", "model": "opus"})).await;
    let made = scene
        .post(
            "/api/sessions",
            json!({"taskIds": [], "metadata": {"teamMemberId": member}}),
        )
        .await;
    let made = made.expect(201);
    assert_eq!(made.get("teamMemberId"), None);
    let id = made["id"].as_str().expect("an id").to_owned();

    let shown = scene.get(&format!("/api/sessions/{id}")).await;
    let snapshot = json!({"name": "Rusty", "avatar": "m", "role": "r", "model": "opus"});
    assert_eq!(shown["teamMemberId"], member);
    assert_eq!(shown["teamMemberSnapshot"], snapshot);
    assert_eq!(shown["teamMemberIds"], json!([member]));
    assert_eq!(shown["teamMemberSnapshots"], json!([snapshot]));
    let mail = scene
        .mail(json!({"fromSessionId": "a", "toTeamMemberId": member}))
        .await
        .expect(201);
    assert_eq!(mail["toSessionId"], id, "from now on mail finds it");

    scene.events().await;
    scene
        .patch(&format!("/api/sessions/{id}"), json!({"agentId": "a"}))
        .await;
    let frames = scene.socket.arrived().await;
    assert_eq!(
        frames[0]["data"]["teamMemberSnapshot"], snapshot,
        "later events show it"
    );
}

#[tokio::test]
async fn quirk_23_an_empty_parent_matches_nothing_and_other_empty_filters_everything() {
    let scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let count = async |query: &str| {
        let listed = scene.get(&format!("/api/tasks?{query}")).await;
        listed.as_array().expect("a list").len()
    };
    scene.task(json!({"parentId": task})).await;
    assert_eq!(count("parentId=").await, 0);
    assert_eq!(count("parentId=null").await, 1);
    assert_eq!(count("projectId=&status=").await, 2);
}

#[tokio::test]
async fn quirk_27_concurrent_reports_are_all_kept_and_each_is_notified_once() {
    const REPORTERS: usize = 16;
    let mut scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let mut sessions = Vec::new();
    for _ in 0..REPORTERS {
        sessions.push(scene.session(json!({"taskIds": [task]})).await);
    }
    scene.events().await;
    let path = format!("/api/tasks/{task}");
    let reports = sessions.iter().map(|session| {
        let body = json!({"updateSource": "session", "sessionId": session, "sessionStatus": "completed"});
        scene.daemon.patch(&path, body)
    });
    for answer in futures_util::future::join_all(reports).await {
        answer.expect(200);
    }
    let frames = scene.socket.arrived().await;
    let notified: Vec<&Value> = frames
        .iter()
        .filter(|f| f["event"] == "notify:task_session_completed")
        .collect();
    assert_eq!(notified.len(), REPORTERS);
    let statuses = scene.get(&path).await["taskSessionStatuses"].clone();
    for session in sessions {
        assert_eq!(statuses[&session], "completed");
        assert!(
            notified
                .iter()
                .any(|frame| frame["data"]["sessionId"] == session.as_str())
        );
    }
}
