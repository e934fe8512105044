//! PHONE 3.4: what questions and answers add to the contract, and that old clients notice nothing.

use serde_json::{Value, json};

use crate::harness::Ask;
use crate::scene::{Scene, form_a, timeline_types};

struct Asked {
    path: String,
    request: String,
}

async fn ask(scene: &Scene, message: &str) -> Asked {
    let id = scene.session(json!({})).await;
    let path = format!("/api/sessions/{id}");
    let needs = json!({"needsInput": {"active": true, "message": message, "since": 1}});
    let asked = scene.patch(&path, needs).await;
    let request = asked["needsInput"]["requestId"].as_str().expect("a name");
    Asked {
        path: path.clone(),
        request: request.to_owned(),
    }
}

#[tokio::test]
async fn a_question_said_twice_by_one_client_has_one_name_and_another_one_has_another() {
    let mut scene = Scene::new().await;
    let asked = ask(&scene, "Which?").await;
    let entry = json!({"type": "needs_input", "message": "Which?"});
    let timeline = format!("{}/timeline", asked.path);
    let again = scene.daemon.post(&timeline, entry).await.expect(200);
    assert_eq!(again["needsInput"]["requestId"], json!(asked.request));
    let forged = json!({"needsInput": {"active": true, "message": "Which?", "requestId": "req_forged"}});
    let kept = scene.patch(&asked.path, forged).await;
    assert_eq!(kept["needsInput"]["requestId"], json!(asked.request));
    let entry = json!({"type": "needs_input", "message": "Well?"});
    let other = scene.daemon.post(&timeline, entry).await.expect(200);
    assert_ne!(other["needsInput"]["requestId"], json!(asked.request));
    let notices = scene.socket.arrived().await;
    let notices = notices
        .iter()
        .filter(|frame| frame["event"] == "notify:needs_input");
    let named: Vec<&Value> = notices.map(|frame| &frame["data"]["requestId"]).collect();
    assert_eq!(
        named,
        [
            &json!(asked.request),
            &json!(asked.request),
            &other["needsInput"]["requestId"]
        ]
    );
}

#[tokio::test]
async fn an_answer_is_in_the_timeline_and_ends_the_wait() {
    let mut scene = Scene::new().await;
    let asked = ask(&scene, "Which?").await;
    scene.events().await;
    let body = json!({"requestId": asked.request, "text": "the left"});
    let answer = scene
        .daemon
        .post(&format!("{}/reply-input", asked.path), body)
        .await;
    let answered = answer.expect(200);
    assert_eq!(
        (&answered["success"], &answered["requestId"], &answered["how"]),
        (&json!(true), &json!(asked.request), &json!("desktop"))
    );
    assert!(answered["at"].is_u64());
    assert_eq!(
        scene.events().await,
        ["session:prompt_send", "session:updated", "session:input_answered"]
    );
    let session = scene.get(&asked.path).await;
    assert_eq!(timeline_types(&session).last(), Some(&"input_answered"));
    assert_eq!(session["needsInput"]["active"], false);
    assert_eq!(session["needsInput"]["answeredAt"], answered["at"]);
    assert_eq!(session["answers"][0]["text"], "the left");
}

#[tokio::test]
async fn bad_answers_and_waits_are_refused_with_what_is_wrong() {
    let scene = Scene::new().await;
    let asked = ask(&scene, "Which?").await;
    let reply = format!("{}/reply-input", asked.path);
    let said = |answer: Value| answer["message"].as_str().unwrap_or_default().to_owned();
    for (body, told) in [
        (json!({}), "text or choice is required"),
        (json!({"text": "\u{1b}[2J\n"}), "text or choice is required"),
        (
            json!({"text": "x".repeat(9000)}),
            "text is longer than 8192 bytes",
        ),
        (json!({"text": "x", "requestId": "../x"}), "requestId is invalid"),
        (json!({"text": 5}), "`text`: "),
    ] {
        let told_us = said(scene.daemon.post(&reply, body).await.expect(400));
        assert!(told_us.starts_with(told), "{told_us}");
    }
    let keyed = Ask::new("POST", &reply)
        .header("idempotency-key", "a b")
        .json(&json!({"text": "x"}));
    scene.daemon.ask(keyed).await.expect(400);
    for query in ["timeout=x", "timeout=120001", "timeout=-1", "requestId=a.b"] {
        scene
            .daemon
            .get(&format!("{}/input?{query}", asked.path))
            .await
            .expect(400);
    }
    let unknown = form_a(404, "NOT_FOUND", "Session with id 'none' not found");
    let answer = scene
        .daemon
        .post("/api/sessions/none/reply-input", json!({"text": "x"}))
        .await;
    assert_eq!(answer.expect(404), unknown);
    assert_eq!(
        scene.daemon.get("/api/sessions/none/input").await.expect(404),
        unknown
    );
    let waits = scene.get(&format!("{}/input?timeout=0", asked.path)).await;
    assert_eq!(waits, json!({"state": "waiting", "requestId": asked.request}));
}

#[tokio::test]
async fn an_old_client_that_goes_on_ends_the_wait_for_everybody() {
    let scene = Scene::new().await;
    let asked = ask(&scene, "Which?").await;
    let resumed = scene
        .patch(
            &asked.path,
            json!({"status": "working", "needsInput": {"active": false}}),
        )
        .await;
    assert_eq!(resumed["needsInput"]["answeredBy"]["kind"], "local");
    let body = json!({"requestId": asked.request, "text": "the left"});
    let refused = scene
        .daemon
        .post(&format!("{}/reply-input", asked.path), body)
        .await
        .expect(409);
    assert_eq!(
        (&refused["code"], &refused["at"], &refused["requestId"]),
        (
            &json!("not_waiting"),
            &resumed["needsInput"]["answeredAt"],
            &Value::Null
        )
    );
    assert_eq!(resumed.get("answers"), None, "nothing was said");
}

#[tokio::test]
async fn what_was_asked_and_answered_is_carried_out_and_in_again() {
    let scene = Scene::new().await;
    let asked = ask(&scene, "Which?").await;
    let body = json!({"text": "the left"});
    scene
        .daemon
        .post(&format!("{}/reply-input", asked.path), body)
        .await
        .expect(200);
    let before = scene.get(&asked.path).await;
    let dir = scene.daemon.place().root().join("out");
    let dir = dir.to_str().expect("a path");
    assert!(scene.daemon.ctl(&["export", dir]).await.status.success());
    let other = Scene::new().await;
    assert!(other.daemon.ctl(&["import", dir]).await.status.success());
    let after = other.get(&asked.path).await;
    assert_eq!(
        (&after["needsInput"], &after["answers"]),
        (&before["needsInput"], &before["answers"])
    );
}
