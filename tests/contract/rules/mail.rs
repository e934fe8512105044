//! API.md section 10.

use serde_json::{Value, json};

use crate::scene::{Scene, form_a, id_of};

fn subjects(mails: &Value) -> Vec<&str> {
    let mails = mails.as_array().expect("a list");
    mails.iter().filter_map(|mail| mail["subject"].as_str()).collect()
}

/// The paths of form C's details, after checking the rest of the form.
fn problems(body: &Value, message: &str) -> Vec<String> {
    assert_eq!(
        (&body["error"], &body["code"]),
        (&json!(true), &json!("VALIDATION_ERROR"))
    );
    assert_eq!(body["message"], message);
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(4), "{body}");
    let details = body["details"].as_array().expect("details");
    let mut paths = Vec::new();
    for detail in details {
        assert!(detail["message"].is_string(), "{detail}");
        paths.push(detail["path"].as_str().expect("text").to_owned());
    }
    paths
}

#[tokio::test]
async fn every_problem_of_a_mail_is_named_and_unknown_keys_together() {
    let scene = Scene::new().await;
    let sound = json!({"projectId": "p", "fromSessionId": "s", "type": "query", "subject": "x"});
    for (changes, paths) in [
        (json!({"projectId": null}), vec!["projectId"]),
        (
            json!({"projectId": "a/b", "fromSessionId": ""}),
            vec!["projectId", "fromSessionId"],
        ),
        (json!({"type": "gossip"}), vec!["type"]),
        (json!({"subject": "x".repeat(501)}), vec!["subject"]),
        (json!({"toSessionId": 5}), vec!["toSessionId"]),
        (json!({"toTeamMemberId": null}), vec!["toTeamMemberId"]),
        (json!({"replyToMailId": "a b"}), vec!["replyToMailId"]),
        (json!({"body": null}), vec!["body"]),
        (json!({"body": []}), vec!["body"]),
        (json!({"priority": "urgent"}), vec!["priority"]),
        (json!({"scope": null}), vec!["scope"]),
        (json!({"x": 1, "y": 2}), vec![""]),
        (json!({"id": "mail_1"}), vec![""]),
    ] {
        let mut mail = sound.clone();
        let fields = mail.as_object_mut().expect("an object");
        fields.extend(changes.as_object().expect("an object").clone());
        let refused = scene.daemon.post("/api/mail", mail).await.expect(400);
        assert_eq!(problems(&refused, "Invalid request body"), paths, "{changes}");
    }
    let refused = scene.daemon.post("/api/mail", json!([])).await.expect(400);
    assert_eq!(problems(&refused, "Invalid request body"), [""]);
    let longest =
        json!({"projectId": "p", "fromSessionId": "s", "type": "query", "subject": "x".repeat(500)});
    scene.daemon.post("/api/mail", longest).await.expect(201);
}

#[tokio::test]
async fn queries_and_ids_of_mail_are_checked_strictly() {
    let scene = Scene::new().await;
    for (path, message, paths) in [
        ("/api/mail/inbox/a%20b", "Invalid URL parameters", ["id"]),
        ("/api/mail/a.b", "Invalid URL parameters", ["id"]),
        ("/api/mail/inbox/s?color=red", "Invalid query parameters", [""]),
        (
            "/api/mail/inbox/s?projectId=a.b",
            "Invalid query parameters",
            ["projectId"],
        ),
        (
            "/api/mail/inbox/s?since=soon",
            "Invalid query parameters",
            ["since"],
        ),
        (
            "/api/mail/inbox/s?type=gossip",
            "Invalid query parameters",
            ["type"],
        ),
        (
            "/api/mail/wait/s?timeout=999",
            "Invalid query parameters",
            ["timeout"],
        ),
        (
            "/api/mail/wait/s?timeout=120001",
            "Invalid query parameters",
            ["timeout"],
        ),
    ] {
        let refused = scene.daemon.get(path).await.expect(400);
        let found = problems(&refused, message);
        assert_eq!(found.len(), 1, "{path}");
        if message != "Invalid URL parameters" {
            assert_eq!(found, paths, "{path}");
        }
    }
}

#[tokio::test]
async fn mail_to_a_member_goes_to_each_active_session_of_his() {
    let mut scene = Scene::new().await;
    let task = scene.task(json!({})).await;
    let member = scene.member(json!({})).await;
    let mut sessions = Vec::new();
    for status in ["working", "idle", "stopped"] {
        let spawn = json!({"taskIds": [task], "teamMemberId": member});
        let spawned = scene.post("/api/sessions/spawn", spawn).await.expect(201);
        let id = spawned["sessionId"].as_str().expect("an id").to_owned();
        scene
            .patch(&format!("/api/sessions/{id}"), json!({"status": status}))
            .await;
        sessions.push(id);
    }
    scene.events().await;
    let mail = json!({"fromSessionId": "a", "toTeamMemberId": member, "toSessionId": null, "scope": "all"});
    let sent = scene.mail(mail).await.expect(201);
    let sent = sent.as_array().expect("a list, for there are two");
    assert_eq!(sent.len(), 2);
    for (mail, session) in sent.iter().zip(&sessions) {
        assert_eq!(mail["toSessionId"], session.as_str());
        assert_eq!(mail["threadId"], mail["id"], "each is a thread of its own");
        for absent in ["scope", "toTeamMemberId", "priority"] {
            assert_eq!(mail.get(absent), None, "{absent}");
        }
    }
    assert_eq!(scene.events().await, ["mail:received", "mail:received"]);
    let direct = json!({"fromSessionId": "a", "toTeamMemberId": member, "toSessionId": "someone"});
    assert_eq!(
        scene.mail(direct).await.expect(201)["toSessionId"],
        "someone",
        "a session wins"
    );
}

