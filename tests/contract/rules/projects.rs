//! API.md sections 5 and 11.

use serde_json::json;

use crate::scene::{Scene, form_a};

#[tokio::test]
async fn a_project_is_deleted_only_when_it_is_empty() {
    let mut scene = Scene::new().await;
    let path = format!("/api/projects/{}", scene.project);
    let session = scene.session(json!({})).await;
    let task = scene.task(json!({})).await;
    let refused = |what: &str| {
        form_a(
            422,
            "BUSINESS_RULE_ERROR",
            &format!("Cannot delete project with existing {what}"),
        )
    };
    assert_eq!(scene.daemon.delete(&path).await.expect(422), refused("tasks"));
    scene
        .daemon
        .delete(&format!("/api/tasks/{task}"))
        .await
        .expect(200);
    assert_eq!(scene.daemon.delete(&path).await.expect(422), refused("sessions"));
    scene
        .daemon
        .delete(&format!("/api/sessions/{session}"))
        .await
        .expect(200);

    scene.member(json!({})).await;
    let ordering = format!("/api/ordering/task/{}", scene.project);
    scene
        .daemon
        .put(&ordering, json!({"orderedIds": ["x"]}))
        .await
        .expect(200);
    scene.events().await;
    let gone = scene.daemon.delete(&path).await.expect(200);
    assert_eq!(gone, json!({"success": true, "id": scene.project}));
    assert_eq!(scene.events().await, ["project:deleted"]);
    assert_eq!(scene.daemon.delete(&path).await.status, 404);

    let members = scene
        .get(&format!("/api/team-members?projectId={}", scene.project))
        .await;
    assert_eq!(
        members.as_array().expect("a list").len(),
        6,
        "members stay readable"
    );
    assert_eq!(
        scene.get(&ordering).await["orderedIds"],
        json!(["x"]),
        "orderings stay readable"
    );
}

#[tokio::test]
async fn project_names_are_checked_before_existence() {
    let scene = Scene::new().await;
    let empty = form_a(400, "VALIDATION_ERROR", "Project name cannot be empty");
    assert_eq!(
        scene
            .daemon
            .put("/api/projects/none", json!({"name": " "}))
            .await
            .expect(400),
        empty
    );
    let unknown = form_a(404, "NOT_FOUND", "Project with id 'none' not found");
    assert_eq!(
        scene
            .daemon
            .put("/api/projects/none", json!({}))
            .await
            .expect(404),
        unknown
    );
    let required = form_a(400, "VALIDATION_ERROR", "Project name is required");
    for name in [json!(null), json!(""), json!("  "), json!(false), json!(0)] {
        assert_eq!(
            scene
                .daemon
                .post("/api/projects", json!({"name": name}))
                .await
                .expect(400),
            required
        );
    }
    let bare = scene
        .daemon
        .post(
            "/api/projects",
            json!({"name": "n", "workingDir": null, "color": "red"}),
        )
        .await;
    let bare = bare.expect(201);
    assert_eq!(
        (&bare["workingDir"], &bare["description"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(
        bare.get("color"),
        None,
        "unknown fields are dropped when it is made"
    );
}

#[tokio::test]
async fn orderings_are_lists_of_anything_for_tasks_and_sessions() {
    let scene = Scene::new().await;
    let form_f = |message: &str| json!({"error": true, "message": message});
    let bad = scene
        .daemon
        .put("/api/ordering/task/p", json!({"orderedIds": "x"}))
        .await
        .expect(400);
    assert_eq!(bad, form_f("orderedIds must be an array"));
    let bad = scene
        .daemon
        .put("/api/ordering/mail/p", json!({"orderedIds": []}))
        .await
        .expect(400);
    assert_eq!(bad, form_f("entityType must be \"task\" or \"session\""));
    let put = scene
        .daemon
        .put("/api/ordering/session/p", json!({"orderedIds": ["b", "a", "b"]}))
        .await
        .expect(200);
    assert_eq!(
        (&put["entityType"], &put["orderedIds"]),
        (&json!("session"), &json!(["b", "a", "b"]))
    );
    assert_eq!(scene.get("/api/ordering/session/p").await, put);
    assert_eq!(scene.get("/api/ordering/task/p").await["updatedAt"], 0);
}
