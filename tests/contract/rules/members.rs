//! API.md section 9.

use serde_json::{Value, json};

use crate::scene::{Scene, form_a};

fn form_b(message: &str) -> Value {
    json!({"error": true, "message": message, "code": "VALIDATION_ERROR"})
}

#[tokio::test]
async fn a_member_needs_project_name_role_and_avatar_in_this_order() {
    let scene = Scene::new().await;
    let mut body = json!({});
    for (field, message) in [
        ("projectId", "Project ID is required"),
        ("name", "Team member name is required"),
        ("role", "Team member role is required"),
        ("avatar", "Team member avatar is required"),
    ] {
        let refused = scene
            .daemon
            .post("/api/team-members", body.clone())
            .await
            .expect(400);
        assert_eq!(refused, form_a(400, "VALIDATION_ERROR", message));
        body[field] = json!(" no-such-project ");
        if field == "projectId" {
            body[field] = json!("no-such-project");
        }
    }
    let made = scene.daemon.post("/api/team-members", body).await.expect(201);
    assert_eq!(
        (&made["name"], &made["identity"]),
        (&json!("no-such-project"), &json!(""))
    );
    assert_eq!(
        (&made["isDefault"], &made["status"]),
        (&json!(false), &json!("active"))
    );
    for absent in [
        "model",
        "agentTool",
        "mode",
        "capabilities",
        "commandPermissions",
        "customWorkflow",
    ] {
        assert_eq!(made.get(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn routes_that_need_a_project_say_so_and_members_belong_to_one() {
    let scene = Scene::new().await;
    let id = scene.member(json!({})).await;
    let query = form_b("projectId query parameter is required");
    let body = form_b("projectId is required in request body");
    let path = format!("/api/team-members/{id}");
    assert_eq!(scene.daemon.get("/api/team-members").await.expect(400), query);
    assert_eq!(
        scene.daemon.get("/api/team-members?projectId=").await.expect(400),
        query
    );
    assert_eq!(scene.daemon.get(&path).await.expect(400), query);
    assert_eq!(scene.daemon.delete(&path).await.expect(400), query);
    assert_eq!(
        scene.daemon.patch(&path, json!({"name": "x"})).await.expect(400),
        body
    );
    for action in ["archive", "unarchive", "reset"] {
        assert_eq!(
            scene
                .daemon
                .post(&format!("{path}/{action}"), json!({}))
                .await
                .expect(400),
            body,
            "{action}"
        );
        let elsewhere = scene
            .daemon
            .post(&format!("{path}/{action}"), json!({"projectId": "other"}))
            .await;
        assert_eq!(elsewhere.status, 404, "{action}");
    }
    let unknown = form_a(404, "NOT_FOUND", &format!("Team member with id '{id}' not found"));
    assert_eq!(
        scene
            .daemon
            .get(&format!("{path}?projectId=other"))
            .await
            .expect(404),
        unknown
    );
    let reset = scene.post(&format!("{path}/reset"), json!({})).await.expect(404);
    assert_eq!(
        reset,
        form_a(
            404,
            "NOT_FOUND",
            &format!("Default team member with id '{id}' not found")
        )
    );
}

#[tokio::test]
async fn a_patch_of_a_member_trims_checks_and_replaces() {
    let scene = Scene::new().await;
    let id = scene
        .member(json!({"capabilities": {"a": true, "b": true}}))
        .await;
    let path = format!("/api/team-members/{id}");
    for (field, word) in [("name", "name"), ("role", "role"), ("avatar", "avatar")] {
        let body = json!({"projectId": scene.project, field: " "});
        let refused = scene
            .daemon
            .patch("/api/team-members/none", body)
            .await
            .expect(400);
        let message = format!("Team member {word} cannot be empty");
        assert_eq!(refused, form_a(400, "VALIDATION_ERROR", &message));
    }
    let changes = json!({
        "projectId": scene.project, "name": " New ", "identity": " i ", "model": "m", "agentTool": "codex",
        "mode": "coordinate", "skillIds": ["s"], "status": "archived", "capabilities": {"c": false},
        "commandPermissions": {"groups": {"g": true}}, "workflowTemplateId": "w", "customWorkflow": "c",
        "id": "x", "isDefault": true, "createdAt": "x"
    });
    let changed = scene.patch(&path, changes).await;
    assert_eq!(
        (&changed["name"], &changed["identity"]),
        (&json!("New"), &json!("i"))
    );
    assert_eq!(
        (&changed["id"], &changed["isDefault"]),
        (&json!(id), &json!(false))
    );
    assert_eq!(changed["capabilities"], json!({"c": false}), "replaced");
    assert_eq!(changed["status"], "archived");
    assert_ne!(changed["createdAt"], "x");
    assert_eq!(
        scene.get(&format!("{path}?projectId={}", scene.project)).await,
        changed
    );
}

#[tokio::test]
async fn overrides_of_a_default_add_up_and_stay_in_their_project() {
    let mut scene = Scene::new().await;
    let id = format!("tm_{}_recruiter", scene.project);
    let path = format!("/api/team-members/{id}");
    scene
        .patch(&path, json!({"projectId": scene.project, "name": "Scout"}))
        .await;
    let both = scene
        .patch(
            &path,
            json!({"projectId": scene.project, "model": "opus", "isDefault": false}),
        )
        .await;
    assert_eq!((&both["name"], &both["model"]), (&json!("Scout"), &json!("opus")));
    assert_eq!((&both["isDefault"], &both["id"]), (&json!(true), &json!(id)));
    let other = scene
        .get("/api/team-members/tm_other_recruiter?projectId=other")
        .await;
    assert_eq!(
        (&other["name"], &other["model"]),
        (&json!("Recruiter"), &json!("sonnet"))
    );
    let refused = scene
        .daemon
        .delete(&format!("{path}?projectId={}", scene.project))
        .await
        .expect(403);
    assert_eq!(refused["code"], "FORBIDDEN");

    scene.events().await;
    for _ in 0..2 {
        let reset = scene.post(&format!("{path}/reset"), json!({})).await.expect(200);
        assert_eq!(
            (&reset["name"], &reset["model"]),
            (&json!("Recruiter"), &json!("sonnet"))
        );
        assert_eq!(
            scene.events().await,
            ["team_member:updated"],
            "also when there was nothing to drop"
        );
    }
}

#[tokio::test]
async fn members_are_listed_defaults_first_then_in_order_of_creation() {
    let scene = Scene::new().await;
    for name in ["zoe", "adam"] {
        scene.member(json!({"name": name})).await;
    }
    let listed = scene
        .get(&format!("/api/team-members?projectId={}", scene.project))
        .await;
    let names: Vec<&str> = listed
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|m| m["name"].as_str())
        .collect();
    let expected = [
        "Simple Worker",
        "Coordinator",
        "Batch Coordinator",
        "DAG Coordinator",
        "Recruiter",
        "zoe",
        "adam",
    ];
    assert_eq!(names, expected);
}
