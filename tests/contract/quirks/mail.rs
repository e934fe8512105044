//! Quirks of mail: 2, 3, 4, 24, 25, 26.

use serde_json::{Value, json};

use crate::{
    harness::{Ask, eventually},
    scene::Scene,
};

#[tokio::test]
async fn quirk_02_null_as_recipient_is_everybody_whatever_the_scope() {
    let scene = Scene::new().await;
    let boss = scene.session(json!({})).await;
    let worker = scene.session(json!({"parentSessionId": boss})).await;
    let broadcast = json!({"fromSessionId": boss, "toSessionId": null, "scope": "my-workers"});
    assert_eq!(
        scene.mail(broadcast).await.expect(201)["toSessionId"],
        Value::Null
    );
    let scoped = json!({"fromSessionId": boss, "scope": "my-workers"});
    assert_eq!(scene.mail(scoped).await.expect(201)["toSessionId"], worker);
}

#[tokio::test]
async fn quirk_03_a_scope_with_nobody_active_is_everybody() {
    let scene = Scene::new().await;
    let boss = scene.session(json!({})).await;
    scene
        .session(json!({"parentSessionId": boss, "status": "stopped"}))
        .await;
    for scope in ["my-workers", "team"] {
        let mail = scene.mail(json!({"fromSessionId": boss, "scope": scope})).await;
        assert_eq!(mail.expect(201)["toSessionId"], Value::Null, "{scope}");
    }
}

#[tokio::test]
async fn quirk_04_an_inbox_without_a_project_is_empty() {
    let scene = Scene::new().await;
    scene
        .mail(json!({"fromSessionId": "a", "toSessionId": "b"}))
        .await
        .expect(201);
    assert_eq!(scene.get("/api/mail/inbox/b").await, json!([]));
    assert_eq!(scene.get("/api/mail/wait/b?timeout=1000").await, json!([]));
    assert_eq!(scene.inbox("b").await.len(), 1);
}

#[tokio::test]
async fn quirk_24_a_wait_gives_the_backlog_in_order_of_time_and_wakes_with_one_mail() {
    let scene = Scene::new().await;
    for (subject, priority) in [("first", "low"), ("second", "critical")] {
        let mail =
            json!({"fromSessionId": "a", "toSessionId": "b", "subject": subject, "priority": priority});
        scene.mail(mail).await.expect(201);
    }
    let subjects = |mails: &Value| -> Vec<String> {
        let mails = mails.as_array().expect("a list");
        mails
            .iter()
            .map(|mail| mail["subject"].as_str().expect("text").to_owned())
            .collect()
    };
    let wait = format!("/api/mail/wait/b?projectId={}", scene.project);
    let backlog = scene.get(&wait).await;
    assert_eq!(subjects(&backlog), ["first", "second"], "not by priority");
    assert_eq!(
        scene.inbox("b").await[0]["subject"],
        "second",
        "the inbox is by priority"
    );

    let since = scene.get("/health").await["timestamp"].as_u64().expect("ms") + 60_000;
    let port = scene.daemon.port();
    let waiting = tokio::spawn(Ask::new("GET", format!("{wait}&since={since}")).to(port));
    // Mails until it wakes: one sent before it waits is not newer than `since`, so it does not count.
    eventually("the waiter wakes", || async {
        let mail = json!({"fromSessionId": "a", "toSessionId": "b", "subject": "wake"});
        scene.mail(mail).await.expect(201);
        waiting.is_finished().then_some(())
    })
    .await;
    let woken = waiting.await.expect("it was answered").expect(200);
    assert_eq!(
        subjects(&woken),
        ["wake"],
        "`since` does not hold back the mail that wakes"
    );
}

#[tokio::test]
async fn quirk_25_mail_to_a_member_ignores_sessions_with_several_members() {
    let scene = Scene::new().await;
    let member = scene.member(json!({})).await;
    let other = scene.member(json!({})).await;
    let session = scene
        .session(json!({"metadata": {"teamMemberIds": [member, other]}}))
        .await;
    let shown = scene.get(&format!("/api/sessions/{session}")).await;
    assert_eq!(shown["teamMemberIds"], json!([member, other]));
    assert_eq!(shown.get("teamMemberId"), None);

    let refused = scene
        .mail(json!({"fromSessionId": "a", "toTeamMemberId": member}))
        .await
        .expect(404);
    let message = format!("Active session for team member with id '{member}' not found");
    assert_eq!(refused, crate::scene::form_a(404, "NOT_FOUND", &message));
}

#[tokio::test]
async fn quirk_26_a_broadcast_is_in_the_inbox_of_its_sender() {
    let scene = Scene::new().await;
    let boss = scene.session(json!({})).await;
    let sent = scene.mail(json!({"fromSessionId": boss})).await.expect(201);
    assert_eq!(scene.inbox(&boss).await, [sent]);
}
