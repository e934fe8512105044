//! Mail follows the configuration: embedded, in a redis of our own, in somebody else's, and back. Nothing is lost on the
//! way, nothing comes twice, whenever the move is interrupted.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Daemon, Redis, Setup, eventually};

/// The same place, with a redis of the hub's own.
fn managed(setup: &Setup) -> Setup {
    let managed = setup.clone().without_env("REDIS_ENABLED");
    managed.config("[redis]\nmode = \"managed\"\n")
}

/// The same place, at somebody else's redis, with mail there or at home.
fn at(setup: &Setup, redis: &Redis, backend: &str) -> Setup {
    let at = setup.clone().without_env("REDIS_ENABLED");
    at.env("REDIS_URL", redis.url())
        .config(&format!("[mail]\nbackend = \"{backend}\"\n"))
}

fn letter(to: Value, subject: &str) -> Value {
    json!({"projectId": "p", "fromSessionId": "lead", "toSessionId": to, "type": "query", "subject": subject})
}

async fn send(hub: &Daemon, to: impl Into<Value>, subject: &str) -> Value {
    let mail = letter(to.into(), subject);
    eventually("mail is taken", || async {
        let answer = hub.post("/api/mail", mail.clone()).await;
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some(), "{}", answer.text());
            return None;
        }
        Some(answer.expect(201))
    })
    .await
}

async fn inbox(hub: &Daemon, session: &str) -> Vec<Value> {
    let path = format!("/api/mail/inbox/{session}?projectId=p");
    eventually("the inbox is shown", || async {
        let answer = hub.get(&path).await;
        (answer.status != 503).then(|| answer.expect(200).as_array().expect("a list").clone())
    })
    .await
}

/// Waits until mail is open and all that can be brought was brought; what is told of it.
async fn settled(hub: &Daemon) -> Value {
    eventually("mail is where it belongs", || async {
        let told = hub.ctl(&["status", "--json"]).await;
        let told: Value = serde_json::from_slice(&told.stdout).ok()?;
        (told["mail"]["state"] == "open").then(|| told["mail"].clone())
    })
    .await
}

fn redis_runs(hub: &Daemon) -> bool {
    let socket = hub.place().runtime_dir().join("redis.sock");
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}

#[tokio::test]
async fn mail_goes_into_our_own_redis_and_comes_back_when_redis_is_not_to_run_any_more() {
    let setup = Setup::new();
    let mut hub = setup.clone().start().await;
    let question = send(&hub, "worker", "Which port?").await;
    let mut answer = letter(json!("lead"), "Re: Which port?");
    answer["replyToMailId"] = question["id"].clone();
    hub.post("/api/mail", answer).await.expect(201);
    send(&hub, Value::Null, "To all").await;
    let before = inbox(&hub, "worker").await;
    assert_eq!(before.len(), 2);
    assert_eq!(settled(&hub).await["place"], "embedded");
    hub.stop().await;

    let mut hub = managed(&setup).start().await;
    assert_eq!(inbox(&hub, "worker").await, before);
    let told = settled(&hub).await;
    assert_eq!(
        (&told["place"], &told["mails"], &told["moved"]),
        (&json!("in our own redis"), &json!(3), &json!(3))
    );
    send(&hub, "worker", "While in redis").await;
    let path = format!("/api/mail/{}", before[0]["id"].as_str().expect("an id"));
    hub.delete(&path).await.expect(200);
    let during = inbox(&hub, "worker").await;
    assert_eq!(during.len(), 2);
    // Not asked: what was acknowledged is there all the same.
    hub.kill().await;

    let mut hub = setup.clone().start().await;
    assert_eq!(inbox(&hub, "worker").await, during);
    let told = settled(&hub).await;
    assert_eq!(
        (&told["place"], &told["mails"], &told["moved"]),
        (&json!("embedded"), &json!(3), &json!(3))
    );
    eventually("redis has ended", || async { (!redis_runs(&hub)).then_some(()) }).await;
    let thread = format!("/api/mail/thread/{}", question["id"].as_str().expect("an id"));
    let thread = hub.get(&thread).await.expect(200);
    assert!(!thread.as_array().expect("a list").is_empty());
    hub.stop().await;

    let mut hub = managed(&setup).start().await;
    assert_eq!(inbox(&hub, "worker").await, during);
    hub.stop().await;
    // Redis may run, mail is to be embedded.
    let with_redis = managed(&setup).config("[redis]\nmode = \"managed\"\n[mail]\nbackend = \"embedded\"\n");
    let hub = with_redis.start().await;
    assert_eq!(inbox(&hub, "worker").await, during);
    assert_eq!(settled(&hub).await["place"], "embedded");
}

