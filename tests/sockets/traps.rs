//! What the library leaves open by itself, one story each: they must stay closed.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::{Value, json};

use crate::{
    client::Client,
    engine::Engine,
    harness::{Place, Setup, eventually},
    scene::{Scene, counted},
};

/// Short times, small queues.
#[cfg(target_os = "linux")]
const CONFIG: &str = "[clients]\nqueue_events = 64\nqueue_bytes = \"512KiB\"\nwrite_timeout = \"2s\"\n";

#[cfg(target_os = "linux")]
async fn flood(scene: &Scene, enough: impl AsyncFn() -> bool) {
    let page = "x".repeat(64 << 10);
    for number in 0..2000 {
        let modal = json!({"modalId": format!("m{number}"), "html": page});
        let path = format!("/api/sessions/{}/modal", scene.session);
        scene.hub.post(&path, modal).await.expect(200);
        if enough().await {
            return;
        }
    }
    panic!("it was never enough");
}

#[cfg(target_os = "linux")]
async fn count(hub: &crate::harness::Daemon, kind: &str) -> u64 {
    let status = hub.get("/ws-status").await.expect(200);
    status[kind].as_u64().expect("a number")
}

/// Traps 1 and 4: the library keeps such a client, its room, its task and its descriptor, and drops events silently.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn clients_that_do_not_read_are_gone_soon_with_all_they_held_and_others_miss_nothing() {
    let mut scene = Scene::with(Setup::new().config(CONFIG)).await;
    let before = scene.hub.descriptors();
    let mut stalled = Vec::new();
    for _ in 0..10 {
        stalled.push(Engine::connected(scene.hub.port(), "/ui", &json!({})).await);
    }
    let mut reader = Client::connected(&scene.hub, "/ui", json!({})).await;
    scene.counted("ui", 11).await;
    flood(&scene, async || count(&scene.hub, "ui").await == 1).await;

    let heard = reader.arrived().await;
    let seqs: Vec<_> = heard.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert!(
        seqs.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "the reader misses nothing: {seqs:?}"
    );
    // The reader, and connections of requests that are at their end.
    eventually("their descriptors are free", || async {
        (scene.hub.descriptors() <= before + 3).then_some(())
    })
    .await;
    drop(stalled);
    assert!(
        scene.hub.stop().await.success(),
        "nothing of them holds up the stop"
    );
}

/// Trap 1 at the worst moment: the library's own close waits for writers that wait for clients.
#[tokio::test]
async fn clients_that_do_not_read_do_not_hold_up_the_stop() {
    let config = "[clients]\nqueue_bytes = \"256MiB\"\nqueue_events = 100000\nwrite_timeout = \"60s\"\n\n[stop]\nprofile = \"fast\"\n";
    let mut scene = Scene::with(Setup::new().config(config)).await;
    let mut stalled = Vec::new();
    for _ in 0..5 {
        stalled.push(Engine::connected(scene.hub.port(), "/ui", &json!({})).await);
    }
    // More than the kernel's buffers and the library's own hold.
    let page = "x".repeat(256 << 10);
    for number in 0..80 {
        let modal = json!({"modalId": format!("m{number}"), "html": page});
        let path = format!("/api/sessions/{}/modal", scene.session);
        scene.hub.post(&path, modal).await.expect(200);
    }
    let status = scene.hub.stop().await;
    assert!(status.success(), "{status}");
    assert!(
        scene.hub.log().contains("stopped"),
        "in order, not by the last resort"
    );
}

/// Trap 4, told from the client's side: it learns that it has a gap, and asks for what it missed.
#[tokio::test]
async fn a_client_that_falls_behind_is_told_so_and_can_catch_up() {
    let scene =
        Scene::with(Setup::new().config("[clients]\nqueue_events = 16\nwrite_timeout = \"20s\"\n")).await;
    let mut slow = Engine::connected(scene.hub.port(), "/mobile", &scene.auth()).await;
    let (name, hello) = slow.event().await;
    assert_eq!(name, "hello");
    // Titles are what phones see of a page.
    let title = "x".repeat(4 << 10);
    for number in 0..5000 {
        let modal = json!({"modalId": format!("m{number}"), "html": "x", "title": title});
        let path = format!("/api/sessions/{}/modal", scene.session);
        scene.hub.post(&path, modal).await.expect(200);
        if scene.hub.log().contains("a client of Socket.IO was cut off") {
            break;
        }
    }
    slow.ended().await;
    counted(&scene.hub, "mobile", 0).await;
    let mut again = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    let since = json!({"epoch": hello["epoch"], "since": hello["seq"]});
    let missed = again.request("state:sync", since).await;
    assert_eq!(missed["success"], true);
    assert!(missed["reset"] == true || !missed["events"].as_array().unwrap().is_empty());
}

