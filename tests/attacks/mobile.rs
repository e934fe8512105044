//! What a phone does over its socket counts as much as over REST: it is on the record, within budgets, and ends at once
//! when the device is revoked or narrowed.

use std::{fs, time::Instant};

use serde_json::{Value, json};

use crate::harness::{Ask, Daemon, eventually};
use crate::phone::{EVERYTHING, Phone, World, setup, stranger};
use crate::sockets::{POLL, with_cookie};
use crate::wire::Wire;

/// The audit as it is on disk now.
fn on_record(daemon: &Daemon, action: &str) -> Vec<Value> {
    let text = fs::read_to_string(daemon.place().state_dir().join("audit.jsonl")).expect("an audit");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line"));
    lines.filter(|line| line["action"] == action).collect()
}

async fn member(phone: &Phone<'_>, world: &World) -> String {
    let path = format!("/api/team-members?projectId={}", world.project);
    let members = phone.get(&path).await.expect(200);
    members["items"][0]["id"].as_str().expect("a member").to_owned()
}

/// Makes the session wait; the name of its question.
async fn question(daemon: &Daemon, world: &World) -> String {
    let question = json!({"type": "needs_input", "message": "Which one?"});
    let path = world.fill("/api/sessions/{id}/timeline");
    daemon.post(&path, question).await.expect(200);
    let session = daemon.get(&world.fill("/api/sessions/{id}")).await.expect(200);
    session["needsInput"]["requestId"]
        .as_str()
        .expect("a name")
        .to_owned()
}

async fn done(daemon: &Daemon, args: &[&str]) {
    let output = daemon.ctl(args).await;
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn what_is_done_over_a_socket_is_on_disk_in_the_audit_when_it_is_acknowledged() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let member = member(&phone, &world).await;
    let asked = question(&daemon, &world).await;
    let mut wire = Wire::join(&daemon, &phone, &world.project).await;
    for (verb, action, data, bytes) in [
        (
            "mail:send",
            "mail",
            json!({"type": "query", "subject": "secret subject", "toSessionId": world.session, "requestId": "r1"}),
            None,
        ),
        (
            "session:prompt",
            "prompt",
            json!({"sessionId": world.session, "content": "secret words"}),
            Some("secret words".len()),
        ),
        (
            "session:reply-input",
            "answer",
            json!({"sessionId": world.session, "requestId": asked, "text": "secret answer"}),
            Some("secret answer".len()),
        ),
        (
            "session:spawn",
            "spawn",
            json!({"projectId": world.project, "teamMemberId": member, "message": "secret task", "requestId": "r2"}),
            Some("secret task".len()),
        ),
    ] {
        let answer = wire.request(verb, data.clone()).await;
        assert_eq!(answer["success"], true, "{verb}: {answer}");
        let lines = on_record(&daemon, action);
        assert_eq!(lines.len(), 1, "{verb}: {lines:?}");
        let line = &lines[0];
        assert_eq!(
            (&line["result"], &line["by"], &line["device"], &line["project"]),
            (
                &json!("ok"),
                &json!("device"),
                &json!(phone.id),
                &json!(world.project)
            ),
            "{verb}"
        );
        let session = answer.get("sessionId").cloned().unwrap_or(json!(world.session));
        assert_eq!(line["session"], session, "{verb}");
        if let Some(bytes) = bytes {
            assert_eq!(line["text"]["bytes"], bytes, "{verb}");
        }
        if data.get("requestId").is_some() && verb != "session:reply-input" {
            assert_eq!(wire.request(verb, data).await, answer, "{verb}, repeated");
            assert_eq!(on_record(&daemon, action).len(), 1, "{verb} was done once");
        }
    }
    let refused = wire
        .request("session:prompt", json!({"sessionId": "sess_0", "content": "x"}))
        .await;
    assert_eq!(refused["code"], "not_found");
    let prompts = on_record(&daemon, "prompt");
    assert_eq!((prompts.len(), &prompts[1]["result"]), (2, &json!("not_found")));
    let prompt = json!({"content": "at home"});
    daemon
        .post(&world.fill("/api/sessions/{id}/prompt"), prompt)
        .await
        .expect(200);
    assert_eq!(
        on_record(&daemon, "prompt").len(),
        2,
        "what is done at home is nobody's business"
    );
    let all = fs::read_to_string(daemon.place().state_dir().join("audit.jsonl")).unwrap();
    assert!(!all.contains("secret"), "{all}");
}

