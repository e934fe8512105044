//! A phone on `/mobile`: sees its project, in its own shapes, and every request of it is answered.

use serde_json::{Value, json};

use crate::{
    client::Client,
    harness::Setup,
    scene::{Scene, project, session},
};

#[tokio::test]
async fn without_a_project_it_is_told_what_is_missing() {
    let scene = Scene::new().await;
    for (auth, message) in [
        (json!({}), "projectId required"),
        (json!({"projectId": 5}), "projectId required"),
        (json!({"projectId": ""}), "projectId required"),
        (json!({"projects": "some"}), "projectId required"),
        (json!({"projects": ["p"]}), "projectId required"),
        (
            json!({"projectId": "no-such", "projects": "all"}),
            "project not found",
        ),
        (json!({"projectId": "no-such"}), "project not found"),
        (json!({"projectId": "../etc"}), "project not found"),
    ] {
        let mut phone = Client::ws(&scene.hub, "/mobile", auth.clone()).await;
        assert_eq!(
            phone.report("connect_error").await["connect_error"],
            message,
            "{auth}"
        );
    }
    scene.counted("mobile", 0).await;
}

#[tokio::test]
async fn it_gets_notify_needs_input_and_every_event_exactly_once_whatever_it_asked_for() {
    let scene = Scene::new().await;
    let mut phone = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    assert_eq!(phone.event("hello").await["projectId"], scene.project.as_str());
    let told = phone
        .request("session:subscribe", json!([scene.session, "no-such"]))
        .await;
    assert_eq!(
        told,
        json!({"success": true, "sessionIds": [scene.session], "unknown": ["no-such"]})
    );

    scene.say("needs_input", "which one?").await;
    let asked = phone.event("notify:needs_input").await;
    assert_eq!(asked["data"]["message"], "which one?");
    scene.say("progress", "on").await;
    let modal = json!({"modalId": "m", "html": "<b>secret page</b>", "title": "Look"});
    scene
        .hub
        .post(&format!("/api/sessions/{}/modal", scene.session), modal)
        .await
        .expect(200);
    let action = json!({"action": "ok", "data": {"secret": 1}});
    let path = format!("/api/sessions/{}/modal/m/actions", scene.session);
    scene.hub.post(&path, action).await;
    let heard = phone.arrived().await;
    let names: Vec<_> = heard.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(
        names[..4],
        [
            "session:updated",
            "session:updated",
            "notify:progress",
            "session:modal"
        ]
    );
    let mut seqs: Vec<_> = heard.iter().filter_map(|event| event["seq"].as_u64()).collect();
    let count = seqs.len();
    seqs.dedup();
    assert_eq!(seqs.len(), count, "nothing twice");
    let all = json!(heard).to_string();
    assert!(!all.contains("secret"), "{all}");
}

#[tokio::test]
async fn a_session_event_holds_the_summary_and_what_is_new_and_never_a_history_or_an_environment() {
    let scene = Scene::new().await;
    let path = format!("/api/sessions/{}", scene.session);
    scene
        .hub
        .patch(
            &path,
            json!({"env": {"API_KEY": "secret-key"}, "agentId": "agent-7"}),
        )
        .await
        .expect(200);
    for n in 0..20 {
        scene.say("progress", &format!("old {n}")).await;
    }
    let mut phone = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    scene.say("progress", "new").await;
    let event = phone.event("session:updated").await;
    let new = event["data"]["newTimeline"].as_array().unwrap();
    assert_eq!((new.len(), &new[0]["message"]), (1, &json!("new")));
    let fields: Vec<_> = new[0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["id", "type", "timestamp", "message"]);
    let session = &event["data"]["session"];
    assert_eq!(
        (&session["timelineLength"], &session["agentId"]),
        (&json!(22), &json!("agent-7"))
    );
    let text = event.to_string();
    for absent in ["secret", "old 1", "env", "API_KEY", "hostname"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }

    let mut before = json!(null);
    let mut messages = Vec::new();
    loop {
        let page = json!({"sessionId": scene.session, "limit": 8, "before": before});
        let page = phone.request("session:timeline", page).await;
        assert_eq!((&page["success"], &page["total"]), (&json!(true), &json!(22)));
        let entries = page["entries"].as_array().unwrap().clone();
        messages.extend(entries.iter().map(|entry| entry["message"].clone()));
        before = page["before"].clone();
        if before.is_null() {
            break;
        }
    }
    assert_eq!(messages.len(), 22);
    assert_eq!(
        (&messages[0], &messages[1], &messages[20]),
        (&json!("new"), &json!("old 19"), &json!("old 0"))
    );
}

