//! Mail of hubs that share one Redis: sent at one, read, waited for and deleted at the other, in good days and bad.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{Answer, Ask, Daemon, Redis, Setup, eventually};

fn setup(redis: &Redis) -> Setup {
    let setup = Setup::new().without_env("REDIS_ENABLED");
    setup.env("REDIS_URL", redis.url())
}

/// A hub whose mail is open.
async fn hub(setup: Setup) -> Daemon {
    let hub = setup.start().await;
    eventually("mail is open", || async {
        let answer = hub.get("/api/mail/inbox/nobody?projectId=p").await;
        (answer.status == 200).then_some(())
    })
    .await;
    hub
}

fn letter(to: &str, subject: &str) -> Value {
    json!({"projectId": "p", "fromSessionId": "lead", "toSessionId": to, "type": "query", "subject": subject})
}

async fn inbox(hub: &Daemon, session: &str) -> Value {
    let path = format!("/api/mail/inbox/{session}?projectId=p");
    hub.get(&path).await.expect(200)
}

fn wait(hub: &Daemon, session: &str) -> JoinHandle<Answer> {
    let path = format!("/api/mail/wait/{session}?projectId=p&timeout=120000");
    let ask = Ask::new("GET", path).within(Duration::from_secs(120));
    tokio::spawn(ask.to(hub.port()))
}

/// Waits until so many wait.
async fn until_waiting(hub: &Daemon, count: u64) {
    eventually("they wait", || async {
        let told = hub.ctl(&["status", "--json"]).await;
        let told: Value = serde_json::from_slice(&told.stdout).ok()?;
        (told["mail"]["waiting"] == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_sent_at_one_hub_is_read_waited_for_and_deleted_at_the_other() {
    let redis = Redis::start();
    let (one, two) = (hub(setup(&redis)).await, hub(setup(&redis)).await);
    redis.until_heard_by(2).await;
    let mut at_two = two.listen().await;
    let waiting = wait(&two, "worker");
    until_waiting(&two, 1).await;
    let sent = one.post("/api/mail", letter("worker", "Hello")).await.expect(201);
    assert_eq!(waiting.await.expect("answered").expect(200), json!([sent]));
    assert_eq!(at_two.next_event("mail:received").await["data"], sent);
    assert_eq!(inbox(&two, "worker").await, json!([sent]));
    let path = format!("/api/mail/{}", sent["id"].as_str().expect("an id"));
    two.delete(&path).await.expect(200);
    assert_eq!(one.get(&path).await.status, 404);
    assert_eq!(inbox(&one, "worker").await, json!([]));
}

#[tokio::test]
async fn one_sending_repeated_at_another_hub_is_one_mail() {
    let redis = Redis::start();
    let (one, two) = (hub(setup(&redis)).await, hub(setup(&redis)).await);
    let send = |hub: &Daemon, subject: &str| {
        let ask = Ask::new("POST", "/api/mail").header("idempotency-key", "k1");
        ask.json(&letter("worker", subject)).to(hub.port())
    };
    let first = send(&one, "Once").await.expect(201);
    assert_eq!(send(&two, "Once").await.expect(201), first);
    assert_eq!(send(&two, "Something else").await.status, 422);
    assert_eq!(inbox(&one, "worker").await, json!([first]));
}

#[tokio::test]
async fn a_hub_that_leaves_takes_its_own_projects_mail_and_leaves_the_others_theirs() {
    let redis = Redis::start();
    let (mut one, two) = (hub(setup(&redis)).await, hub(setup(&redis)).await);
    let mut sent = Vec::new();
    for at in [&one, &two] {
        let project = at.post("/api/projects", json!({"name": "P"})).await.expect(201)["id"].clone();
        let mut mail = letter("worker", "Hello");
        mail["projectId"] = project.clone();
        let mail = at.post("/api/mail", mail).await.expect(201);
        let inbox = format!(
            "/api/mail/inbox/worker?projectId={}",
            project.as_str().expect("an id")
        );
        sent.push((inbox, json!([mail])));
    }
    one.stop().await;
    let alone = one.setup().clone().env("REDIS_ENABLED", "false");
    let one = hub(alone).await;
    let (ours, theirs) = (&sent[0], &sent[1]);
    assert_eq!(one.get(&ours.0).await.expect(200), ours.1);
    assert_eq!(one.get(&theirs.0).await.expect(200), json!([]));
    assert_eq!(two.get(&theirs.0).await.expect(200), theirs.1);
    assert_eq!(two.get(&ours.0).await.expect(200), json!([]));
}

#[tokio::test]
async fn while_redis_is_away_mail_is_refused_for_now_and_nothing_of_it_is_written() {
    let mut redis = Redis::start();
    let one = hub(setup(&redis)).await;
    let sent = one
        .post("/api/mail", letter("worker", "Before"))
        .await
        .expect(201);
    redis.kill();
    let one_mail = format!("/api/mail/{}", sent["id"].as_str().expect("an id"));
    let refused = [
        one.post("/api/mail", letter("worker", "Never")).await,
        one.get("/api/mail/inbox/worker?projectId=p").await,
        one.get("/api/mail/wait/worker?projectId=p&timeout=120000").await,
        one.get(&one_mail).await,
        one.delete(&one_mail).await,
    ];
    for answer in refused {
        let seconds = answer
            .header("retry-after")
            .and_then(|text| text.parse::<u32>().ok());
        assert_eq!(answer.status, 503, "{}: {}", answer.what, answer.text());
        assert!(seconds.is_some_and(|seconds| seconds > 0), "{}", answer.what);
    }
    // Everything else goes on.
    one.post("/api/projects", json!({"name": "P"})).await.expect(201);
    redis.start_again();
    let found = eventually("mail is back", || async {
        let answer = one.get("/api/mail/inbox/worker?projectId=p").await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(found, json!([sent]));
}

#[tokio::test]
async fn who_waited_through_an_outage_gets_what_came_unheard() {
    let redis = Redis::start();
    let one = hub(setup(&redis)).await;
    // Mail under the same keys, events under others: what is sent there is never heard of at the first hub.
    let unheard = "[redis]\nkey_prefix = \"maestro:m\"\n[mail]\nprefix = \"ail:\"\n";
    let silent = hub(setup(&redis).config(unheard)).await;
    let waiting = wait(&one, "worker");
    until_waiting(&one, 1).await;
    let sent = silent
        .post("/api/mail", letter("worker", "Psst"))
        .await
        .expect(201);
    assert!(!waiting.is_finished());
    let _cut: i64 = redis.ask("CLIENT KILL TYPE normal SKIPME yes");
    assert_eq!(waiting.await.expect("answered").expect(200), json!([sent]));
    // A gap in what is heard has the same effect as an outage.
    let waiting = wait(&one, "other");
    until_waiting(&one, 1).await;
    let sent = silent
        .post("/api/mail", letter("other", "Psst"))
        .await
        .expect(201);
    for seq in [1, 3] {
        redis.publish(
            "test:gap",
            &json!({"sourceId": "x", "epoch": "e", "seq": seq, "prev": seq - 1, "data": 1}),
        );
    }
    assert_eq!(waiting.await.expect("answered").expect(200), json!([sent]));
}
