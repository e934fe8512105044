//! Keys, environments and paths are searched for in everything a phone can get, with every scope there is.

use serde_json::json;

use crate::phone::{EVERYTHING, Phone, World, setup, stranger};
use maestro::hub::ingress::table::{Decision, TABLE};

const KEY: &str = "sk-ant-secret-of-the-house";
const VARIABLE: &str = "value-of-an-environment";
const IDENTITY: &str = "instructions-for-the-agent-alone";

#[tokio::test]
async fn no_key_no_environment_and_no_path_leaves_through_the_ingress() {
    let daemon = setup().env("ANTHROPIC_API_KEY", KEY).start().await;
    let world = World::make(&daemon).await;
    let root = daemon.place().root().display().to_string();
    let hidden_doc = format!("{root}/work/plan.md");
    let session = world.fill("/api/sessions/{id}");
    daemon
        .patch(
            &session,
            json!({"env": {"ANTHROPIC_API_KEY": KEY, "MY_VARIABLE": VARIABLE}}),
        )
        .await
        .expect(200);
    let doc = json!({"title": "Plan", "filePath": hidden_doc, "content": "text", "taskId": world.task});
    daemon.post(&format!("{session}/docs"), doc).await.expect(200);
    let entry = json!({"type": "progress", "message": "half way", "metadata": {"env": {"A": VARIABLE}, "file": hidden_doc}});
    daemon
        .post(&format!("{session}/timeline"), entry)
        .await
        .expect(200);
    let hook = json!({"type": "file_modified", "data": {"file": hidden_doc, "env": VARIABLE}});
    daemon.post(&format!("{session}/events"), hook).await.expect(200);
    let modal = json!({"modalId": "modal_1", "html": format!("<p>{VARIABLE}</p>"), "filePath": hidden_doc});
    daemon.post(&format!("{session}/modal"), modal).await.expect(200);
    let member =
        json!({"projectId": world.project, "name": "M", "role": "r", "avatar": "x", "identity": IDENTITY});
    daemon.post("/api/team-members", member).await.expect(201);
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let members = phone
        .get(&format!("/api/team-members?projectId={}", world.project))
        .await
        .expect(200);
    let spawn = json!({"taskId": world.task, "teamMemberId": members["items"][0]["id"], "text": "go"});
    let mut answers = vec![phone.post("/api/sessions/spawn", spawn).await];
    assert_eq!(answers[0].status, 201);
    let at_home = daemon.get(&session).await.expect(200).to_string();
    assert!(
        at_home.contains(VARIABLE) && at_home.contains(&hidden_doc),
        "there is something to hide"
    );
    for (method, pattern, decision) in TABLE {
        if method != "GET" || *decision == Decision::Never {
            continue;
        }
        answers.push(phone.get(&world.fill(pattern)).await);
    }
    answers.push(phone.get("/api/events?since=0&limit=200").await);
    assert!(
        answers.last().unwrap().text().contains("session:spawn"),
        "the events are there"
    );
    answers.push(phone.get("/api/sessions/nothing").await);
    answers.push(
        phone
            .post(&world.fill("/api/sessions/{id}/prompt"), json!({"content": 5}))
            .await,
    );
    answers.push(phone.post("/api/mail", json!([])).await);
    answers.push(stranger(&daemon, phone.asks("POST", "/api/mail").raw_json("{")).await);
    for answer in &answers {
        let text = answer.text();
        for hidden in [
            KEY,
            VARIABLE,
            IDENTITY,
            &root,
            "ANTHROPIC_API_KEY",
            "MY_VARIABLE",
            "filePath",
            "workingDir",
            "\"env\"",
            "/src/",
        ] {
            assert!(!text.contains(hidden), "{} tells {hidden}: {text}", answer.what);
        }
    }
    let timeline = phone
        .get(&world.fill("/api/sessions/{id}/timeline"))
        .await
        .expect(200);
    assert!(timeline.to_string().contains("half way"));
    let docs = phone
        .get(&world.fill("/api/sessions/{id}/docs"))
        .await
        .expect(200);
    assert_eq!(docs["items"][0]["title"], "Plan");
}

#[tokio::test]
async fn long_histories_come_page_by_page_from_their_newest_end() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let path = world.fill("/api/sessions/{id}/timeline");
    for n in 0..30 {
        daemon
            .post(&path, json!({"message": format!("step {n}.")}))
            .await
            .expect(200);
    }
    let phone = Phone::pair(&daemon, "view", None).await;
    let newest = phone.get(&format!("{path}?limit=10")).await.expect(200);
    let items = newest["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[9]["message"]), (10, &"step 29.".into()));
    let mut before = newest["before"].as_u64();
    let mut seen = items.len();
    while let Some(number) = before {
        let older = phone
            .get(&format!("{path}?limit=10&before={number}"))
            .await
            .expect(200);
        seen += older["items"].as_array().unwrap().len();
        before = older["before"].as_u64();
    }
    assert_eq!(seen as u64, newest["total"].as_u64().unwrap());
    let brief = phone.get("/api/sessions").await.expect(200);
    assert!(!brief.to_string().contains("step 29."), "a list has no histories");
    for wrong in ["limit=0", "limit=x", "before=-1"] {
        assert_eq!(phone.get(&format!("{path}?{wrong}")).await.status, 400, "{wrong}");
    }
}
