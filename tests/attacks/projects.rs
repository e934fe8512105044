//! A phone of one project knows of no other: what lies elsewhere is not there, whichever way it asks.

use serde_json::{Value, json};

use crate::harness::Daemon;
use crate::phone::{EVERYTHING, Phone, World, setup};

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
