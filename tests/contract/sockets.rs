//! The raw WebSocket protocol of EVENTS.md sections 1 to 3.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    harness::{Setup, Socket},
    scene::Scene,
};

async fn text_of(socket: &mut Socket) -> String {
    match socket.next_message().await {
        Some(Message::Text(text)) => text.to_string(),
        other => panic!("expected text, got {other:?}"),
    }
}

/// `prefix`, then milliseconds, then `}`: acks are compared byte by byte.
fn assert_ack(text: &str, prefix: &str) {
    let millis = text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('}'));
    let millis = millis.unwrap_or_else(|| panic!("expected {prefix}...}}, got {text}"));
    assert!(millis.parse::<u64>().is_ok(), "{text}");
}

async fn subscribe(socket: &mut Socket, ids: Value) {
    socket
        .send(&json!({"type": "subscribe", "sessionIds": ids}))
        .await;
    socket.arrived().await;
}

#[tokio::test]
async fn the_upgrade_is_accepted_on_any_path_and_nothing_is_sent_at_first() {
    let daemon = Setup::new().start().await;
    for path in [
        "/",
        "/ws",
        "/api/projects",
        "/health",
        "/no/such/page?a=b",
        "/%74est",
    ] {
        let mut socket = daemon
            .upgrade(path, &[])
            .await
            .unwrap_or_else(|status| panic!("{path}: {status}"));
        assert_eq!(
            socket.headers.get("sec-websocket-extensions"),
            None,
            "no compression"
        );
        assert_eq!(
            socket.headers.get("sec-websocket-protocol"),
            None,
            "no subprotocol"
        );
        assert_eq!(socket.arrived().await, Vec::<Value>::new(), "{path}");
        daemon
            .post("/api/projects", json!({"name": path}))
            .await
            .expect(201);
        assert_eq!(socket.arrived_names().await, ["project:created"], "{path}");
    }
}