#[tokio::test]
async fn a_move_that_is_killed_and_turned_round_at_any_moment_ends_with_every_mail_once() {
    let (setup, redis) = (Setup::new(), Redis::start());
    let mut hub = setup.clone().start().await;
    let mut sent = BTreeMap::new();
    for n in 0..40 {
        let ten = (0..30).map(|m| send(&hub, "worker", if (n + m) % 2 == 0 { "even" } else { "odd" }));
        for mail in join_all(ten).await {
            sent.insert(mail["id"].as_str().expect("an id").to_owned(), mail);
        }
    }
    hub.stop().await;
    let mails_in_redis = || redis.keys("maestro:mail:mail_*").len();
    for round in 0..8_usize {
        // There and back, and the same way again after every other one.
        let there = round / 2 % 2 == 0;
        let mut hub = Daemon::spawn(at(&setup, &redis, if there { "redis" } else { "embedded" }));
        let enough = match there {
            true => 150 * (round + 1),
            false => sent.len().saturating_sub(150 * round),
        };
        eventually("the move is under way", || async {
            let found = mails_in_redis();
            let reached = if there { found >= enough } else { found <= enough };
            reached.then_some(())
        })
        .await;
        hub.kill().await;
    }
    for backend in ["embedded", "redis"] {
        let mut hub = at(&setup, &redis, backend).start().await;
        let found = inbox(&hub, "worker").await;
        let by_id: BTreeMap<_, _> = found
            .iter()
            .map(|mail| (mail["id"].as_str().expect("an id").to_owned(), mail.clone()))
            .collect();
        assert_eq!((found.len(), &by_id), (sent.len(), &sent), "{backend}");
        let told = settled(&hub).await;
        assert_eq!(told["mails"], json!(sent.len()));
        assert_eq!(mails_in_redis(), if backend == "redis" { sent.len() } else { 0 });
        hub.stop().await;
    }
}

#[tokio::test]
async fn a_redis_that_outlived_its_hub_is_ended_by_the_next_one_if_it_is_not_to_run_any_more() {
    let setup = Setup::new();
    let with_redis = managed(&setup).config("[redis]\nmode = \"managed\"\n[mail]\nbackend = \"embedded\"\n");
    let mut hub = with_redis.start().await;
    eventually("redis runs", || async { redis_runs(&hub).then_some(()) }).await;
    hub.kill().await;
    assert!(redis_runs(&hub), "it outlives the hub");
    let hub = setup.start().await;
    eventually("redis has ended", || async { (!redis_runs(&hub)).then_some(()) }).await;
}

#[tokio::test]
async fn mail_that_cannot_be_brought_is_named_with_a_remedy_and_comes_once_it_can() {
    let setup = Setup::new();
    let mut hub = managed(&setup).start().await;
    let lost = send(&hub, "worker", "In redis").await;
    hub.stop().await;

    let without = |setup: &Setup| setup.clone().env("PATH", "/nonexistent");
    let mut hub = without(&setup).start().await;
    let here = send(&hub, "worker", "Without redis").await;
    let told = settled(&hub).await;
    let left = &told["left_behind"][0];
    assert!(
        left["why"]
            .as_str()
            .is_some_and(|why| why.contains("no redis-server")),
        "{told}"
    );
    let seen = hub.ctl(&["status"]).await;
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert!(seen.contains("install redis-server"), "{seen}");
    assert_eq!(inbox(&hub, "worker").await, std::slice::from_ref(&here));
    hub.stop().await;

    let hub = setup.clone().start().await;
    assert_eq!(inbox(&hub, "worker").await, [lost, here]);
    assert_eq!(settled(&hub).await["left_behind"], json!([]));
}

#[tokio::test]
async fn mail_behind_a_password_that_is_not_configured_any_more_waits_for_it() {
    let (setup, redis) = (Setup::new(), Redis::start());
    let _: () = redis.ask("CONFIG SET requirepass secret");
    let url = format!("{}?pass=secret", redis.url());
    let there = setup.clone().without_env("REDIS_ENABLED").env("REDIS_URL", &url);
    let mut hub = there.start().await;
    let mail = send(&hub, "worker", "Behind a password").await;
    hub.stop().await;

    let mut hub = setup.clone().start().await;
    let told = settled(&hub).await;
    let left = &told["left_behind"][0];
    assert!(
        left["remedy"]
            .as_str()
            .is_some_and(|text| text.contains("set redis.url")),
        "{told}"
    );
    assert!(!told.to_string().contains("secret"), "{told}");
    assert_eq!(inbox(&hub, "worker").await, Vec::<Value>::new());
    hub.stop().await;
    let kept = std::fs::read(hub.place().data_dir().join("maestro.db")).expect("the hub's file");
    assert!(
        !kept.windows(6).any(|window| window == b"secret"),
        "the password is not kept"
    );

    // The rollback switch alone: the address is still configured.
    let hub = setup.env("REDIS_URL", &url).start().await;
    assert_eq!(inbox(&hub, "worker").await, [mail]);
    assert_eq!(settled(&hub).await["left_behind"], json!([]));
}

