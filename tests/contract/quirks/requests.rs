//! Quirks of requests and errors: 16, 22, 28.

use serde_json::json;

use crate::{
    harness::Ask,
    scene::{Scene, id_of},
};

#[tokio::test]
async fn quirk_16_an_id_can_never_become_a_path() {
    let mut scene = Scene::new().await;
    let session = scene.session(json!({})).await;
    scene.events().await;
    let longest = "a".repeat(128);
    let too_long = "a".repeat(129);
    for wrong in ["../evil", "a/b", "a.b", "a b", "", "..", "é", &too_long] {
        if !wrong.is_empty() {
            let body = json!({"id": wrong, "taskIds": []});
            let refused = scene.post("/api/sessions", body).await.expect(400);
            assert_eq!(refused["code"], "VALIDATION_ERROR", "session {wrong}");
            let body = json!({"projectId": wrong, "name": "n", "role": "r", "avatar": "a"});
            let refused = scene.post("/api/team-members", body).await.expect(400);
            assert_eq!(refused["code"], "VALIDATION_ERROR", "member of project {wrong}");
        }
        let body = json!({"modalId": wrong, "html": "<b>"});
        let refused = scene
            .post(&format!("/api/sessions/{session}/modal"), body)
            .await
            .expect(400);
        assert_eq!(refused["code"], "VALIDATION_ERROR", "modal {wrong}");
    }
    let ordering = scene
        .daemon
        .put("/api/ordering/task/..%2Fevil", json!({"orderedIds": []}))
        .await;
    assert_eq!(ordering.status, 400);
    assert_eq!(scene.events().await, [""; 0]);
    assert!(!scene.daemon.place().root().join("evil.html").exists());

    let made = scene
        .post("/api/sessions", json!({"id": longest, "taskIds": []}))
        .await
        .expect(201);
    assert_eq!(made["id"], longest);
}

#[tokio::test]
async fn quirk_16_a_session_is_not_replaced_by_another_of_its_id() {
    let mut scene = Scene::new().await;
    let first = scene
        .post(
            "/api/sessions",
            json!({"id": "mine", "taskIds": [], "name": "first"}),
        )
        .await;
    let first = first.expect(201);
    scene.events().await;
    let refused = scene
        .post(
            "/api/sessions",
            json!({"id": "mine", "taskIds": [], "name": "second"}),
        )
        .await;
    let refused = refused.expect(409);
    assert_eq!(
        (&refused["error"], &refused["code"]),
        (&json!(true), &json!("CONFLICT"))
    );
    assert_eq!(scene.events().await, [""; 0]);
    assert_eq!(scene.get("/api/sessions/mine").await, first);
}

#[tokio::test]
async fn quirk_22_bad_bodies_are_the_clients_fault_and_answered_in_json() {
    let scene = Scene::new().await;
    let projects = || Ask::new("POST", "/api/projects");
    for (what, status, ask) in [
        ("malformed", 400, projects().raw_json("{oops")),
        ("cut off", 400, projects().raw_json("{\"name\": \"x")),
        ("no object", 400, projects().raw_json("\"text\"")),
        (
            "not UTF-8",
            400,
            projects().raw_json(&b"{\"name\": \"\xff\"}"[..]),
        ),
        ("missing", 400, projects()),
        ("not JSON", 415, projects().body("name=x")),
        (
            "missing, with checks in the route",
            400,
            Ask::new("POST", "/api/sessions"),
        ),
        (
            "missing, of a spawn",
            400,
            Ask::new("POST", "/api/sessions/spawn"),
        ),
        ("missing, of a mail", 400, Ask::new("POST", "/api/mail")),
        (
            "missing, of an ordering",
            400,
            Ask::new("PUT", "/api/ordering/task/p"),
        ),
    ] {
        let body = scene.daemon.ask(ask).await.expect(status);
        assert_eq!(body["error"], true, "{what}");
        assert!(body["message"].is_string(), "{what}: {body}");
    }
    let stored = scene.get("/api/projects").await;
    assert_eq!(stored.as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn quirk_22_a_large_modal_can_be_shown_and_what_is_too_large_is_said_so() {
    let mut scene = Scene::new().await;
    let session = scene.session(json!({})).await;
    scene.events().await;
    let html = "x".repeat(3 * 1024 * 1024);
    let path = format!("/api/sessions/{session}/modal");
    scene
        .post(&path, json!({"modalId": "big", "html": html}))
        .await
        .expect(200);
    let frames = scene.socket.arrived().await;
    assert_eq!(frames[0]["data"]["html"], html);

    let too_large = scene
        .post(
            &path,
            json!({"modalId": "huge", "html": "x".repeat(4 * 1024 * 1024)}),
        )
        .await;
    let body = too_large.expect(413);
    assert_eq!(body["error"], true);
    assert!(body["message"].is_string() && body["code"].is_string(), "{body}");
    assert_eq!(scene.events().await, [""; 0]);
}

#[tokio::test]
async fn quirk_28_refusals_that_said_only_error_also_say_message() {
    let scene = Scene::new().await;
    let session = id_of(
        &scene
            .post("/api/sessions", json!({"taskIds": [], "status": "stopped"}))
            .await
            .json(),
    );
    let prompt = format!("/api/sessions/{session}/prompt");
    for (answer, status) in [
        (scene.daemon.post(&prompt, json!({})).await, 400),
        (
            scene
                .daemon
                .post(&prompt, json!({"content": "x", "mode": "shout"}))
                .await,
            400,
        ),
        (scene.daemon.post(&prompt, json!({"content": "x"})).await, 409),
        (scene.daemon.get("/api/workflow-templates/none").await, 404),
    ] {
        let body = answer.expect(status);
        assert!(body["error"].is_string(), "{body}");
        assert_eq!(body, json!({"error": body["error"], "message": body["error"]}));
    }
}