#[tokio::test]
async fn nothing_is_done_over_a_socket_that_cannot_be_written_down() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let asked = question(&daemon, &world).await;
    let member = member(&phone, &world).await;
    let mut wire = Wire::join(&daemon, &phone, &world.project).await;
    let file = daemon.place().state_dir().join("audit.jsonl");
    fs::rename(&file, file.with_extension("aside")).unwrap();
    fs::create_dir(&file).unwrap();
    done(&daemon, &["pair", "--no-wait", "--json"]).await; // the operator goes on, and the hub notices
    let wishes = [
        (
            "mail:send",
            json!({"type": "query", "subject": "unseen", "toSessionId": world.session, "requestId": "r1"}),
        ),
        (
            "session:prompt",
            json!({"sessionId": world.session, "content": "unseen"}),
        ),
        (
            "session:reply-input",
            json!({"sessionId": world.session, "requestId": asked, "text": "unseen"}),
        ),
        (
            "session:spawn",
            json!({"projectId": world.project, "teamMemberId": member, "message": "unseen", "requestId": "r2"}),
        ),
    ];
    for (verb, data) in &wishes {
        let answer = wire.request(verb, data.clone()).await;
        assert_eq!(
            (&answer["success"], &answer["code"]),
            (&json!(false), &json!("unavailable")),
            "{verb}: {answer}"
        );
    }
    let inbox = format!("/api/mail/inbox/{}?projectId={}", world.session, world.project);
    for path in [
        world.fill("/api/sessions/{id}"),
        inbox,
        format!("/api/sessions?projectId={}", world.project),
        format!("/api/tasks?projectId={}", world.project),
    ] {
        let text = daemon.get(&path).await.expect(200).to_string();
        assert!(!text.contains("unseen"), "{path}: {text}");
    }
    assert_eq!(
        wire.request("state:sync", json!({})).await["success"],
        true,
        "looking is free"
    );
    fs::remove_dir(&file).unwrap();
    let mut wire = Wire::join(&daemon, &phone, &world.project).await;
    let begun = Instant::now();
    loop {
        let answer = wire.request(wishes[1].0, wishes[1].1.clone()).await;
        if answer["success"] == true {
            break;
        }
        assert!(begun.elapsed() < crate::harness::PATIENCE, "{answer}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(on_record(&daemon, "prompt").len(), 1);
}

#[tokio::test]
async fn agents_started_over_a_socket_and_over_rest_share_one_budget() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "view,spawn", None).await;
    let member = member(&phone, &world).await;
    let mut wire = Wire::join(&daemon, &phone, &world.project).await;
    let wish = |n: usize| {
        json!({"projectId": world.project, "teamMemberId": member, "taskIds": [world.task],
               "requestId": format!("r{n}")})
    };
    for n in 0..3 {
        let answer = wire.request("session:spawn", wish(n)).await;
        assert_eq!(answer["success"], true, "{answer}");
    }
    let rest = json!({"taskId": world.task, "teamMemberId": member});
    phone.post("/api/sessions/spawn", rest.clone()).await.expect(201);
    let fifth = wire.request("session:spawn", wish(5)).await;
    assert_eq!(
        (&fifth["success"], &fifth["code"]),
        (&json!(false), &json!("rate"))
    );
    assert!(
        fifth["retryAfter"].as_u64().is_some_and(|wait| wait > 0),
        "{fifth}"
    );
    assert_eq!(phone.post("/api/sessions/spawn", rest).await.status, 429);
}

