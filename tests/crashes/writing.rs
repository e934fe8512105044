//! What is being written when the hub is killed.

use std::{collections::BTreeMap, sync::Mutex};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    harness::{Daemon, Reply, Setup, eventually},
    hub::{Doomed, again, answered, end, id, ids, list},
};

/// Many write at once; what was acknowledged is there, and nothing is there twice.
pub async fn tasks(at: &'static str) -> bool {
    let setup = Setup::new();
    let mut hub = setup.clone().start().await;
    let project = id(&hub.post("/api/projects", json!({"name": "P"})).await.expect(201));
    hub.stop().await;
    let mut doomed = Doomed::new(&setup, at);
    let told = Mutex::new(BTreeMap::<String, Option<String>>::new());
    if let Some(caller) = doomed.caller().await {
        let writers = (0..4).map(|writer| {
            let (caller, told, project) = (&caller, &told, &project);
            async move {
                for n in 0..30 {
                    let title = format!("{writer}-{n}");
                    let reply = caller
                        .post("/api/tasks", json!({"projectId": project, "title": title}))
                        .await;
                    let made = reply.done().map(id);
                    told.lock().expect("not poisoned").insert(title, made);
                    if !answered(&reply) {
                        break;
                    }
                }
            }
        });
        join_all(writers).await;
    }
    let died = doomed.died().await;
    let hub = again(&setup).await;
    let found = list(&hub, "/api/tasks").await;
    ids(&found);
    let mut there = BTreeMap::new();
    for task in &found {
        let title = task["title"].as_str().expect("a title").to_owned();
        assert!(
            there.insert(title.clone(), id(task)).is_none(),
            "{at}: {title} is there twice"
        );
    }
    let told = told.into_inner().expect("not poisoned");
    for (title, acknowledged) in &told {
        if acknowledged.is_some() {
            assert_eq!(
                there.get(title),
                acknowledged.as_ref(),
                "{at}: {title} was acknowledged"
            );
        }
    }
    assert!(there.keys().all(|title| told.contains_key(title)), "{at}");
    hub.post("/api/tasks", json!({"projectId": project, "title": "on"}))
        .await
        .expect(201);
    end(hub, at).await;
    died
}

/// A letter whose sending is repeated after the death is one letter.
pub async fn letter(at: &'static str) -> bool {
    let setup = Setup::new();
    let letter = json!({
        "projectId": "p", "fromSessionId": "lead", "toSessionId": "worker", "type": "query", "subject": "Which?",
    });
    let key = [("idempotency-key", "once")];
    let mut doomed = Doomed::new(&setup, at);
    let mut told = Reply::Unsent;
    if let Some(caller) = doomed.caller().await {
        told = caller.call("POST", "/api/mail", Some(letter.clone()), &key).await;
    }
    let died = doomed.died().await;
    let hub = again(&setup).await;
    let caller = crate::harness::Caller {
        port: hub.port(),
        host: "localhost".into(),
    };
    let reply = caller.call("POST", "/api/mail", Some(letter), &key).await;
    let sent = reply.done().unwrap_or_else(|| panic!("{at}: {reply:?}"));
    let inbox = list(&hub, "/api/mail/inbox/worker?projectId=p").await;
    assert_eq!(ids(&inbox), [id(sent)], "{at}");
    if let Some(first) = told.done() {
        assert_eq!(id(first), id(sent), "{at}");
    }
    end(hub, at).await;
    died
}

/// An answer is given once, is the one that was acknowledged, and is mailed once.
pub async fn answer(at: &'static str) -> bool {
    let setup = Setup::new();
    let mut hub = setup.clone().start().await;
    let (project, session) = working(&hub).await;
    let question = json!({"type": "needs_input", "message": "Which?"});
    let path = format!("/api/sessions/{session}");
    let asked = hub.post(&format!("{path}/timeline"), question).await.expect(200);
    let request = asked["needsInput"]["requestId"]
        .as_str()
        .expect("a name")
        .to_owned();
    hub.stop().await;
    let body = json!({"requestId": request, "text": "the left"});
    let (reply_path, key) = (format!("{path}/reply-input"), [("idempotency-key", "once")]);
    let mut doomed = Doomed::new(&setup, at);
    if let Some(caller) = doomed.caller().await {
        caller.call("POST", &reply_path, Some(body.clone()), &key).await;
    }
    let died = doomed.died().await;
    let hub = again(&setup).await;
    let caller = crate::harness::Caller {
        port: hub.port(),
        host: "localhost".into(),
    };
    let reply = caller.call("POST", &reply_path, Some(body), &key).await;
    assert_eq!(reply.status(), 200, "{at}: {reply:?}");
    let other = json!({"requestId": request, "text": "the right"});
    assert_eq!(hub.post(&reply_path, other).await.status, 409, "{at}");
    let inbox = format!("/api/mail/inbox/{session}?projectId={project}");
    eventually("the answer is mailed", || async {
        (!list(&hub, &inbox).await.is_empty()).then_some(())
    })
    .await;
    let input = format!("{path}/input?requestId={request}&timeout=0");
    assert_eq!(hub.get(&input).await.expect(200)["text"], "the left", "{at}");
    assert_eq!(list(&hub, &inbox).await.len(), 1, "{at}");
    end(hub, at).await;
    died
}

/// A session is started whole or not at all, and another one can be.
pub async fn session(at: &'static str) -> bool {
    let setup = Setup::new();
    let mut hub = setup.clone().start().await;
    let project = json!({"name": "P", "workingDir": hub.place().work_dir()});
    let project = id(&hub.post("/api/projects", project).await.expect(201));
    let task = json!({"projectId": project, "title": "T"});
    let task = id(&hub.post("/api/tasks", task).await.expect(201));
    hub.stop().await;
    let wish = json!({"projectId": project, "taskIds": [task]});
    let mut doomed = Doomed::new(&setup, at);
    if let Some(caller) = doomed.caller().await {
        caller.post("/api/sessions/spawn", wish.clone()).await;
    }
    let died = doomed.died().await;
    let hub = again(&setup).await;
    let begun = ids(&list(&hub, "/api/sessions").await);
    assert!(begun.len() <= 1, "{at}: {begun:?}");
    hub.post("/api/sessions/spawn", wish).await.expect(201);
    let all = ids(&list(&hub, "/api/sessions").await);
    assert_eq!(all.len(), begun.len() + 1, "{at}");
    for session in &all {
        let manifest = hub.place().session_dir().join(session).join("manifest.json");
        assert!(manifest.exists(), "{at}: {session} has no manifest");
    }
    let task = hub.get(&format!("/api/tasks/{task}")).await.expect(200);
    let mut linked: Vec<Value> = task["sessionIds"].as_array().expect("a list").clone();
    linked.sort_by_key(ToString::to_string);
    assert_eq!(linked, all.iter().map(|id| json!(id)).collect::<Vec<_>>(), "{at}");
    end(hub, at).await;
    died
}

async fn working(hub: &Daemon) -> (String, String) {
    let project = id(&hub.post("/api/projects", json!({"name": "P"})).await.expect(201));
    let wish = json!({"projectId": project, "taskIds": [], "status": "working"});
    let session = id(&hub.post("/api/sessions", wish).await.expect(201));
    (project, session)
}
