//! API.md section 7: PATCH of a session.

use serde_json::{Value, json};

use crate::additive::without_additions;
use crate::scene::{Scene, form_a};

#[tokio::test]
async fn only_the_settable_is_set() {
    let scene = Scene::new().await;
    let id = scene
        .session(json!({"name": "n", "env": {"A": "1", "B": "2"}, "metadata": {"k": 1}}))
        .await;
    let path = format!("/api/sessions/{id}");
    let updated = scene
        .patch(
            &path,
            json!({
                "taskIds": ["any"], "agentId": "a", "env": {"B": "3", "C": "4"},
                "events": [{"type": "own"}], "timeline": [{"id": "evt-1", "message": "own"}],
                "needsInput": {"active": false, "more": 1},
                "name": "x", "metadata": {}, "completedAt": 1, "projectId": "x", "docs": [], "startedAt": 1,
                "parentSessionId": "x", "unknown": 1
            }),
        )
        .await;
    assert_eq!(updated["env"], json!({"A": "1", "B": "3", "C": "4"}));
    assert_eq!(updated["taskIds"], json!(["any"]));
    assert_eq!(updated["agentId"], "a");
    assert_eq!(updated["events"], json!([{"type": "own"}]), "appended as given");
    assert_eq!(updated["timeline"][1], json!({"id": "evt-1", "message": "own"}));
    assert_eq!(updated["needsInput"]["active"], false);
    assert_eq!(
        (&updated["name"], &updated["metadata"]),
        (&json!("n"), &json!({"k": 1}))
    );
    assert_eq!(updated["completedAt"], Value::Null);
    assert_eq!(updated["parentSessionId"], Value::Null);
    assert_eq!(updated.get("unknown"), None);
    let unknown = scene
        .daemon
        .patch("/api/sessions/none", json!({}))
        .await
        .expect(404);
    assert_eq!(
        unknown,
        form_a(404, "NOT_FOUND", "Session with id 'none' not found")
    );
}

#[tokio::test]
async fn the_end_of_a_session_closes_its_open_entries_in_its_tasks() {
    for (end, entry, notification) in [
        ("completed", "completed", Some("notify:session_completed")),
        ("failed", "failed", Some("notify:session_failed")),
        ("stopped", "failed", None),
    ] {
        let mut scene = Scene::new().await;
        let mut tasks = Vec::new();
        for _ in 0..5 {
            tasks.push(scene.task(json!({})).await);
        }
        let session = scene.session(json!({"taskIds": tasks})).await;
        let states = ["working", "blocked", "completed", "skipped"];
        for (task, state) in tasks.iter().zip(states) {
            let report = json!({"updateSource": "session", "sessionId": session, "sessionStatus": state});
            scene.patch(&format!("/api/tasks/{task}"), report).await;
        }
        scene.events().await;
        scene
            .patch(&format!("/api/sessions/{session}"), json!({"status": end}))
            .await;
        let mut expected = vec!["task:updated", "task:updated", "session:updated"];
        expected.extend(notification);
        assert_eq!(scene.events().await, expected, "{end}: no task notification");
        let outcome = [entry, entry, "completed", "skipped"];
        for (task, state) in tasks.iter().zip(outcome) {
            let task = scene.get(&format!("/api/tasks/{task}")).await;
            assert_eq!(task["taskSessionStatuses"][&session], state, "{end}");
        }
        let untouched = scene.get(&format!("/api/tasks/{}", tasks[4])).await;
        assert_eq!(untouched.get("taskSessionStatuses"), None);
        let again = json!({"status": end, "agentId": "a"});
        scene.patch(&format!("/api/sessions/{session}"), again).await;
        assert_eq!(
            scene.events().await,
            ["session:updated"],
            "{end}: nothing changed"
        );
    }
}

#[tokio::test]
async fn stopped_cannot_undo_completed_but_the_rest_of_the_request_counts() {
    let mut scene = Scene::new().await;
    let id = scene.session(json!({})).await;
    let path = format!("/api/sessions/{id}");
    let completed = scene.patch(&path, json!({"status": "completed"})).await;
    scene.events().await;
    assert_eq!(scene.patch(&path, json!({"status": "stopped"})).await, completed);
    assert_eq!(scene.events().await, [""; 0]);
    let more = scene
        .patch(&path, json!({"status": "stopped", "agentId": "a"}))
        .await;
    assert_eq!(
        (&more["status"], &more["agentId"]),
        (&json!("completed"), &json!("a"))
    );
    assert_eq!(more["completedAt"], completed["completedAt"]);
    assert_eq!(scene.events().await, ["session:updated"]);
}

#[tokio::test]
async fn input_is_notified_when_it_becomes_needed() {
    let mut scene = Scene::new().await;
    let id = scene.session(json!({})).await;
    scene.events().await;
    let path = format!("/api/sessions/{id}");
    let needs = json!({"needsInput": {"active": true, "message": "?", "since": 1}});
    let asked = scene.patch(&path, needs.clone()).await;
    assert_eq!(without_additions(&asked)["needsInput"], needs["needsInput"]);
    assert_eq!(scene.events().await, ["session:updated", "notify:needs_input"]);
    scene.patch(&path, needs.clone()).await;
    assert_eq!(scene.events().await, ["session:updated"], "it was needed before");
    scene.patch(&path, json!({"needsInput": {"active": false}})).await;
    scene.patch(&path, needs).await;
    assert_eq!(
        scene.events().await,
        ["session:updated", "session:updated", "notify:needs_input"]
    );
}
