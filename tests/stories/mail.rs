//! Agents that write to each other.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Daemon, Setup, eventually};

fn mail(to: Value, subject: &str) -> Value {
    json!({"projectId": "p", "fromSessionId": "lead", "toSessionId": to, "type": "query", "subject": subject})
}

async fn send(daemon: &Daemon, to: impl Into<Value>, subject: &str) -> Value {
    daemon
        .post("/api/mail", mail(to.into(), subject))
        .await
        .expect(201)
}

async fn inbox(daemon: &Daemon, session: &str) -> Vec<String> {
    let path = format!("/api/mail/inbox/{session}?projectId=p");
    subjects(&daemon.get(&path).await.expect(200))
}

fn subjects(mails: &Value) -> Vec<String> {
    let mails = mails.as_array().expect("a list of mails");
    mails
        .iter()
        .map(|mail| mail["subject"].as_str().expect("a subject").to_owned())
        .collect()
}

/// A wait that only a mail sent while it waits can end: all that lies there is older than its `since`.
fn wait(daemon: &Daemon, session: &str) -> tokio::task::JoinHandle<Answer> {
    let path = format!("/api/mail/wait/{session}?projectId=p&timeout=120000&since=9000000000000");
    tokio::spawn(
        Ask::new("GET", path)
            .within(Duration::from_secs(120))
            .to(daemon.port()),
    )
}

/// Sends until every waiter was woken: one that comes too late for a mail is woken by the next.
async fn wake(daemon: &Daemon, to: impl Into<Value>, waiters: &[tokio::task::JoinHandle<Answer>]) {
    let to = to.into();
    eventually("all waiters are woken", || {
        let to = to.clone();
        async {
            send(daemon, to, "wake up").await;
            waiters
                .iter()
                .all(tokio::task::JoinHandle::is_finished)
                .then_some(())
        }
    })
    .await;
}

#[tokio::test]
async fn two_agents_talk_and_their_conversation_is_found_as_one() {
    let daemon = Setup::new().start().await;
    let question = send(&daemon, "worker", "Which port?").await;
    let path = "/api/mail/wait/worker?projectId=p";
    assert_eq!(daemon.get(path).await.expect(200), json!([question]));
    let mut answer = mail(json!("lead"), "Re: Which port?");
    answer["fromSessionId"] = json!("worker");
    answer["replyToMailId"] = question["id"].clone();
    let answer = daemon.post("/api/mail", answer).await.expect(201);
    assert_eq!(answer["threadId"], question["id"]);
    let since = &question["createdAt"];
    let path = format!("/api/mail/wait/lead?projectId=p&since={since}");
    assert_eq!(daemon.get(&path).await.expect(200), json!([answer]));
    let path = format!("/api/mail/thread/{}", question["id"].as_str().expect("an id"));
    assert_eq!(daemon.get(&path).await.expect(200), json!([question, answer]));
}

#[tokio::test]
async fn a_waiting_agent_is_woken_by_its_own_mail_and_nobody_elses() {
    let daemon = Setup::new().start().await;
    let waiting = [wait(&daemon, "worker")];
    let other = wait(&daemon, "other");
    wake(&daemon, "worker", &waiting).await;
    for answer in waiting {
        let woken = answer.await.expect("it was answered").expect(200);
        assert_eq!(subjects(&woken), ["wake up"]);
        assert_eq!(woken[0]["toSessionId"], "worker");
    }
    assert!(!other.is_finished());
    other.abort();
}

#[tokio::test]
async fn a_broadcast_wakes_everybody_in_the_project() {
    let daemon = Setup::new().start().await;
    let waiting: Vec<_> = (0..20).map(|n| wait(&daemon, &format!("worker{n}"))).collect();
    wake(&daemon, Value::Null, &waiting).await;
    for answer in waiting {
        assert_eq!(
            subjects(&answer.await.expect("it was answered").expect(200)),
            ["wake up"]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_agents_wait_at_once_and_all_are_woken() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit on open files");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the limit can be raised");
    assert!(hard >= 12_000, "5,000 waiters need more open files than {hard}");
    let daemon = Setup::new().start().await;
    let waiting: Vec<_> = (0..5000).map(|n| wait(&daemon, &format!("worker{n}"))).collect();
    let begun = Instant::now();
    wake(&daemon, Value::Null, &waiting).await;
    eprintln!("5,000 agents were waiting and woken within {:?}", begun.elapsed());
    for answer in waiting {
        assert_eq!(
            subjects(&answer.await.expect("it was answered").expect(200)),
            ["wake up"]
        );
    }
}

#[tokio::test]
async fn a_mail_that_was_acknowledged_outlives_a_restart_and_a_kill() {
    let daemon = Setup::new().start().await;
    send(&daemon, "worker", "before the restart").await;
    let mut daemon = daemon.restart().await;
    send(&daemon, Value::Null, "before the kill").await;
    daemon.kill().await;
    let daemon = daemon.restart().await;
    assert_eq!(
        inbox(&daemon, "worker").await,
        ["before the restart", "before the kill"]
    );
}

#[tokio::test]
async fn a_sending_repeated_under_its_key_is_one_mail_and_one_event() {
    let daemon = Setup::new().start().await;
    let mut socket = daemon.listen().await;
    let ask = |key: &str, subject: &str| {
        Ask::new("POST", "/api/mail")
            .header("Idempotency-Key", key)
            .json(&mail(json!("worker"), subject))
    };
    let first = daemon.ask(ask("k1", "once")).await.expect(201);
    assert_eq!(daemon.ask(ask("k1", "once")).await.expect(201), first);
    let names = socket.arrived_names().await;
    assert_eq!(names, ["mail:received"]);
    let daemon = daemon.restart().await;
    assert_eq!(daemon.ask(ask("k1", "once")).await.expect(201), first);
    let refused = daemon.ask(ask("k1", "changed")).await.expect(422);
    assert_eq!(refused["code"], "BUSINESS_RULE_ERROR");
    daemon.ask(ask("k2", "once")).await.expect(201);
    let refused = daemon.ask(ask(&"k".repeat(256), "x")).await.expect(400);
    assert_eq!(refused["code"], "VALIDATION_ERROR");
    assert_eq!(inbox(&daemon, "worker").await, ["once", "once"]);
}