#[tokio::test]
async fn from_one_redis_to_another_and_to_another_prefix_mail_goes_along() {
    let (setup, first, second) = (Setup::new(), Redis::start(), Redis::start());
    let mut mails = Vec::new();
    for (redis, prefix) in [
        (&first, "mail:"),
        (&second, "mail:"),
        (&second, "post:"),
        (&first, "mail:"),
    ] {
        let config = format!("[mail]\nprefix = \"{prefix}\"\n");
        let mut hub = at(&setup, redis, "redis").config(&config).start().await;
        assert_eq!(inbox(&hub, "worker").await, mails, "{prefix}");
        mails.push(send(&hub, "worker", prefix).await);
        assert_eq!(redis.keys(&format!("maestro:{prefix}mail_*")).len(), mails.len());
        hub.stop().await;
    }
    assert_eq!(second.keys("maestro:*:mail_*"), Vec::<String>::new());
    // Without an address any more: it is remembered, as it holds no secret.
    let hub = setup.clone().start().await;
    assert_eq!(inbox(&hub, "worker").await, mails);
}

#[tokio::test]
async fn who_asks_for_redis_where_there_is_none_is_told_what_to_do() {
    let setup = Setup::new()
        .without_env("REDIS_ENABLED")
        .env("PATH", "/nonexistent");
    let (status, log) = setup.config("[mail]\nbackend = \"redis\"\n").run_to_end().await;
    assert_eq!(status.code(), Some(78));
    assert!(log.contains("install redis-server, set redis.url"), "{log}");
}

#[tokio::test]
async fn an_operator_looks_at_mail_wherever_it_is_kept() {
    let (setup, redis) = (Setup::new(), Redis::start());
    for setup in [setup.clone(), at(&setup, &redis, "redis")] {
        let mut hub = setup.start().await;
        let mail = send(&hub, "worker", "Which port?").await;
        let id = mail["id"].as_str().expect("an id");
        let mut reply = letter(json!("lead"), "Re: Which port?");
        reply["replyToMailId"] = mail["id"].clone();
        let reply = hub.post("/api/mail", reply).await.expect(201);
        let told = async |args: &[&str]| {
            let told = hub.ctl(&[&["mail"], args].concat()).await;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (told.status.code(), text(&told.stdout), text(&told.stderr))
        };
        let listed = async |args: &[&str]| {
            let (code, out, complaint) = told(&[&["list", "--json"], args].concat()).await;
            assert_eq!(code, Some(0), "{complaint}");
            serde_json::from_str::<Value>(&out).expect("JSON")
        };
        assert_eq!(listed(&["-n", "2"]).await, json!([reply, mail]));
        assert_eq!(listed(&["--project", "p", "-n", "1"]).await, json!([reply]));
        assert_eq!(listed(&["--project", "q"]).await, json!([]));
        let inbox = listed(&["--session", "lead", "--project", "p", "-n", "1"]).await;
        assert_eq!(inbox[0]["toSessionId"], "lead");
        let (code, _, complaint) = told(&["list", "--session", "lead"]).await;
        assert_eq!(code, Some(1));
        assert!(complaint.contains("--project"), "{complaint}");
        let (_, shown, _) = told(&["show", id]).await;
        assert!(
            shown.contains("from      lead") && shown.contains("Which port?"),
            "{shown}"
        );
        let (_, thread, _) = told(&["thread", reply["id"].as_str().expect("an id")]).await;
        assert_eq!(thread.matches("subject   ").count(), 2, "{thread}");
        let (code, _, complaint) = told(&["delete", id]).await;
        assert_eq!(code, Some(2), "nobody is there to agree");
        assert!(complaint.contains("--yes"), "{complaint}");
        assert_eq!(told(&["delete", id, "--yes"]).await.0, Some(0));
        let (code, _, complaint) = told(&["show", id]).await;
        assert_eq!(code, Some(1));
        assert!(complaint.contains("maestroctl mail list"), "{complaint}");
        hub.stop().await;
        let gone = hub.ctl(&["mail", "list"]).await;
        assert_eq!(gone.status.code(), Some(3));
        let complaint = String::from_utf8_lossy(&gone.stderr).into_owned();
        assert!(complaint.contains("maestrod run"), "{complaint}");
    }
}