#[tokio::test]
async fn a_device_has_one_budget_of_messages_whichever_way_it_sends_them() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "view", None).await;
    let other = Phone::named(&daemon, "Another", "view", None).await;
    let mut wire = Wire::join(&daemon, &phone, &world.project).await;
    // Most of it is spent here, and more than a socket alone would let through is never sent there.
    let mut rest = 0;
    while phone.get("/api/devices/me").await.status == 200 {
        rest += 1;
        assert!(rest < 2000, "it never ends");
    }
    let mut refused = None;
    for _ in 0..50 {
        let answer = wire.request("session:subscribe", json!([])).await;
        if answer["success"] == false {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the budget is spent");
    assert_eq!(refused["code"], "rate", "{refused}");
    assert!(refused["retryAfter"].is_u64(), "{refused}");
    let mut wire = Wire::join(&daemon, &other, &world.project).await;
    assert_eq!(
        wire.request("session:subscribe", json!([])).await["success"],
        true
    );
}

#[tokio::test]
async fn who_guesses_the_other_half_is_slowed_down_and_the_phone_itself_is_not() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "view", None).await;
    let (_guess, told) = Wire::try_join(&daemon, &phone, "guess", &world.project).await;
    assert!(
        told.starts_with("44/mobile,") && told.contains("unknown_device"),
        "{told}"
    );
    for n in 0..25 {
        let guess = Ask::new("GET", "/api/projects")
            .header("cookie", format!("__Host-maestro={}", phone.cookie))
            .header("x-maestro-device", format!("guess{n}"));
        assert_ne!(stranger(&daemon, guess).await.status, 200);
    }
    let (_guess, told) = Wire::try_join(&daemon, &phone, "guess", &world.project).await;
    assert!(
        told.starts_with("44/mobile,") && told.contains("\"rate\""),
        "one budget, whichever way: {told}"
    );
    Wire::join(&daemon, &phone, &world.project).await;
    phone.get("/api/projects").await.expect(200);
    assert!(!on_record(&daemon, "authenticate").is_empty());
}

#[tokio::test]
async fn a_device_has_four_sockets_and_all_devices_together_sixty_four() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let mut wires = Vec::new();
    let mut phones = Vec::new();
    for n in 0..17 {
        phones.push(Phone::named(&daemon, &format!("Phone {n}"), "view", None).await);
    }
    for _ in 0..4 {
        wires.push(Wire::join(&daemon, &phones[0], &world.project).await);
    }
    let refused = |answer: Result<Wire, (u16, String)>| match answer {
        Ok(_) => panic!("one socket too many"),
        Err((status, body)) => assert!(
            status == 503 && body.contains("too_many_sockets"),
            "{status} {body}"
        ),
    };
    refused(Wire::open(&daemon, &phones[0]).await);
    for phone in &phones[1..16] {
        for _ in 0..4 {
            wires.push(Wire::open(&daemon, phone).await.expect("there is room"));
        }
    }
    refused(Wire::open(&daemon, &phones[16]).await);
    daemon.listen().await; // at home nobody notices
    drop(wires);
    eventually("there is room again", || async {
        Wire::open(&daemon, &phones[16]).await.ok().map(drop)
    })
    .await;
}

