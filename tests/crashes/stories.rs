//! What the operator's side is at when the hub is killed: children, moves, copies, devices, the stop.

use std::fs;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::OnceCell,
};

use crate::{
    harness::{Daemon, Place, Setup, eventually},
    hub::{Doomed, again, end, id, ids, list, managed, redis_of},
};

fn letter(subject: &str) -> Value {
    json!({
        "projectId": "p", "fromSessionId": "lead", "toSessionId": "worker", "type": "query", "subject": subject,
    })
}

async fn send(hub: &Daemon, subject: &str) -> String {
    eventually("mail is taken", || async {
        let answer = hub.post("/api/mail", letter(subject)).await;
        (answer.status != 503).then(|| id(&answer.expect(201)))
    })
    .await
}

async fn inbox(hub: &Daemon) -> Vec<String> {
    ids(&list(hub, "/api/mail/inbox/worker?projectId=p").await)
}

/// One redis, whose data is as it was.
async fn one_redis(setup: &Setup, at: &str) {
    eventually("there is one redis", || async {
        (redis_of(setup).len() == 1).then_some(())
    })
    .await;
    assert_eq!(redis_of(setup).len(), 1, "{at}");
}

/// Redis is being started.
pub async fn spawn(at: &'static str) -> bool {
    let setup = managed(&Setup::new());
    let mut doomed = Doomed::new(&setup, at);
    doomed.ready().await;
    let died = doomed.died().await;
    let hub = again(&setup).await;
    one_redis(&setup, at).await;
    let mail = send(&hub, "on").await;
    assert_eq!(inbox(&hub).await, [mail], "{at}");
    end(hub, at).await;
    died
}

/// Redis is being taken over from a hub that was killed.
pub async fn adopt(at: &'static str) -> bool {
    let setup = managed(&Setup::new());
    let mut hub = again(&setup).await;
    let (mail, redis) = (send(&hub, "before").await, redis_of(&setup));
    hub.kill().await;
    let mut doomed = Doomed::new(&setup, at);
    doomed.ready().await;
    let died = doomed.died().await;
    let hub = again(&setup).await;
    if died {
        assert_eq!(redis_of(&setup), redis, "{at}: it is the same one");
    }
    one_redis(&setup, at).await;
    assert_eq!(inbox(&hub).await, [mail], "{at}");
    end(hub, at).await;
    died
}

/// Mail moves into a redis of our own, and back.
pub async fn carry(at: &'static str) -> bool {
    let embedded = Setup::new();
    let with_redis = managed(&embedded);
    let mut hub = again(&embedded).await;
    let subjects: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let mut sent = join_all(subjects.iter().map(|subject| send(&hub, subject))).await;
    sent.sort();
    hub.stop().await;
    if at.starts_with("carry.undone") {
        // Only what was begun can be taken back.
        let mut begun = Doomed::new(&with_redis, "carry.received");
        begun.settled().await;
        assert!(begun.died().await, "the move was interrupted");
    }
    let mut died = false;
    for (setup, other) in [(&with_redis, &embedded), (&embedded, &with_redis)] {
        let mut doomed = Doomed::new(setup, at);
        doomed.settled().await;
        died = doomed.died().await;
        if !died {
            continue;
        }
        // On the way it was going, or all the way back.
        let (first, second) = match at.len() % 2 {
            0 => (setup, other),
            _ => (other, setup),
        };
        for setup in [first, second] {
            let hub = again(setup).await;
            assert_eq!(inbox(&hub).await, sent, "{at}");
            end(hub, at).await;
        }
        break;
    }
    died
}

/// A Node server's folder, made once.
async fn folder() -> &'static (Place, Vec<String>) {
    static MADE: OnceCell<(Place, Vec<String>)> = OnceCell::const_new();
    MADE.get_or_init(|| async {
        let hub = Setup::new().start().await;
        let project = id(&hub.post("/api/projects", json!({"name": "P"})).await.expect(201));
        let tasks = (0..70).map(|n| {
            hub.post(
                "/api/tasks",
                json!({"projectId": project, "title": n.to_string()}),
            )
        });
        let tasks: Vec<Value> = join_all(tasks)
            .await
            .iter()
            .map(|made| made.expect(201))
            .collect();
        let session = json!({"projectId": project, "taskIds": [tasks[0]["id"]], "status": "working"});
        hub.post("/api/sessions", session).await.expect(201);
        join_all((0..70).map(|n| hub.post("/api/mail", letter(&n.to_string())))).await;
        let out = hub.place().root().join("out").display().to_string();
        assert!(hub.ctl(&["export", &out]).await.status.success());
        (hub.place().clone(), everything(&hub).await)
    })
    .await
}

async fn everything(hub: &Daemon) -> Vec<String> {
    let mut all = Vec::new();
    for path in [
        "/api/projects",
        "/api/tasks",
        "/api/sessions",
        "/api/mail/inbox/worker?projectId=p",
    ] {
        all.extend(ids(&list(hub, path).await));
    }
    all
}