#[tokio::test]
async fn acks_are_the_same_bytes() {
    let daemon = Setup::new().start().await;
    let mut socket = daemon.listen().await;
    socket.send_text(r#"{"type":"ping"}"#).await;
    assert_ack(&text_of(&mut socket).await, r#"{"type":"pong","timestamp":"#);
    socket
        .send_text(r#"{"type":"subscribe","sessionIds":["a",1,"b","a",null,{}]}"#)
        .await;
    let ids = r#"{"type":"subscribed","sessionIds":["a","b"],"timestamp":"#;
    assert_ack(&text_of(&mut socket).await, ids);
    socket.send_text(r#"{"type":"subscribe","sessionIds":[]}"#).await;
    assert_ack(
        &text_of(&mut socket).await,
        r#"{"type":"subscribed","sessionIds":[],"timestamp":"#,
    );
    for _ in 0..2 {
        socket.send_text(r#"{"type":"unsubscribe"}"#).await;
        assert_ack(
            &text_of(&mut socket).await,
            r#"{"type":"unsubscribed","timestamp":"#,
        );
    }
}

#[tokio::test]
async fn events_are_frames_of_four_keys_in_the_recorded_order() {
    let daemon = Setup::new().start().await;
    let mut socket = daemon.listen().await;
    daemon
        .post("/api/projects", json!({"name": "P"}))
        .await
        .expect(201);
    let text = text_of(&mut socket).await;
    assert!(
        text.starts_with(r#"{"type":"project:created","event":"project:created","data":{"id":"#),
        "{text}"
    );
    let frame: Value = serde_json::from_str(&text).expect("JSON");
    let keys: Vec<&str> = frame
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, ["type", "event", "data", "timestamp"]);
}

#[tokio::test]
async fn binary_frames_are_read_as_text_and_answered_as_text() {
    let daemon = Setup::new().start().await;
    let mut socket = daemon.listen().await;
    socket
        .send_message(Message::binary(r#"{"type":"unsubscribe"}"#))
        .await;
    assert_ack(
        &text_of(&mut socket).await,
        r#"{"type":"unsubscribed","timestamp":"#,
    );
    socket.send_message(Message::binary(&b"\xff\xfe{"[..])).await;
    assert_eq!(socket.arrived().await, Vec::<Value>::new(), "not UTF-8: ignored");
}

#[tokio::test]
async fn junk_is_ignored_and_the_connection_stays() {
    let daemon = Setup::new().start().await;
    let mut socket = daemon.listen().await;
    subscribe(&mut socket, json!(["a"])).await;
    for junk in [
        "hello",
        "",
        "{",
        "null",
        "[]",
        "5",
        r#""ping""#,
        "{}",
        r#"{"type":5}"#,
        r#"{"type":"nope"}"#,
        r#"{"type":"PING"}"#,
        r#"{"type":"subscribe"}"#,
        r#"{"type":"subscribe","sessionIds":"a"}"#,
        r#"{"type":"subscribe","sessionIds":{"0":"a"}}"#,
    ] {
        socket.send_text(junk).await;
        assert_eq!(socket.arrived().await, Vec::<Value>::new(), "{junk}");
    }
    let scene_session = json!({"id": "b", "taskIds": []});
    let project = daemon
        .post("/api/projects", json!({"name": "P"}))
        .await
        .expect(201);
    let mut body = scene_session;
    body["projectId"] = project["id"].clone();
    daemon.post("/api/sessions", body).await.expect(201);
    assert_eq!(
        socket.arrived_names().await,
        ["project:created"],
        "the filter is still that of before"
    );
}

#[tokio::test]
async fn a_filter_lets_pass_what_concerns_no_session_or_one_of_its_own() {
    let scene = Scene::new().await;
    let mine = scene.session(json!({"id": "mine"})).await;
    let other = scene.session(json!({"id": "other"})).await;
    let task = scene.task(json!({})).await;
    let mut socket = scene.daemon.listen().await;
    subscribe(&mut socket, json!([mine])).await;

    scene
        .daemon
        .put(&format!("/api/projects/{}", scene.project), json!({}))
        .await
        .expect(200);
    scene.member(json!({})).await;
    scene
        .mail(json!({"fromSessionId": other, "toSessionId": other}))
        .await
        .expect(201);
    assert_eq!(
        socket.arrived_names().await,
        ["project:updated", "team_member:created", "mail:received"],
        "these belong to no session"
    );

    for session in [&other, &mine] {
        let path = format!("/api/sessions/{session}");
        scene
            .daemon
            .post(&format!("{path}/timeline"), json!({"message": "m"}))
            .await
            .expect(200);
        scene
            .daemon
            .post(&format!("{path}/tasks/{task}"), json!({}))
            .await
            .expect(200);
        scene
            .daemon
            .post(&format!("{path}/modal/m/close"), json!({}))
            .await
            .expect(200);
        scene
            .post(
                "/api/sessions/spawn",
                json!({"taskIds": [task], "sessionId": session}),
            )
            .await
            .expect(201);
        let report = json!({"updateSource": "session", "sessionId": session, "sessionStatus": "failed"});
        scene.patch(&format!("/api/tasks/{task}"), report).await;
        let expected: &[&str] = if *session == mine {
            &[
                "session:updated",
                "notify:progress",
                "session:task_added",
                "task:session_added",
                "session:modal_closed",
                "notify:task_session_failed",
            ]
        } else {
            &[]
        };
        assert_eq!(socket.arrived_names().await, expected, "{session}");
    }
    scene
        .daemon
        .delete(&format!("/api/sessions/{other}"))
        .await
        .expect(200);
    assert_eq!(
        socket.arrived_names().await,
        ["session:deleted"],
        "it carries no status"
    );
}

#[tokio::test]
async fn subscribing_replaces_the_filter_of_this_connection_only() {
    let scene = Scene::new().await;
    for id in ["a", "b"] {
        scene.session(json!({"id": id})).await;
    }
    let mut socket = scene.daemon.listen().await;
    let mut neighbour = scene.daemon.listen().await;
    let touch = async |id: &str| {
        scene.patch(&format!("/api/sessions/{id}"), json!({})).await;
    };
    subscribe(&mut socket, json!(["a"])).await;
    subscribe(&mut socket, json!(["b"])).await;
    touch("a").await;
    assert_eq!(socket.arrived_names().await, [""; 0], "replaced, not added to");
    touch("b").await;
    assert_eq!(socket.arrived_names().await, ["session:updated"]);
    subscribe(&mut socket, json!([])).await;
    touch("b").await;
    assert_eq!(
        socket.arrived_names().await,
        [""; 0],
        "an empty filter is a filter"
    );
    socket.send(&json!({"type": "unsubscribe"})).await;
    touch("a").await;
    assert_eq!(socket.arrived_names().await, ["unsubscribed", "session:updated"]);
    assert_eq!(
        neighbour.arrived_names().await.len(),
        4,
        "the neighbour has no filter"
    );
}

#[tokio::test]
async fn foreign_pages_and_rebound_names_get_nothing_over_rest_or_socket() {
    let scene = Scene::new().await;
    let port = scene.daemon.port();
    let rebound = format!("evil.example:{port}");
    for (name, value) in [
        ("host", rebound.as_str()),
        ("host", "evil.example"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost.evil.example"),
    ] {
        let refused = scene.daemon.upgrade("/", &[(name, value)]).await.err();
        assert!(
            matches!(refused, Some(403 | 421)),
            "upgrade with {name} {value}: {refused:?}"
        );
        for ask in [
            crate::harness::Ask::new("GET", "/api/projects"),
            crate::harness::Ask::new("POST", "/api/projects").json(&json!({"name": "x"})),
            crate::harness::Ask::new("GET", "/health"),
        ] {
            let answer = scene.daemon.ask(ask.header(name, value)).await;
            assert!(
                matches!(answer.status, 403 | 421),
                "{} with {name} {value}: {}",
                answer.what,
                answer.status
            );
            assert_eq!(answer.header("access-control-allow-origin"), None);
            assert!(!answer.text().contains(&scene.project));
        }
    }
    assert_eq!(
        scene.get("/api/projects").await.as_array().expect("a list").len(),
        1
    );
    for origin in [
        "tauri://localhost",
        "http://tauri.localhost",
        &format!("http://localhost:{port}"),
    ] {
        scene
            .daemon
            .upgrade("/", &[("origin", origin)])
            .await
            .unwrap_or_else(|s| panic!("{origin}: {s}"));
    }
}

#[tokio::test]
async fn ws_status_counts_open_connections() {
    let daemon = Setup::new().start().await;
    assert_eq!(
        daemon.get("/ws-status").await.expect(200),
        json!({"connectedClients": 0, "clients": [], "ui": 0, "mobile": 0, "raw": 0})
    );
    let mut one = daemon.listen().await;
    let two = daemon.listen().await;
    one.arrived().await;
    let open = json!({"readyState": 1, "readyStateText": "OPEN"});
    let both = json!({"connectedClients": 2, "clients": [open, open], "ui": 0, "mobile": 0, "raw": 2});
    assert_eq!(daemon.get("/ws-status").await.expect(200), both);
    drop(two);
    crate::harness::eventually("the closed one is forgotten", || async {
        (daemon.get("/ws-status").await.expect(200)["connectedClients"] == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_connection_sees_concurrent_changes_in_the_same_order() {
    let scene = Scene::new().await;
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(scene.daemon.listen().await);
    }
    let tasks = (0..40).map(|n| scene.post("/api/tasks", json!({"title": format!("t{n}")})));
    for answer in futures_util::future::join_all(tasks).await {
        answer.expect(201);
    }
    let mut seen = Vec::new();
    for socket in &mut sockets {
        seen.push(socket.arrived().await);
    }
    assert_eq!(seen[0].len(), 40);
    assert!(seen.iter().all(|frames| *frames == seen[0]));
}

#[tokio::test]
async fn connections_end_when_the_server_stops() {
    let mut daemon = Setup::new().start().await;
    let mut socket = daemon.listen().await;
    socket.arrived().await;
    let (status, _) = tokio::join!(daemon.stop(), socket.closed());
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut_off_and_others_do_not_notice() {
    let mut scene = Scene::new().await;
    let session = scene.session(json!({})).await;
    scene.events().await;
    let mut stalled = scene.daemon.listen().await;
    let page = "x".repeat(1024 * 1024);
    let mut cut_off = false;
    // Far more than a client's queue and the kernel's buffers hold.
    for n in 0..64 {
        let modal = json!({"modalId": format!("m{n}"), "html": page});
        let path = format!("/api/sessions/{session}/modal");
        scene.daemon.post(&path, modal).await.expect(200);
        assert_eq!(
            scene.events().await,
            ["session:modal"],
            "the other client sees number {n}"
        );
        cut_off = scene.get("/ws-status").await["connectedClients"] == 1;
        if cut_off {
            break;
        }
    }
    if !cut_off {
        crate::harness::eventually("the stalled client is forgotten", || async {
            (scene.get("/ws-status").await["connectedClients"] == 1).then_some(())
        })
        .await;
    }
    stalled.closed().await;
}