/// Trap 2: the library runs handlers of one client in any order.
#[tokio::test]
async fn what_one_client_asks_for_is_done_and_answered_in_its_order() {
    let scene = Scene::new().await;
    let mut desktop = Engine::connected(scene.hub.port(), "/ui", &json!({})).await;
    // Many at once, but fewer than may wait for a client that does not read.
    for first in (0..2000).step_by(500) {
        for n in first..first + 500 {
            desktop
                .send(&format!(r#"42/ui,["subscribe",{{"sessionIds":["s{n}"]}}]"#))
                .await;
        }
        for n in first..first + 500 {
            let (name, answer) = desktop.event().await;
            assert_eq!(
                (name.as_str(), &answer["sessionIds"]),
                ("subscribed", &json!([format!("s{n}")]))
            );
        }
    }
    let mut phone = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    for n in 0..30 {
        phone
            .emit(json!(["session:prompt", {"sessionId": scene.session, "content": format!("p{n}")}]))
            .await;
    }
    phone.arrived_after_work().await;
    let shown = scene
        .hub
        .get(&format!("/api/sessions/{}", scene.session))
        .await
        .expect(200);
    let timeline = shown["timeline"].as_array().unwrap();
    let said: Vec<_> = timeline
        .iter()
        .filter_map(|entry| entry["message"].as_str())
        .skip(1)
        .collect();
    let expected: Vec<_> = (0..30)
        .map(|n| format!("Received prompt from session unknown: \"p{n}\""))
        .collect();
    assert_eq!(said, expected);
}

/// Trap 3: the library may answer CONNECT before anybody listens, and forget who leaves at once.
#[tokio::test]
async fn the_first_event_is_never_lost_and_neither_is_the_end() {
    let scene = Scene::new().await;
    for _ in 0..300 {
        let mut hasty = Engine::open(scene.hub.port()).await;
        hasty.connect("/ui", &json!({})).await;
        loop {
            let packet = hasty.next().await.expect("it is open");
            if packet.starts_with("40/ui,") {
                break;
            }
        }
        hasty.send(r#"42/ui,["ping"]"#).await;
        assert_eq!(hasty.event().await.0, "pong");
    }
    for n in 0..300 {
        let mut hasty = Engine::open(scene.hub.port()).await;
        hasty.connect("/ui", &json!({})).await;
        if n % 2 == 0 {
            hasty.next().await;
        }
        drop(hasty); // some before they were told that they are connected
    }
    scene.counted("ui", 0).await;
    let status = scene.hub.get("/ws-status").await.expect(200);
    assert_eq!(status["mobile"], 0);
}

/// Trap 5: the library takes 64 MiB by itself.
#[tokio::test]
async fn a_message_that_is_too_large_ends_its_client_only() {
    let scene = Scene::with(Setup::new().config("[clients]\nmax_message = \"64KiB\"\n")).await;
    let mut large = Engine::connected(scene.hub.port(), "/ui", &json!({})).await;
    let mut other = Client::connected(&scene.hub, "/ui", json!({})).await;
    large
        .send(&format!(r#"42/ui,["ping","{}"]"#, "x".repeat(100 << 10)))
        .await;
    large.ended().await;
    scene.counted("ui", 1).await;
    other.emit(json!(["ping"])).await;
    other.event("pong").await;
    let polling = "/socket.io/?EIO=4&transport=polling";
    let open = scene.hub.get(polling).await;
    let open: Value = serde_json::from_str(&open.text()[1..]).unwrap();
    let sid = open["sid"].as_str().unwrap();
    let body = format!(r#"42/ui,["ping","{}"]"#, "x".repeat(100 << 10));
    let ask = crate::harness::Ask::new("POST", format!("{polling}&sid={sid}")).body(body);
    assert!(scene.hub.ask(ask).await.status >= 400);
}

/// Trap 5: sessions without a namespace end, and all of them count.
#[tokio::test]
async fn sessions_are_bounded_before_they_say_what_they_want() {
    let scene = Scene::with(Setup::new().config("[clients]\nmax_sockets = 5\n")).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(Engine::open(scene.hub.port()).await);
    }
    let polling = "/socket.io/?EIO=4&transport=polling";
    for _ in 0..2 {
        assert_eq!(scene.hub.get(polling).await.status, 200);
    }
    let full = scene.hub.get(polling).await;
    assert_eq!((full.status, full.header("retry-after")), (503, Some("5")));
    assert_eq!(
        scene.hub.upgrade("/", &[]).await.err(),
        Some(503),
        "all kinds count together"
    );
    for mut engine in open {
        engine.ended().await; // for want of a namespace
    }
    eventually("there is room again", || async {
        (scene.hub.get(polling).await.status == 200).then_some(())
    })
    .await;
}

/// What a phone asked for may be done only when it has gone. Then its answer is the last that holds its socket.
#[tokio::test]
async fn who_leaves_before_he_is_answered_holds_nobody_up() {
    let place = Place::new();
    let (asked, go) = (place.root().join("asked"), place.root().join("go"));
    let waits = format!(
        "#!/bin/sh\n: > '{}'\nwhile [ ! -e '{}' ]; do sleep 0.02; done\nexit 1\n",
        asked.display(),
        go.display()
    );
    let program = place.write("bin/maestro", &waits);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    let setup = Setup::at(place)
        .env("MANIFEST_GENERATOR", "cli")
        .env("MAESTRO_CLI_PATH", program.to_string_lossy());
    let scene = Scene::with(setup).await;
    let members = format!("/api/team-members?projectId={}", scene.project);
    let members = scene.hub.get(&members).await.expect(200);

    let mut phone = Engine::connected(scene.hub.port(), "/mobile", &scene.auth()).await;
    let wish = json!({"projectId": scene.project, "teamMemberId": members[0]["id"], "message": "Go", "requestId": "r"});
    phone
        .send(&format!("42/mobile,7{}", json!(["session:spawn", wish])))
        .await;
    eventually("its manifest is being made", || async {
        asked.exists().then_some(())
    })
    .await;
    drop(phone);
    scene.counted("mobile", 0).await;
    fs::write(go, "").expect("written");

    let mut other = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    scene.say("progress", "it goes on").await;
    let heard = other.event("notify:progress").await;
    assert_eq!(heard["data"]["message"], "it goes on");
}
