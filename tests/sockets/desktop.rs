//! A desktop on `/ui`: hears what the raw WebSocket hears, and chooses its sessions.

use serde_json::{Value, json};

use crate::{
    client::Client,
    scene::{Scene, session},
};

fn bare(event: &Value) -> Value {
    json!([event["type"], event["event"], event["data"], event["timestamp"]])
}

#[tokio::test]
async fn it_hears_exactly_what_the_raw_websocket_hears_with_its_place_in_the_epoch() {
    let scene = Scene::new().await;
    let mut desktop = Client::connected(&scene.hub, "/ui", json!({})).await;
    let mut raw = Client::raw(&scene.hub).await;
    scene.counted("ui", 1).await;
    scene.task("T").await;
    scene.say("progress", "half way").await;
    let heard = desktop.events_until("notify:progress").await;
    let also = raw.events_until("notify:progress").await;
    let names: Vec<_> = heard.iter().map(|event| event["event"].clone()).collect();
    assert_eq!(names, ["task:created", "session:updated", "notify:progress"]);
    assert_eq!(
        heard.iter().map(bare).collect::<Vec<_>>(),
        also.iter().map(bare).collect::<Vec<_>>()
    );
    let seqs: Vec<_> = heard.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(seqs, [seqs[0], seqs[0] + 1, seqs[0] + 2]);
    let epoch = scene.hub.get("/api/events").await.expect(200)["epoch"].clone();
    assert!(heard.iter().all(|event| event["epoch"] == epoch));
}

#[tokio::test]
async fn it_subscribes_to_sessions_and_hears_only_of_them_and_of_what_is_about_none() {
    let scene = Scene::new().await;
    let other = session(&scene.hub, &scene.project).await;
    let mut desktop = Client::connected(&scene.hub, "/ui", json!({})).await;
    desktop
        .emit(json!(["subscribe", {"sessionIds": [other, 5, other, "x"]}]))
        .await;
    let answer = desktop.event("subscribed").await;
    assert_eq!(answer["sessionIds"], json!([other, "x"]));
    assert!(answer["timestamp"].is_number());

    scene.say("progress", "not heard").await;
    let path = format!("/api/sessions/{other}/timeline");
    scene
        .hub
        .post(&path, json!({"message": "heard"}))
        .await
        .expect(200);
    scene
        .hub
        .post("/api/projects", json!({"name": "Two"}))
        .await
        .expect(201);
    let heard = desktop.events_until("project:created").await;
    let names: Vec<_> = heard.iter().map(|event| event["event"].clone()).collect();
    assert_eq!(names, ["session:updated", "notify:progress", "project:created"]);
    assert_eq!(heard[1]["data"]["message"], "heard");

    let told = desktop.request("unsubscribe", json!(null)).await;
    assert_eq!(told["success"], true);
    desktop.event("unsubscribed").await;
    scene.say("progress", "heard again").await;
    assert_eq!(
        desktop.event("notify:progress").await["data"]["message"],
        "heard again"
    );
}

#[tokio::test]
async fn pings_are_answered_and_nonsense_is_refused_without_harm() {
    let scene = Scene::new().await;
    let mut desktop = Client::connected(&scene.hub, "/ui", json!({})).await;
    desktop.emit(json!(["ping"])).await;
    assert!(desktop.event("pong").await["timestamp"].is_number());
    for nonsense in [
        json!(["subscribe"]),
        json!(["subscribe", 5]),
        json!(["subscribe", {"sessionIds": "x"}]),
        json!(["subscribe", {"$bytes": "x"}]),
        json!(["no:such", {}]),
    ] {
        let number = desktop.ask(nonsense.clone()).await;
        let answer = desktop.answer(number).await;
        assert_eq!(
            (&answer["success"], &answer["code"]),
            (&json!(false), &json!("invalid")),
            "{nonsense}"
        );
    }
    scene.say("progress", "still here").await;
    desktop.event("notify:progress").await;
}
