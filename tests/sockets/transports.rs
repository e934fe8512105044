//! Every transport of the real clients, and what the doors say to strangers.

use serde_json::json;

use crate::{client::Client, harness::Ask, scene::Scene};

async fn works(scene: &Scene, client: &mut Client) {
    let message = "through it";
    scene.say("progress", message).await;
    assert_eq!(client.event("notify:progress").await["data"]["message"], message);
    assert_eq!(
        client.request("session:subscribe", json!([scene.session])).await["success"],
        true
    );
}

#[tokio::test]
async fn websocket_polling_and_the_upgrade_between_them_all_work() {
    let scene = Scene::new().await;
    for (transports, first) in [
        (json!(["websocket"]), "websocket"),
        (json!(["polling"]), "polling"),
        (json!(["polling", "websocket"]), "polling"),
    ] {
        let options = json!({"transports": transports, "auth": scene.auth()});
        let mut phone = Client::node(&scene.hub, "/mobile", options).await;
        assert_eq!(phone.report("open").await["open"], first);
        phone.report("connect").await;
        if transports.as_array().unwrap().len() == 2 {
            assert_eq!(phone.report("upgrade").await["upgrade"], "websocket");
        }
        works(&scene, &mut phone).await;
        phone.command(&json!({"close": true})).await;
        scene.counted("mobile", 0).await;
    }
}

#[tokio::test]
async fn the_python_client_works_over_both_transports() {
    let scene = Scene::new().await;
    for transport in ["websocket", "polling"] {
        let mut phone = Client::python(&scene.hub, "/mobile", scene.auth(), &[transport]).await;
        assert_eq!(phone.report("open").await["open"], transport);
        phone.report("connect").await;
        works(&scene, &mut phone).await;
        phone.command(&json!({"close": true})).await;
        if transport == "websocket" {
            // Over polling this client may leave without a word: then the heartbeat ends its session, within 45 s.
            scene.counted("mobile", 0).await;
        }
    }
    let mut stranger = Client::python(&scene.hub, "/mobile", json!({}), &["websocket"]).await;
    assert_eq!(
        stranger.report("connect_error").await["connect_error"],
        "projectId required"
    );
}

#[tokio::test]
async fn listed_pages_may_read_polls_and_foreign_ones_get_nothing_over_any_transport() {
    let scene = Scene::new().await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let listed = Ask::new("GET", path).header("origin", "tauri://localhost");
    let answer = scene.hub.ask(listed).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("tauri://localhost")
    );
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert!(answer.text().starts_with("0{\"sid\":"), "{}", answer.text());
    let open: serde_json::Value = serde_json::from_str(&answer.text()[1..]).unwrap();
    assert_eq!(
        (&open["pingInterval"], &open["pingTimeout"], &open["maxPayload"]),
        (&json!(25_000), &json!(20_000), &json!(1 << 20))
    );
    for (name, value, status) in [
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("host", "evil.example", 421),
    ] {
        let answer = scene.hub.ask(Ask::new("GET", path).header(name, value)).await;
        assert_eq!(answer.status, status, "{name}: {value}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let evil = [("origin", "https://evil.example")];
    let upgrade = scene
        .hub
        .upgrade("/socket.io/?EIO=4&transport=websocket", &evil)
        .await;
    assert_eq!(upgrade.err(), Some(403));
}

#[tokio::test]
async fn all_three_kinds_are_counted_side_by_side() {
    let scene = Scene::new().await;
    let _desktop = Client::connected(&scene.hub, "/ui", json!({})).await;
    let _phone = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    let _raw = Client::raw(&scene.hub).await;
    for kind in ["ui", "mobile", "raw", "connectedClients"] {
        scene.counted(kind, 1).await;
    }
    let status = scene.hub.get("/ws-status").await.expect(200);
    assert_eq!(
        status["clients"],
        json!([{"readyState": 1, "readyStateText": "OPEN"}])
    );
    let shown = scene.hub.ctl(&["status", "--json"]).await;
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    for kind in ["ui_clients", "mobile_clients", "raw_clients"] {
        assert_eq!(shown["hub"][kind], 1, "{kind}");
    }
}
