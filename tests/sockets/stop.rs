//! The hub stops: every client is told, and none holds it up.

use serde_json::json;

use crate::{client::Client, scene::Scene};

#[tokio::test]
async fn clients_of_every_transport_are_told_when_to_come_back_and_do_not_hold_up_the_stop() {
    let mut scene = Scene::new().await;
    let mut told = Vec::new();
    for transports in [
        json!(["websocket"]),
        json!(["polling"]),
        json!(["polling", "websocket"]),
    ] {
        for (namespace, auth) in [("/ui", json!({})), ("/mobile", scene.auth())] {
            let options = json!({"transports": transports, "auth": auth});
            let mut client = Client::node(&scene.hub, namespace, options).await;
            client.report("connect").await;
            told.push(client);
        }
    }
    scene.say("progress", "the last").await;
    let status = scene.hub.stop().await;
    assert!(status.success(), "{status}");
    for client in &mut told {
        client.event("notify:progress").await;
        assert!(client.event("server:shutdown").await["reconnect_ms"].is_number());
        client.report("disconnect").await;
    }
}
