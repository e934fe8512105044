//! What a phone does to agents: as a person and under its own name, once, on the record, and only what it may choose.

use serde_json::{Value, json};

use crate::harness::Daemon;
use crate::phone::{EVERYTHING, Phone, World, setup};

async fn audited(daemon: &Daemon) -> Vec<Value> {
    let output = daemon.ctl(&["audit", "-n", "1000", "--json"]).await;
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn inbox(daemon: &Daemon, world: &World) -> Value {
    let path = format!("/api/mail/inbox/{}?projectId={}", world.session, world.project);
    daemon.get(&path).await.expect(200)
}

#[tokio::test]
async fn a_phone_writes_mail_as_a_person_and_as_nobody_else() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "mail", None).await;
    let mail = json!({"projectId": world.project, "toSessionId": world.session, "type": "response",
                      "subject": "The first one", "replyToMailId": world.mail});
    let sent = phone.post("/api/mail", mail.clone()).await.expect(201);
    assert_eq!(sent["mails"][0]["fromSessionId"], "human");
    assert_eq!(inbox(&daemon, &world).await[0]["fromSessionId"], "human");
    for field in ["fromSessionId", "id", "createdAt", "threadId"] {
        let mut forged = mail.clone();
        forged[field] = world.session.as_str().into();
        let answer = phone.post("/api/mail", forged).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (400, Some("invalid")),
            "{field}"
        );
    }
    let thread = phone
        .get(&format!("/api/mail/thread/{}", world.mail))
        .await
        .expect(200);
    assert_eq!(thread["items"].as_array().unwrap().len(), 2);
    let mine = phone
        .get(&format!("/api/mail/inbox?projectId={}", world.project))
        .await
        .expect(200);
    assert_eq!(mine["items"][0]["subject"], "Which one?");
}

#[tokio::test]
async fn a_repeated_action_happens_once_and_a_changed_one_is_refused() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let (anna, berta) = (
        Phone::named(&daemon, "Anna", "mail,prompt", None).await,
        Phone::named(&daemon, "Berta", "mail,prompt", None).await,
    );
    let mail = |subject: &str| json!({"projectId": world.project, "toSessionId": world.session, "type": "query", "subject": subject});
    let first = anna.once("k1", "/api/mail", mail("hello")).await.expect(201);
    let again = anna.once("k1", "/api/mail", mail("hello")).await.expect(201);
    assert_eq!(first, again);
    let changed = anna.once("k1", "/api/mail", mail("something else")).await;
    assert_eq!(
        (changed.status, changed.json()["code"].as_str()),
        (422, Some("key_reused"))
    );
    let prompt = world.fill("/api/sessions/{id}/prompt");
    let elsewhere = anna.once("k1", &prompt, mail("hello")).await;
    assert_eq!(elsewhere.status, 422, "a key stands for one action");
    berta.once("k1", "/api/mail", mail("hello")).await.expect(201); // her own key
    assert_eq!(inbox(&daemon, &world).await.as_array().unwrap().len(), 2);
    let both = tokio::join!(
        anna.once("k2", &prompt, json!({"content": "go on"})),
        anna.once("k2", &prompt, json!({"content": "go on"})),
    );
    assert_eq!((both.0.status, both.1.status), (200, 200));
    let session = daemon
        .get(&world.fill("/api/sessions/{id}"))
        .await
        .expect(200)
        .to_string();
    assert_eq!(session.matches("go on").count(), 1, "{session}");
    assert_eq!(
        anna.once("", &prompt, json!({"content": "x"})).await.status,
        400,
        "an empty key is none"
    );
}

#[tokio::test]
async fn a_question_is_answered_once_and_who_is_late_is_told_by_whom() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let (anna, berta) = (
        Phone::named(&daemon, "Anna's phone", "view,answer", None).await,
        Phone::named(&daemon, "Berta's phone", "view,answer", None).await,
    );
    let question = json!({"type": "needs_input", "message": "Which one?"});
    daemon
        .post(&world.fill("/api/sessions/{id}/timeline"), question)
        .await
        .expect(200);
    let session = anna.get(&world.fill("/api/sessions/{id}")).await.expect(200);
    assert_eq!(session["needsInput"]["message"], "Which one?");
    let request = session["needsInput"]["requestId"]
        .as_str()
        .expect("a name for the question")
        .to_owned();
    let path = world.fill("/api/sessions/{id}/reply-input");
    let reply = |text: &str| json!({"requestId": request, "text": text});
    let taken = anna.once("k", &path, reply("the first")).await.expect(200);
    assert_eq!(
        (&taken["success"], &taken["requestId"]),
        (&true.into(), &request.as_str().into())
    );
    assert_eq!(
        anna.once("k", &path, reply("the first")).await.expect(200),
        taken,
        "a replay is no second answer"
    );
    let late = berta.post(&path, reply("the second")).await;
    let told = late.expect(409);
    assert_eq!(told["code"], "already_answered");
    assert_eq!(told["details"]["answeredBy"]["name"], "Anna's phone");
    let stale = berta
        .post(&path, json!({"requestId": "req_0", "text": "x"}))
        .await;
    assert_eq!(stale.status, 409);
    let nameless = berta.post(&path, json!({"text": "x"})).await;
    assert_eq!(nameless.status, 400, "from afar one says what one answers");
}