/// A Node server's data is being taken over; doing it again goes on.
pub async fn import(at: &'static str) -> bool {
    let (place, wanted) = folder().await;
    let from = place.root().join("out").display().to_string();
    let setup = Setup::new();
    let mut doomed = Doomed::new(&setup, at);
    if doomed.caller().await.is_some() {
        doomed.0.ctl(&["import", &from]).await;
    }
    let died = doomed.died().await;
    let hub = again(&setup).await;
    let again = hub.ctl(&["import", &from, "--json"]).await;
    assert!(again.status.success(), "{at}: {again:?}");
    assert_eq!(everything(&hub).await, *wanted, "{at}");
    end(hub, at).await;
    died
}

/// A copy is there whole or not at all, another one can be made, and no piece is left lying about.
pub async fn backup(at: &'static str) -> bool {
    let setup = Setup::new();
    let mut hub = setup.clone().start().await;
    let project = id(&hub.post("/api/projects", json!({"name": "P"})).await.expect(201));
    hub.stop().await;
    let dir = setup.place().root().join("copies");
    fs::create_dir_all(&dir).expect("a folder");
    let file = dir.join("copy.db");
    let mut doomed = Doomed::new(&setup, at);
    if doomed.caller().await.is_some() {
        doomed.0.ctl(&["backup", file.to_str().expect("text")]).await;
    }
    let died = doomed.died().await;
    let hub = again(&setup).await;
    if !file.exists() {
        let made = hub.ctl(&["backup", file.to_str().expect("text")]).await;
        assert!(made.status.success(), "{at}: {made:?}");
    }
    let left: Vec<_> = fs::read_dir(&dir)
        .expect("readable")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["copy.db"], "{at}");
    end(hub, at).await;
    let restored = Setup::new();
    fs::copy(&file, restored.place().data_dir().join("maestro.db")).expect("copied");
    let restored = restored.start().await;
    assert_eq!(ids(&list(&restored, "/api/projects").await), [project], "{at}");
    died
}

const OUTSIDE: &str = "[tunnel]\nmode = \"external\"\nurl = \"https://hub.example\"\n";

/// A phone is let in whole or not at all, the audit knows of it, and the next one is let in.
pub async fn pair(at: &'static str) -> bool {
    let setup = Setup::new().config(OUTSIDE);
    let mut doomed = Doomed::new(&setup, at);
    let paired = match doomed.caller().await {
        Some(_) => redeem(&doomed.0).await,
        None => None,
    };
    let died = doomed.died().await;
    let hub = again(&setup).await;
    let known = devices(&hub).await;
    assert!(
        known.len() <= 1 && (paired != Some(201) || known.len() == 1),
        "{at}: {known:?}"
    );
    let audit = fs::read_to_string(hub.place().state_dir().join("audit.jsonl")).unwrap_or_default();
    for device in &known {
        assert!(audit.contains(device.as_str()), "{at}: {device} is in no audit");
    }
    assert_eq!(redeem(&hub).await, Some(201), "{at}");
    assert_eq!(devices(&hub).await.len(), known.len() + 1, "{at}");
    end(hub, at).await;
    died
}

async fn devices(hub: &Daemon) -> Vec<String> {
    let told = hub.ctl(&["devices", "list", "--json"]).await;
    let told: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let devices = told
        .as_array()
        .or_else(|| told["devices"].as_array())
        .expect("a list");
    ids(devices)
}

/// Sends a fresh code; the status of the answer, if one came.
async fn redeem(hub: &Daemon) -> Option<u16> {
    let step = hub.ctl(&["pair", "--no-wait", "--json"]).await;
    let step: Value = serde_json::from_slice(&step.stdout).ok()?;
    let body = json!({"code": step["code"].as_str()?, "name": "iPhone of Anna"}).to_string();
    let socket = hub.place().runtime_dir().join("ingress.sock");
    let mut stream = eventually("the ingress listens", || async {
        UnixStream::connect(&socket).await.ok()
    })
    .await;
    let request = format!(
        "POST /pair HTTP/1.1\r\nhost: hub.example\r\norigin: https://hub.example\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// It is being stopped.
pub async fn stop(at: &'static str) -> bool {
    let setup = managed(&Setup::new());
    let mut doomed = Doomed::new(&setup, at);
    assert!(doomed.ready().await, "{at}");
    let caller = doomed.caller().await.expect("it lives");
    let project = caller.post("/api/projects", json!({"name": "P"})).await;
    let project = id(project.done().expect("it lives"));
    let mail = eventually("mail is taken", || async {
        let reply = caller.post("/api/mail", letter("before")).await;
        reply.done().map(id)
    })
    .await;
    doomed.0.signal(Signal::SIGTERM);
    let died = crate::hub::was_killed(doomed.0.wait_for_end().await);
    let hub = again(&setup).await;
    one_redis(&setup, at).await;
    assert_eq!(ids(&list(&hub, "/api/projects").await), [project], "{at}");
    assert_eq!(inbox(&hub).await, [mail], "{at}");
    end(hub, at).await;
    died
}
