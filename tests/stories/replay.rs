//! A script that was away: what it missed is told exactly, or it is told to begin anew.

use serde_json::{Value, json};

use crate::harness::{Daemon, Setup};

async fn ask(hub: &Daemon, epoch: &Value, since: u64, more: &str) -> Value {
    let epoch = epoch.as_str().expect("a text");
    hub.get(&format!("/api/events?epoch={epoch}&since={since}{more}"))
        .await
        .expect(200)
}

async fn project(hub: &Daemon, name: &str) -> String {
    let made = hub.post("/api/projects", json!({"name": name})).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn it_is_told_exactly_what_the_sockets_heard_meanwhile() {
    let hub = Setup::new().start().await;
    let start = hub.get("/api/events").await.expect(200);
    assert_eq!(start["events"], json!([]));
    let mut socket = hub.listen().await;
    let (one, two) = (project(&hub, "One").await, project(&hub, "Two").await);
    for project in [&one, &two] {
        let task = json!({"projectId": project, "title": "T"});
        hub.post("/api/tasks", task).await.expect(201);
    }
    let heard = socket.arrived().await;
    let since = start["seq"].as_u64().expect("a number");
    let missed = ask(&hub, &start["epoch"], since, "").await;
    let bare = |event: &Value| json!([event["event"], event["data"], event["timestamp"]]);
    let told: Vec<Value> = missed["events"].as_array().unwrap().iter().map(bare).collect();
    assert_eq!(told, heard.iter().map(bare).collect::<Vec<_>>());
    assert_eq!(missed["seq"], since + 4);

    let first = ask(&hub, &start["epoch"], since, "&limit=3").await;
    assert_eq!((&first["more"], &first["seq"]), (&json!(true), &json!(since + 3)));
    let rest = ask(&hub, &start["epoch"], since + 3, "").await;
    assert_eq!(rest["events"], json!([missed["events"][3]]));
    let of_two = ask(&hub, &start["epoch"], since, &format!("&projectId={two}")).await;
    assert_eq!(
        of_two["events"],
        json!([missed["events"][1], missed["events"][3]])
    );
    assert_eq!(of_two["seq"], missed["seq"]);
}

#[tokio::test]
async fn after_a_restart_or_with_a_number_of_the_future_it_is_told_to_begin_anew() {
    let hub = Setup::new().start().await;
    project(&hub, "One").await;
    let before = hub.get("/api/events").await.expect(200);
    let future = ask(&hub, &before["epoch"], 1_000_000, "").await;
    assert_eq!(future["reset"]["reason"], "there was no such event yet");
    let hub = hub.restart().await;
    let after = ask(&hub, &before["epoch"], 1, "").await;
    assert_eq!(after["reset"]["reason"], "the hub was started anew since");
    assert_ne!(after["epoch"], before["epoch"]);
    let again = ask(&hub, &after["epoch"], after["seq"].as_u64().unwrap(), "").await;
    assert_eq!((&again["events"], again.get("reset")), (&json!([]), None));
    assert_eq!(hub.get("/api/events?since=x").await.status, 400);
}

#[tokio::test]
async fn the_environment_of_a_spawn_is_not_told_again() {
    let hub = Setup::new().env("GEMINI_API_KEY", "key-of-gemini").start().await;
    let project = project(&hub, "One").await;
    let task = json!({"projectId": project, "title": "T"});
    let task = hub.post("/api/tasks", task).await.expect(201);
    let mut socket = hub.listen().await;
    let wish = json!({"projectId": project, "taskIds": [task["id"]], "spawnSource": "ui"});
    hub.post("/api/sessions/spawn", wish).await.expect(201);
    let heard = socket.next_event("session:spawn").await;
    assert_eq!(heard["data"]["envVars"]["GEMINI_API_KEY"], "key-of-gemini");
    let missed = hub.get("/api/events?since=0").await;
    assert!(missed.text().contains("session:spawn") && !missed.text().contains("key-of-gemini"));
}