#[tokio::test]
async fn a_revoked_device_is_told_so_on_its_open_socket_and_its_open_poll_and_both_are_closed() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let mut wire = Wire::join(&daemon, &phone, &world.project).await;
    // Another socket of it that polls.
    let opened = stranger(&daemon, with_cookie(&phone, "GET", POLL)).await;
    let hello: Value = serde_json::from_str(&opened.text()[1..]).expect("an open packet");
    let path = format!("{POLL}&sid={}", hello["sid"].as_str().unwrap());
    let auth = json!({"token": phone.token, "projectId": world.project});
    let join = with_cookie(&phone, "POST", &path)
        .header("content-type", "text/plain;charset=UTF-8")
        .body(format!("40/mobile,{auth}"));
    assert_eq!(stranger(&daemon, join).await.status, 200);
    let mut polled = String::new();
    while !polled.contains("\"hello\"") {
        polled += &stranger(&daemon, with_cookie(&phone, "GET", &path)).await.text();
    }
    let held = async {
        let mut polled = String::new();
        while !polled.contains("disconnect:reason") {
            let answer = stranger(&daemon, with_cookie(&phone, "GET", &path)).await;
            polled += &answer.text();
            assert!(
                answer.status == 200,
                "it ended without a reason: {} {polled}",
                answer.status
            );
        }
        (polled, Instant::now())
    };
    let told = async {
        let reason = wire.event("disconnect:reason").await;
        wire.ended().await;
        (reason, Instant::now())
    };
    let revoked = async {
        done(&daemon, &["devices", "revoke", &phone.id]).await;
        Instant::now()
    };
    let ((polled, poll_told), (reason, socket_closed), revoked) = tokio::join!(held, told, revoked);
    assert_eq!(reason["code"], "revoked", "{reason}");
    assert!(polled.contains("\"revoked\""), "{polled}");
    println!(
        "after `maestroctl devices revoke` ended, the poll was told {} ms later, the socket closed {} ms later",
        poll_told.saturating_duration_since(revoked).as_millis(),
        socket_closed.saturating_duration_since(revoked).as_millis(),
    );
    let answer = stranger(&daemon, with_cookie(&phone, "GET", &path)).await;
    assert_eq!(answer.status, 401, "its cookie opens nothing any more");
    assert_eq!(phone.get("/api/projects").await.status, 401);
    eventually("both are gone", || async {
        (daemon.get("/ws-status").await.expect(200)["mobile"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_scope_that_was_taken_away_is_gone_at_once_on_an_open_socket() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "view,mail", None).await;
    let mut wire = Wire::join(&daemon, &phone, &world.project).await;
    let mail = |subject: &str| json!({"type": "query", "subject": subject, "toSessionId": world.session});
    assert_eq!(wire.request("mail:send", mail("one")).await["success"], true);
    done(&daemon, &["devices", "scopes", &phone.id, "view"]).await;
    let refused = wire.request("mail:send", mail("two")).await;
    assert_eq!(
        (&refused["success"], &refused["code"]),
        (&json!(false), &json!("scope"))
    );
    assert_eq!(wire.event("device:changed").await["scopes"], json!(["view"]));
    done(&daemon, &["devices", "scopes", &phone.id, "view,mail"]).await;
    assert_eq!(wire.request("mail:send", mail("three")).await["success"], true);
}

#[tokio::test]
async fn what_a_phone_of_one_project_says_over_its_socket_does_not_leave_it() {
    let daemon = setup().start().await;
    let (world, elsewhere) = (World::make(&daemon).await, World::make(&daemon).await);
    let phone = Phone::pair(&daemon, EVERYTHING, Some(&world.project)).await;
    let mut wire = Wire::join(&daemon, &phone, &world.project).await;
    let mail = json!({"type": "query", "subject": "x", "toSessionId": world.session});
    assert_eq!(wire.request("mail:send", mail.clone()).await["success"], true);
    let mut away = mail.clone();
    away["toSessionId"] = elsewhere.session.as_str().into();
    let mut into = mail.clone();
    into["replyToMailId"] = elsewhere.mail.as_str().into();
    for (verb, data, code) in [
        ("mail:send", away, "not_found"),
        ("mail:send", into, "not_found"),
        (
            "session:prompt",
            json!({"sessionId": elsewhere.session, "content": "x"}),
            "not_found",
        ),
        (
            "session:reply-input",
            json!({"sessionId": elsewhere.session, "text": "x"}),
            "not_found",
        ),
        (
            "session:spawn",
            json!({"projectId": elsewhere.project, "teamMemberId": "x", "message": "x", "requestId": "r"}),
            "not_found",
        ),
    ] {
        let answer = wire.request(verb, data.clone()).await;
        assert_eq!(
            (&answer["success"], &answer["code"]),
            (&json!(false), &json!(code)),
            "{verb} {data}: {answer}"
        );
    }
    let inbox = format!(
        "/api/mail/inbox/{}?projectId={}",
        elsewhere.session, elsewhere.project
    );
    assert_eq!(daemon.get(&inbox).await.expect(200), json!([]));
    let (_wire, told) = Wire::try_join(&daemon, &phone, &phone.token, &elsewhere.project).await;
    assert!(told.contains("project not found"), "{told}");
}

#[tokio::test]
async fn of_two_phones_that_answer_at_once_one_wins_and_the_other_is_told_who() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let anna = Phone::named(&daemon, "Anna's phone", "view,answer", None).await;
    let berta = Phone::named(&daemon, "Berta's phone", "view,answer", None).await;
    let asked = question(&daemon, &world).await;
    let mut first = Wire::join(&daemon, &anna, &world.project).await;
    let mut second = Wire::join(&daemon, &berta, &world.project).await;
    let reply = |text: &str| json!({"sessionId": world.session, "requestId": asked, "text": text});
    let (of_anna, of_berta) = tokio::join!(
        first.request("session:reply-input", reply("of Anna")),
        second.request("session:reply-input", reply("of Berta")),
    );
    let (late, winner) = match of_anna["success"] == true {
        true => (&of_berta, "Anna's phone"),
        false => (&of_anna, "Berta's phone"),
    };
    assert!(
        (of_anna["success"] == true) != (of_berta["success"] == true),
        "{of_anna} {of_berta}"
    );
    assert_eq!(late["code"], "already_answered", "{late}");
    assert_eq!(late["answeredBy"]["name"], winner, "{late}");
    let results: Vec<_> = on_record(&daemon, "answer")
        .into_iter()
        .map(|line| line["result"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(results.len(), 2);
    assert!(results.contains(&"ok".to_owned()) && results.contains(&"already_answered".to_owned()));
}