#[tokio::test]
async fn a_phone_starts_what_is_set_up_at_home_and_chooses_nothing_else() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "view,spawn", None).await;
    let members = phone
        .get(&format!("/api/team-members?projectId={}", world.project))
        .await
        .expect(200);
    let member = members["items"][0]["id"].as_str().unwrap().to_owned();
    let wish = json!({"taskId": world.task, "teamMemberId": member});
    for (field, value) in [
        ("argv", json!(["--dangerously-skip-permissions"])),
        ("command", json!("rm")),
        ("cwd", json!("/")),
        ("env", json!({"PATH": "/tmp"})),
        ("mode", json!("coordinate")),
        ("model", json!("x")),
        ("agentTool", json!("x")),
        ("skills", json!(["x"])),
        ("permissionMode", json!("bypassPermissions")),
        ("sessionId", json!("sess_1")),
    ] {
        let mut forged = wish.clone();
        forged[field] = value;
        let answer = phone.post("/api/sessions/spawn", forged).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (400, Some("invalid")),
            "{field}"
        );
    }
    for wrong in [
        json!({"taskId": "task_0", "teamMemberId": member}),
        json!({"taskId": world.task, "teamMemberId": "x"}),
    ] {
        assert_eq!(phone.post("/api/sessions/spawn", wrong).await.status, 404);
    }
    let mut told = wish.clone();
    told["text"] = "Begin with the tests.\nThen the rest.".into();
    let spawned = phone
        .once("k", "/api/sessions/spawn", told.clone())
        .await
        .expect(201);
    assert_eq!(spawned["textSent"], true);
    let id = spawned["session"]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        phone.once("k", "/api/sessions/spawn", told).await.expect(201)["session"]["id"],
        id.as_str()
    );
    let inbox = daemon
        .get(&format!("/api/mail/inbox/{id}?projectId={}", world.project))
        .await
        .expect(200);
    assert_eq!(inbox[0]["subject"], "Begin with the tests.");
    assert_eq!(inbox[0]["fromSessionId"], "human");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(phone.post("/api/sessions/spawn", wish.clone()).await.status);
    }
    assert_eq!(statuses[0], 201);
    assert_eq!(statuses[5], 429, "so many at once, and no more: {statuses:?}");
}

#[tokio::test]
async fn everything_done_from_outside_is_on_the_record_without_its_words() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let prompt = world.fill("/api/sessions/{id}/prompt");
    phone
        .post(&prompt, json!({"content": "secret words"}))
        .await
        .expect(200);
    let mail = json!({"projectId": world.project, "toSessionId": world.session, "type": "query",
                      "subject": "secret subject"});
    phone.post("/api/mail", mail).await.expect(201);
    let refused = phone
        .post("/api/sessions/sess_0/prompt", json!({"content": "x"}))
        .await;
    assert_eq!(refused.status, 404);
    let lines = audited(&daemon).await;
    let of = |action: &str| {
        lines
            .iter()
            .filter(|line| line["action"] == action)
            .collect::<Vec<_>>()
    };
    let prompts = of("prompt");
    assert_eq!(prompts.len(), 2, "{lines:?}");
    assert_eq!(
        (&prompts[0]["result"], &prompts[1]["result"]),
        (&"ok".into(), &"not_found".into())
    );
    assert_eq!(prompts[0]["device"], phone.id.as_str());
    assert_eq!(prompts[0]["session"], world.session.as_str());
    assert_eq!(prompts[0]["text"]["bytes"], "secret words".len());
    assert!(prompts[0]["request"].as_str().unwrap().starts_with("req-"));
    assert_eq!(of("mail").len(), 1);
    assert!(
        !lines.iter().any(|line| line.to_string().contains("secret")),
        "{lines:?}"
    );
}