#[tokio::test]
async fn it_hears_nothing_of_other_projects_unless_it_asks_for_a_session_there() {
    let scene = Scene::new().await;
    let two = project(&scene.hub, "Two").await;
    let elsewhere = session(&scene.hub, &two).await;
    let mut phone = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    phone.event("hello").await;
    let path = format!("/api/sessions/{elsewhere}/timeline");
    scene.hub.post(&path, json!({"message": "a"})).await.expect(200);
    assert_eq!(phone.arrived().await, Vec::<Value>::new());
    phone
        .request("session:subscribe", json!({"sessionIds": [elsewhere]}))
        .await;
    scene.hub.post(&path, json!({"message": "b"})).await.expect(200);
    assert_eq!(phone.event("notify:progress").await["data"]["message"], "b");
}

#[tokio::test]
async fn it_hears_of_every_project_by_one_socket_if_it_says_so_and_catches_up_on_all_of_them() {
    let scene = Scene::new().await;
    let two = project(&scene.hub, "Two").await;
    let elsewhere = session(&scene.hub, &two).await;
    let all = json!({"projects": "all"});
    let mut phone = Client::connected(&scene.hub, "/mobile", all.clone()).await;
    let hello = phone.event("hello").await;
    assert_eq!(
        (&hello["projectId"], &hello["trial"]),
        (&json!(null), &json!(false))
    );
    assert!(
        hello["build"].as_str().is_some_and(|build| !build.is_empty()),
        "{hello}"
    );
    let state = phone.request("state:sync", json!({})).await;
    let count = |name: &str| state[name].as_array().map(Vec::len);
    assert_eq!(
        (count("projects"), count("sessions")),
        (Some(2), Some(2)),
        "{state}"
    );
    for id in [&scene.session, &elsewhere] {
        let entry = json!({"type": "progress", "message": id});
        let path = format!("/api/sessions/{id}/timeline");
        scene.hub.post(&path, entry).await.expect(200);
        let heard = phone.event("session:updated").await;
        assert_eq!(heard["data"]["session"]["id"], id.as_str());
    }
    let since = json!({"epoch": state["epoch"], "since": state["seq"]});
    let missed = phone.request("state:sync", since).await;
    let of = |id: &str| missed["events"].to_string().contains(id);
    assert!(of(&scene.session) && of(&elsewhere), "{missed}");
}

#[tokio::test]
async fn it_reads_a_conversation_with_its_texts_and_who_can_be_started() {
    let scene = Scene::new().await;
    let mut phone = Client::connected(&scene.hub, "/mobile", json!({"projects": "all"})).await;
    let letter = json!({
        "projectId": scene.project, "fromSessionId": scene.session, "toSessionId": "human", "type": "query",
        "subject": "Which?", "body": {"message": "the first or the second?"},
    });
    let first = scene.hub.post("/api/mail", letter).await.expect(201);
    let reply = json!({
        "projectId": scene.project, "toSessionId": scene.session, "type": "response", "subject": "Re: Which?",
        "body": {"message": "the second"}, "replyToMailId": first["id"], "requestId": "r1",
    });
    assert_eq!(phone.request("mail:send", reply).await["success"], true);
    let thread = phone.request("mail:thread", json!({"id": first["id"]})).await;
    // A phone that knows nothing yet sees both sides of it, whoever of the people wrote.
    let mut other = Client::connected(&scene.hub, "/mobile", json!({"projects": "all"})).await;
    let state = other.request("state:sync", json!({})).await;
    assert_eq!(state["mail"].as_array().map(Vec::len), Some(2), "{state}");
    let texts: Vec<_> = thread["mails"]
        .as_array()
        .expect("mails")
        .iter()
        .map(|mail| mail["body"]["message"].clone())
        .collect();
    assert_eq!(texts, ["the first or the second?", "the second"]);
    let team = phone
        .request("team:list", json!({"projectId": scene.project}))
        .await;
    assert!(!team["members"].as_array().expect("members").is_empty(), "{team}");
}

#[tokio::test]
async fn whatever_it_sends_is_acknowledged_the_wrong_with_a_code() {
    let scene = Scene::new().await;
    let mut phone = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    let wrong = [
        json!(null),
        json!(5),
        json!("x"),
        json!([]),
        json!({"sessionId": 5}),
        json!({"$bytes": "x"}),
    ];
    for verb in [
        "mail:send",
        "session:reply-input",
        "session:prompt",
        "session:spawn",
        "session:timeline",
        "team:list",
        "mail:thread",
    ] {
        for data in &wrong {
            let answer = phone.request(verb, data.clone()).await;
            assert_eq!(
                (&answer["success"], &answer["code"]),
                (&json!(false), &json!("invalid")),
                "{verb} {data}"
            );
            assert!(answer["error"].is_string(), "{verb} {data}: {answer}");
        }
        let number = phone.ask(json!([verb])).await;
        assert_eq!(
            phone.answer(number).await["success"],
            false,
            "{verb} without a payload"
        );
        let number = phone
            .ask(json!([verb, {"a": {"$bytes": "x"}}, {"$bytes": "y"}, 1, 2, 3]))
            .await;
        assert_eq!(
            phone.answer(number).await["success"],
            false,
            "{verb} with too much"
        );
    }
    for (verb, data, code) in [
        ("session:subscribe", json!({"ids": []}), "invalid"),
        ("session:subscribe", json!(vec!["x"; 101]), "invalid"),
        ("state:sync", json!({"since": -1}), "invalid"),
        ("session:timeline", json!({"sessionId": "no-such"}), "not_found"),
        (
            "session:prompt",
            json!({"sessionId": "no-such", "content": "x"}),
            "not_found",
        ),
        (
            "session:prompt",
            json!({"sessionId": scene.session, "content": " "}),
            "invalid",
        ),
        (
            "session:reply-input",
            json!({"sessionId": scene.session, "text": "x"}),
            "not_waiting",
        ),
        ("no:such", json!({}), "unknown_request"),
    ] {
        let answer = phone.request(verb, data.clone()).await;
        assert_eq!(
            (&answer["success"], &answer["code"]),
            (&json!(false), &json!(code)),
            "{verb} {data}"
        );
    }
}

