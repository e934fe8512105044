//! A phone of one project knows of no other: what lies elsewhere is not there, whichever way it asks.

use serde_json::{Value, json};

use crate::harness::Daemon;
use crate::phone::{EVERYTHING, Phone, World, setup};
use crate::wire::Wire;

#[tokio::test]
async fn a_phone_of_one_project_sees_nothing_of_another() {
    let daemon = setup().start().await;
    let (mine, other) = (World::make(&daemon).await, World::make(&daemon).await);
    let phone = Phone::pair(&daemon, EVERYTHING, Some(&mine.project)).await;
    for list in [
        "/api/projects",
        "/api/tasks",
        "/api/sessions",
        "/api/events?since=0",
    ] {
        let seen = phone.get(list).await.expect(200);
        let text = seen.to_string();
        assert!(text.contains(&mine.project), "{list}: {text}");
        for hidden in [&other.project, &other.task, &other.session, &other.mail] {
            assert!(!text.contains(hidden.as_str()), "{list}: {text}");
        }
    }
    for pattern in [
        "/api/projects/{id}",
        "/api/tasks/{id}",
        "/api/sessions/{id}",
        "/api/sessions/{id}/timeline",
        "/api/sessions/{id}/docs",
        "/api/mail/{id}",
        "/api/mail/thread/{id}",
        "/api/team-members",
        "/api/mail/inbox",
    ] {
        phone.get(&mine.fill(pattern)).await.expect(200);
        let answer = phone.get(&other.fill(pattern)).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (404, Some("not_found")),
            "{pattern}"
        );
    }
    for filter in ["/api/tasks?projectId=", "/api/sessions?projectId="] {
        assert_eq!(phone.get(&format!("{filter}{}", other.project)).await.status, 404);
    }
}

#[tokio::test]
async fn all_projects_of_a_socket_are_those_that_its_device_may_see() {
    let daemon = setup().start().await;
    let (mine, other) = (World::make(&daemon).await, World::make(&daemon).await);
    let phone = Phone::pair(&daemon, EVERYTHING, Some(&mine.project)).await;
    let mut wire = Wire::join_all(&daemon, &phone).await;
    let state = wire.request("state:sync", json!({})).await;
    assert_eq!(state["sessions"][0]["id"], mine.session.as_str());
    for (verb, of_mine, of_other) in [
        (
            "team:list",
            json!({"projectId": mine.project}),
            json!({"projectId": other.project}),
        ),
        ("mail:thread", json!({"id": mine.mail}), json!({"id": other.mail})),
        (
            "session:timeline",
            json!({"sessionId": mine.session}),
            json!({"sessionId": other.session}),
        ),
    ] {
        assert_eq!(wire.request(verb, of_mine).await["success"], true, "{verb}");
        assert_eq!(wire.request(verb, of_other).await["code"], "not_found", "{verb}");
    }
    for world in [&mine, &other] {
        let beat = json!({"pid": std::process::id()});
        daemon
            .post(&world.fill("/api/sessions/{id}/heartbeat"), beat)
            .await
            .expect(200);
    }
    let agents = wire.request("agents:list", json!({})).await;
    assert_eq!(agents["agents"].as_array().map(Vec::len), Some(1), "{agents}");
    assert_eq!(agents["agents"][0]["sessionId"], mine.session.as_str());
    for world in [&other, &mine] {
        let entry = json!({"type": "progress", "message": "on it"});
        daemon
            .post(&world.fill("/api/sessions/{id}/timeline"), entry)
            .await
            .expect(200);
    }
    // What comes after it shows that nothing came before.
    wire.event("session:updated").await;
    for hidden in [&other.project, &other.task, &other.session, &other.mail] {
        let told = wire.heard.replace(&format!("'{hidden}' not found"), "");
        assert!(!told.contains(hidden.as_str()), "{told}");
    }
}

#[tokio::test]
async fn lists_of_a_socket_need_their_scopes_like_everything_else() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let reads = [
        ("agents:list", json!({}), "view"),
        ("team:list", json!({"projectId": world.project}), "view"),
        ("mail:thread", json!({"id": world.mail}), "mail"),
    ];
    for has in ["view", "mail", "answer"] {
        let phone = Phone::pair(&daemon, has, None).await;
        let mut wire = Wire::join_all(&daemon, &phone).await;
        for (verb, data, needs) in &reads {
            let answer = wire.request(verb, data.clone()).await;
            match has == *needs {
                true => assert_eq!(answer["success"], true, "{verb} with {has}: {answer}"),
                false => assert_eq!(answer["code"], "scope", "{verb} with {has}"),
            }
        }
        let state = wire.request("state:sync", json!({})).await;
        assert_eq!(state.get("sessions").is_some(), has == "view", "{state}");
        assert_eq!(state.get("mail").is_some(), has == "mail", "{state}");
    }
}

/// Somebody who could be started in that project.
async fn member(daemon: &Daemon, world: &World) -> String {
    let members = daemon
        .get(&format!("/api/team-members?projectId={}", world.project))
        .await
        .expect(200);
    members[0]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_phone_of_one_project_changes_nothing_in_another() {
    let daemon = setup().start().await;
    let (mine, other) = (World::make(&daemon).await, World::make(&daemon).await);
    let phone = Phone::pair(&daemon, EVERYTHING, Some(&mine.project)).await;
    let (at_mine, at_other) = (member(&daemon, &mine).await, member(&daemon, &other).await);
    let mail = |project: &str, to: &str| json!({"projectId": project, "toSessionId": to, "type": "query", "subject": "hello"});
    for (path, body) in [
        (
            other.fill("/api/sessions/{id}/prompt"),
            json!({"content": "hello"}),
        ),
        (
            other.fill("/api/sessions/{id}/reply-input"),
            json!({"requestId": "req_1", "text": "yes"}),
        ),
        (
            "/api/sessions/spawn".into(),
            json!({"taskId": other.task, "teamMemberId": at_other}),
        ),
        (
            "/api/sessions/spawn".into(),
            json!({"taskId": mine.task, "teamMemberId": at_other}),
        ),
        (
            "/api/sessions/spawn".into(),
            json!({"taskId": other.task, "teamMemberId": at_mine}),
        ),
        ("/api/mail".into(), mail(&other.project, &other.session)),
        ("/api/mail".into(), mail(&mine.project, &other.session)),
    ] {
        let answer = phone.post(&path, body.clone()).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (404, Some("not_found")),
            "{path} {body}"
        );
    }
    let session = daemon
        .get(&format!("/api/sessions/{}", other.session))
        .await
        .expect(200);
    assert!(!session.to_string().contains("hello"));
    let inbox = format!("/api/mail/inbox/{}?projectId={}", other.session, other.project);
    assert_eq!(daemon.get(&inbox).await.expect(200), Value::Array(Vec::new()));
}