#[tokio::test]
async fn scopes_reach_workers_and_siblings() {
    let scene = Scene::new().await;
    let boss = scene.session(json!({})).await;
    let mut workers = Vec::new();
    for status in ["working", "spawning", "idle", "failed"] {
        workers.push(
            scene
                .session(json!({"parentSessionId": boss, "status": status}))
                .await,
        );
    }
    let to = |sent: &Value| -> Vec<String> {
        let mails = sent.as_array().expect("a list");
        mails
            .iter()
            .map(|mail| mail["toSessionId"].as_str().expect("an id").to_owned())
            .collect()
    };
    let sent = scene
        .mail(json!({"fromSessionId": boss, "scope": "my-workers"}))
        .await
        .expect(201);
    assert_eq!(to(&sent), workers[..3]);
    let sent = scene
        .mail(json!({"fromSessionId": workers[0], "scope": "team"}))
        .await
        .expect(201);
    assert_eq!(to(&sent), workers[1..3]);
    let all = scene
        .mail(json!({"fromSessionId": boss, "scope": "all"}))
        .await
        .expect(201);
    assert_eq!(all["toSessionId"], Value::Null);
}

#[tokio::test]
async fn replies_stay_in_their_thread() {
    let scene = Scene::new().await;
    let first = scene
        .mail(json!({"fromSessionId": "a", "toSessionId": "b", "subject": "1"}))
        .await
        .expect(201);
    let reply =
        json!({"fromSessionId": "b", "toSessionId": "a", "subject": "2", "replyToMailId": first["id"]});
    let second = scene.mail(reply).await.expect(201);
    let reply = json!({
        "projectId": "elsewhere", "fromSessionId": "a", "toSessionId": "b", "subject": "3",
        "replyToMailId": second["id"]
    });
    let third = scene.mail(reply).await.expect(201);
    assert_eq!(third["threadId"], first["id"]);
    let lost = json!({"fromSessionId": "a", "replyToMailId": "mail_unknown"});
    let lost = scene.mail(lost).await.expect(201);
    assert_eq!(
        (&lost["threadId"], &lost["replyToMailId"]),
        (&lost["id"], &json!("mail_unknown"))
    );

    let thread = scene.get(&format!("/api/mail/thread/{}", id_of(&first))).await;
    assert_eq!(subjects(&thread), ["1", "2", "3"]);
    assert_eq!(scene.get("/api/mail/thread/none").await, json!([]));
    assert_eq!(scene.get(&format!("/api/mail/{}", id_of(&second))).await, second);
}

#[tokio::test]
async fn an_inbox_is_by_priority_then_time_and_can_be_narrowed() {
    let scene = Scene::new().await;
    for (subject, priority) in [
        ("low", "low"),
        ("none", ""),
        ("normal", "normal"),
        ("high", "high"),
        ("critical", "critical"),
    ] {
        let mut mail = json!({"fromSessionId": "a", "toSessionId": "b", "subject": subject});
        if !priority.is_empty() {
            mail["priority"] = json!(priority);
        }
        scene.mail(mail).await.expect(201);
    }
    scene
        .mail(json!({"fromSessionId": "a", "type": "directive", "subject": "to all"}))
        .await
        .expect(201);
    scene
        .mail(json!({"fromSessionId": "a", "toSessionId": "c", "subject": "other's"}))
        .await
        .expect(201);
    let inbox = format!("/api/mail/inbox/b?projectId={}", scene.project);
    let all = scene.get(&inbox).await;
    assert_eq!(
        subjects(&all),
        ["critical", "high", "none", "normal", "to all", "low"]
    );
    assert_eq!(
        subjects(&scene.get(&format!("{inbox}&type=directive")).await),
        ["to all"]
    );
    assert_eq!(subjects(&scene.get(&format!("{inbox}&since=0")).await).len(), 6);
    let latest = all
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|m| m["createdAt"].as_u64())
        .max();
    let since = latest.expect("mails have times");
    assert_eq!(
        scene.get(&format!("{inbox}&since={since}")).await,
        json!([]),
        "exclusive"
    );
}

#[tokio::test]
async fn a_deleted_mail_is_gone() {
    let mut scene = Scene::new().await;
    let mail = id_of(
        &scene
            .mail(json!({"fromSessionId": "a", "toSessionId": "b"}))
            .await
            .expect(201),
    );
    scene.events().await;
    let path = format!("/api/mail/{mail}");
    assert_eq!(
        scene.daemon.delete(&path).await.expect(200),
        json!({"deleted": true, "id": mail})
    );
    assert_eq!(scene.events().await, ["mail:deleted"]);
    let gone = form_a(404, "NOT_FOUND", &format!("Mail with id '{mail}' not found"));
    assert_eq!(scene.daemon.delete(&path).await.expect(404), gone);
    assert_eq!(scene.daemon.get(&path).await.expect(404), gone);
    assert_eq!(scene.inbox("b").await, Vec::<Value>::new());
}
