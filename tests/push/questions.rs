//! An agent waits, and the phone lies on the table.

use serde_json::json;

use crate::harness::PushService;
use crate::house::{answer, ask, nothing_came, public_key, setup, stands, subscribe};
use crate::phone::{Phone, World};

const SCOPES: &str = "view,answer,mail";

#[tokio::test]
async fn a_question_is_pushed_once_and_taken_back_when_somebody_else_answers() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, SCOPES, None).await;
    assert!(stands(&phone).await.is_null());
    subscribe(&daemon, &phone, &mut service, json!({})).await;
    nothing_came(&phone, &mut service).await;

    let request = ask(&daemon, &world, "Which port?").await;
    let push = service.next().await;
    let payload = &push["payload"];
    assert_eq!(payload["kind"], "needsInput");
    assert_eq!(payload["session"], *world.session);
    assert_eq!(payload["request"], *request);
    assert_eq!(
        (&payload["agent"], &payload["projectName"]),
        (&json!("Worker"), &json!("Demo"))
    );
    assert_eq!(payload["badge"], 1);
    assert!(
        payload.get("text").is_none(),
        "names are enough unless somebody says otherwise"
    );
    assert_eq!(push["urgency"], "high");
    assert!((3590..=3600).contains(&push["ttl"].as_i64().unwrap()), "{push}");
    assert_eq!(push["claims"]["sub"], "https://hub.example");

    // Clients say the same twice: in the timeline, and as a change.
    let said = json!({"needsInput": {"active": true, "message": "Which port?"}});
    daemon
        .patch(&world.fill("/api/sessions/{id}"), said)
        .await
        .expect(200);
    nothing_came(&phone, &mut service).await;

    answer(&daemon, &world, &request).await;
    let over = service.next().await;
    assert_eq!(over["payload"]["kind"], "answered");
    assert_eq!(over["payload"]["tag"], payload["tag"], "in place of the other");
    assert_eq!(over["topic"], push["topic"]);
    assert_eq!(
        (&over["payload"]["badge"], &over["payload"]["request"]),
        (&json!(0), &json!(request))
    );
    assert_ne!(over["urgency"], "high");

    let told = stands(&phone).await;
    assert_eq!(told["last"]["outcome"], "accepted");
    assert!(told.get("endpoint").is_none() && told.get("keys").is_none());
    let status = String::from_utf8(daemon.ctl(&["status"]).await.stdout).unwrap();
    assert!(status.contains("iPhone of Anna: accepted"), "{status}");
    let devices = daemon.ctl(&["devices", "--json"]).await.stdout;
    let devices: serde_json::Value = serde_json::from_slice(&devices).unwrap();
    assert_eq!(devices["devices"][0]["push"]["last_outcome"], "accepted");
}

#[tokio::test]
async fn a_question_that_is_given_up_at_the_terminal_or_with_its_session_is_taken_back_too() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, SCOPES, None).await;
    subscribe(&daemon, &phone, &mut service, json!({})).await;
    ask(&daemon, &world, "Which port?").await;
    assert_eq!(service.next().await["payload"]["kind"], "needsInput");
    let path = world.fill("/api/sessions/{id}");
    daemon
        .patch(&path, json!({"needsInput": {"active": false}}))
        .await
        .expect(200);
    assert_eq!(service.next().await["payload"]["kind"], "answered");

    ask(&daemon, &world, "And which host?").await;
    assert_eq!(service.next().await["payload"]["kind"], "needsInput");
    // One word about what became of the session, not two.
    daemon.patch(&path, json!({"status": "failed"})).await.expect(200);
    assert_eq!(service.next().await["payload"]["kind"], "failed");
    nothing_came(&phone, &mut service).await;
}

#[tokio::test]
async fn the_death_of_the_hub_makes_nobody_forget_what_was_told() {
    let mut service = PushService::start().await;
    let mut daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let (id, cookie, token, key, request) = {
        let phone = Phone::pair(&daemon, SCOPES, None).await;
        subscribe(&daemon, &phone, &mut service, json!({"privacy": "preview"})).await;
        let request = ask(&daemon, &world, "Which port?").await;
        assert_eq!(service.next().await["payload"]["text"], "Which port?");
        // Written down, as what came of it is told.
        nothing_came(&phone, &mut service).await;
        let key = public_key(&phone).await;
        (phone.id, phone.cookie, phone.token, key, request)
    };
    daemon.kill().await;
    let daemon = daemon.setup().clone().start().await;
    let phone = Phone::with(&daemon, id, cookie, token);
    assert_eq!(public_key(&phone).await, key, "for life");
    assert_eq!(stands(&phone).await["privacy"], "preview");
    nothing_came(&phone, &mut service).await;
    answer(&daemon, &world, &request).await;
    assert_eq!(service.next().await["payload"]["kind"], "answered");
}