#[tokio::test]
async fn it_prompts_answers_and_mails_and_a_repeated_request_is_not_done_twice() {
    let scene = Scene::new().await;
    let mut desktop = Client::connected(&scene.hub, "/ui", json!({})).await;
    let mut phone = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    let prompt = json!({"sessionId": scene.session, "content": "go on", "requestId": "r1"});
    let answer = phone.request("session:prompt", prompt.clone()).await;
    assert_eq!(
        (&answer["success"], &answer["desktops"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(
        desktop.event("session:prompt_send").await["data"]["content"],
        "go on"
    );
    assert_eq!(phone.request("session:prompt", prompt.clone()).await, answer);
    let mut other = prompt.clone();
    other["content"] = "something else".into();
    assert_eq!(phone.request("session:prompt", other).await["code"], "conflict");

    scene.say("needs_input", "which?").await;
    let asked = phone.event("notify:needs_input").await["data"]["requestId"].clone();
    let text = json!({"sessionId": scene.session, "requestId": asked, "text": "the second"});
    let taken = phone.request("session:reply-input", text).await;
    assert_eq!(
        (&taken["success"], &taken["how"]),
        (&json!(true), &json!("desktop")),
        "{taken}"
    );
    let late = json!({"sessionId": scene.session, "requestId": asked, "text": "the first"});
    let late = phone.request("session:reply-input", late).await;
    assert_eq!(
        (&late["success"], &late["code"]),
        (&json!(false), &json!("already_answered"))
    );
    assert!(late["answeredBy"]["name"].is_string(), "{late}");
    let mail = json!({"type": "query", "subject": "Hello", "toSessionId": scene.session, "requestId": "r2"});
    let sent = phone.request("mail:send", mail.clone()).await;
    assert_eq!(sent["success"], true, "{sent}");
    assert_eq!(phone.request("mail:send", mail).await, sent);
    let heard = desktop.arrived().await;
    let names: Vec<_> = heard.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(
        names
            .iter()
            .filter(|name| **name == "session:prompt_send")
            .count(),
        1,
        "{names:?}"
    );
    assert_eq!(
        names.iter().filter(|name| **name == "mail:received").count(),
        1,
        "{names:?}"
    );
}

#[tokio::test]
async fn it_spawns_from_a_preset_and_a_text_alone() {
    let scene = Scene::with(Setup::new().env("GEMINI_API_KEY", "key-of-gemini")).await;
    let members = format!("/api/team-members?projectId={}", scene.project);
    let members = scene.hub.get(&members).await.expect(200);
    let member = members[0]["id"].as_str().expect("a default member").to_owned();
    let mut phone = Client::connected(&scene.hub, "/mobile", scene.auth()).await;
    let wish = json!({"projectId": scene.project, "teamMemberId": member, "message": "Fix it\nplease", "requestId": "r"});
    let made = phone.request("session:spawn", wish.clone()).await;
    assert_eq!(made["success"], true, "{made}");
    let told = phone.event("session:spawn").await;
    assert_eq!(told["data"]["sessionId"], made["sessionId"]);
    assert_eq!(phone.request("session:spawn", wish.clone()).await, made);
    let heard = json!([made, told, phone.arrived().await]).to_string();
    for absent in ["key-of-gemini", "envVars", "manifest", "cwd", "env\""] {
        assert!(!heard.contains(absent), "{absent}: {heard}");
    }
    let mut bad = wish;
    bad["env"] = json!({"PATH": "/evil"});
    bad["requestId"] = "another".into(); // under the first one it would be a conflict
    assert_eq!(phone.request("session:spawn", bad).await["code"], "invalid");
    let sessions = scene
        .hub
        .get(&format!("/api/sessions?projectId={}", scene.project))
        .await
        .expect(200);
    assert_eq!(sessions.as_array().unwrap().len(), 2);
}
