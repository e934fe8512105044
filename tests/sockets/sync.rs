//! A phone that was away: exactly what it missed, or all anew.

use serde_json::{Value, json};

use crate::{
    client::Client,
    engine::Engine,
    harness::{Redis, Setup},
    scene::Scene,
};

fn seqs(events: &[Value]) -> Vec<u64> {
    events.iter().filter_map(|event| event["seq"].as_u64()).collect()
}

#[tokio::test]
async fn it_is_told_exactly_what_another_phone_heard_meanwhile() {
    let scene = Scene::new().await;
    let mut away = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    let mut here = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    let hello = away.event("hello").await;
    here.event("hello").await;
    away.command(&json!({"close": true})).await;
    scene.counted("mobile", 1).await;

    scene.task("T").await;
    scene.say("progress", "a").await;
    scene.say("needs_input", "b").await;
    let heard = here.arrived().await;

    away.connect(
        &scene.hub,
        "/mobile",
        json!({"transports": ["websocket"], "auth": scene.auth()}),
    )
    .await;
    let again = away.event("hello").await;
    assert_eq!(again["epoch"], hello["epoch"]);
    let since = json!({"epoch": hello["epoch"], "since": hello["seq"]});
    let missed = away.request("state:sync", since).await;
    assert_eq!(
        (&missed["success"], &missed["more"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(missed["events"], json!(heard));
    assert_eq!(missed["seq"], *seqs(&heard).last().unwrap());
    let nothing = away
        .request(
            "state:sync",
            json!({"epoch": missed["epoch"], "since": missed["seq"]}),
        )
        .await;
    assert_eq!(nothing["events"], json!([]));
}

#[tokio::test]
async fn after_a_restart_it_is_reset_with_how_things_stand() {
    let scene = Scene::new().await;
    let task = scene.task("T").await;
    let mut phone = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    let hello = phone.event("hello").await;
    let auth = scene.auth();
    let hub = scene.hub.restart().await;
    let mut phone = Client::connected(&hub, "/mobile", auth).await;
    let since = json!({"epoch": hello["epoch"], "since": hello["seq"]});
    let state = phone.request("state:sync", since).await;
    assert_eq!((&state["success"], &state["reset"]), (&json!(true), &json!(true)));
    assert_eq!(state["reason"], "the hub was started anew since");
    assert_eq!(state["projects"][0]["id"], scene.project.as_str());
    assert_eq!(state["sessions"][0]["id"], scene.session.as_str());
    assert_eq!(state["sessions"][0]["timelineLength"], 1);
    assert_eq!(state["sessions"][0]["presence"]["verdict"], "unknown");
    assert_eq!(state["tasks"][0]["id"], task.as_str());
    assert!(state["mail"].is_array() && state["cursor"] == state["seq"]);
    let text = state.to_string();
    for absent in ["\"env\"", "hostname", "workingDir"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    let first = phone.request("state:sync", json!({})).await;
    assert_eq!(
        (&first["reset"], &first["reason"]),
        (&json!(true), &json!("nothing is known yet"))
    );
}

#[tokio::test]
async fn what_happens_while_it_asks_is_in_the_state_or_heard_and_nothing_is_lost() {
    let scene = Scene::new().await;
    let writing = async {
        for n in 0..60 {
            scene.task(&format!("t{n}")).await;
        }
    };
    let following = async {
        let mut phone = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
        let state = phone.request("state:sync", json!({})).await;
        (phone, state)
    };
    let ((), (mut phone, state)) = tokio::join!(writing, following);
    let cursor = state["cursor"].as_u64().unwrap();
    let heard = phone.arrived().await;
    let after = heard
        .iter()
        .filter(|event| event["event"] == "task:created" && event["seq"].as_u64() > Some(cursor));
    assert_eq!(state["tasks"].as_array().unwrap().len() + after.count(), 60);
}

#[tokio::test]
async fn a_long_absence_comes_in_pages_that_fit_together() {
    let scene = Scene::new().await;
    let mut phone = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    let hello = phone.event("hello").await;
    for n in 0..30 {
        scene.say("progress", &format!("{n} {}", "x".repeat(4000))).await;
    }
    let heard = phone.arrived().await;
    let (mut since, mut told, mut pages) = (hello["seq"].clone(), Vec::new(), 0);
    loop {
        let page = phone
            .request("state:sync", json!({"epoch": hello["epoch"], "since": since}))
            .await;
        assert!(page.to_string().len() < 100 * 1024, "{}", page.to_string().len());
        told.extend(page["events"].as_array().unwrap().iter().cloned());
        (since, pages) = (page["seq"].clone(), pages + 1);
        if page["more"] == false {
            break;
        }
    }
    assert!(pages > 2, "{pages}");
    assert_eq!(told, heard);
}

#[tokio::test]
async fn when_another_hubs_events_were_missed_everybody_is_told_to_read_anew() {
    let redis = Redis::start();
    let setup = Setup::new().without_env("REDIS_ENABLED");
    let scene = Scene::with(setup.env("REDIS_URL", redis.url())).await;
    redis.until_heard_by(1).await;
    let mut seq = 0;
    for (namespace, auth) in [("/ui", json!({})), ("/mobile", scene.auth())] {
        let mut socket = Engine::connected(scene.hub.port(), namespace, &auth).await;
        for before in [seq, seq + 2] {
            seq = before + 1;
            let event = json!({"sourceId": "x", "epoch": "e", "seq": seq, "prev": before, "data": {}});
            redis.publish("test:said", &event);
        }
        let reset = loop {
            let (name, data) = socket.event().await;
            if name == "state:reset" {
                break data;
            }
        };
        let now = scene.hub.get("/api/events").await.expect(200);
        assert_eq!(
            (&reset["reason"], &reset["epoch"]),
            (&json!("missed"), &now["epoch"]),
            "{namespace}"
        );
        assert!(reset["seq"].as_u64() <= now["seq"].as_u64(), "{reset} {now}");
    }
}
