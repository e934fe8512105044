//! Quirks of team members: 1, 20, 21.

use serde_json::json;

use crate::scene::{Scene, form_a};

#[tokio::test]
async fn quirk_01_archiving_and_unarchiving_a_custom_member_works() {
    let mut scene = Scene::new().await;
    let project = scene.project.clone();
    let id = scene.member(json!({})).await;
    scene.events().await;
    let archive = format!("/api/team-members/{id}/archive");
    let unarchive = format!("/api/team-members/{id}/unarchive");

    assert_eq!(
        scene.post(&archive, json!({})).await.expect(200)["status"],
        "archived"
    );
    assert_eq!(scene.events().await, ["team_member:archived"]);
    assert_eq!(
        scene.post(&archive, json!({})).await.expect(200)["status"],
        "archived"
    );
    assert_eq!(scene.events().await, [""; 0], "already archived");

    assert_eq!(
        scene.post(&unarchive, json!({})).await.expect(200)["status"],
        "active"
    );
    assert_eq!(scene.events().await, ["team_member:updated"]);
    assert_eq!(
        scene.post(&unarchive, json!({})).await.expect(200)["status"],
        "active"
    );
    assert_eq!(scene.events().await, [""; 0], "already active");

    scene.post(&archive, json!({})).await.expect(200);
    let gone = scene
        .daemon
        .delete(&format!("/api/team-members/{id}?projectId={project}"))
        .await;
    assert_eq!(gone.expect(200), json!({"success": true, "id": id}));
    assert_eq!(
        scene.events().await,
        ["team_member:archived", "team_member:deleted"]
    );

    let default = format!("/api/team-members/tm_{project}_coordinator/unarchive");
    let refused = scene.post(&default, json!({})).await.expect(403);
    assert_eq!(
        refused,
        form_a(403, "FORBIDDEN", "Cannot unarchive default team members.")
    );
}

#[tokio::test]
async fn quirk_20_default_members_have_the_time_of_the_request_and_listing_makes_no_folder() {
    let scene = Scene::new().await;
    let listed = scene.get("/api/team-members?projectId=no-such-project").await;
    assert_eq!(listed.as_array().expect("a list").len(), 5);
    assert_eq!(listed[0]["id"], "tm_no-such-project_simple_worker");
    assert!(
        !scene
            .daemon
            .place()
            .data_dir()
            .join("team-members/no-such-project")
            .exists()
    );

    let first = listed[0]["createdAt"].clone();
    crate::harness::eventually("a later request shows a later time", || async {
        let again = scene.get("/api/team-members?projectId=no-such-project").await;
        (again[0]["createdAt"].as_str() > first.as_str()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn quirk_21_a_default_member_can_be_archived_through_patch() {
    let mut scene = Scene::new().await;
    let id = format!("tm_{}_coordinator", scene.project);
    let body = json!({"projectId": scene.project, "status": "archived"});
    let patched = scene.patch(&format!("/api/team-members/{id}"), body).await;
    assert_eq!(
        (&patched["status"], &patched["isDefault"]),
        (&json!("archived"), &json!(true))
    );
    assert_eq!(scene.events().await, ["team_member:updated"]);
    let listed = scene
        .get(&format!("/api/team-members?projectId={}", scene.project))
        .await;
    assert_eq!(listed[1]["status"], "archived", "archived members are listed");
}
