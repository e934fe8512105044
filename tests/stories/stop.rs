//! Whoever stops the daemon: everything is told, finished and put away in order, and it ends in time.

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Ask, Daemon, Setup, eventually};

async fn logged(daemon: &Daemon, words: &str) {
    eventually(&format!("the log says {words:?}"), || async {
        daemon.log().contains(words).then_some(())
    })
    .await;
}

/// A write whose body has not arrived yet: it is in flight until [`Half::finish`].
struct Half(TcpStream);

const BODY: &str = r#"{"name":"late"}"#;

impl Half {
    async fn begin(daemon: &Daemon) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", daemon.port())).await.unwrap();
        let head = format!(
            "POST /api/projects HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            BODY.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server asks for the body once a route reads it: from then on the request is in flight.
        let mut answer = [0; 25];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self(stream)
    }

    async fn finish(mut self) -> String {
        self.0.write_all(BODY.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.0.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn sockets_are_told_why_and_long_polls_answered_with_nothing() {
    let mut daemon = Setup::new().start().await;
    let mut socket = daemon.listen().await;
    let port = daemon.port();
    let waiting = tokio::spawn(async move {
        Ask::new("GET", "/api/mail/wait/s?projectId=p&timeout=120000")
            .to(port)
            .await
    });
    eventually("the poll waits", || async {
        daemon.signal(Signal::SIGUSR1);
        daemon.log().contains(r#""requests_in_flight":1"#).then_some(())
    })
    .await;

    daemon.signal(Signal::SIGTERM);
    assert_eq!(waiting.await.unwrap().expect(200), json!([]));
    let reason = socket.closed().await.expect("a reason");
    assert_eq!(
        (u16::from(reason.code), reason.reason.as_str()),
        (1001, "the hub is stopping")
    );
    assert_eq!(daemon.wait_for_end().await.code(), Some(0));
    assert!(!daemon.place().server_url_file().exists());
}

#[tokio::test]
async fn an_answer_that_is_there_is_told_to_the_last() {
    let mut daemon = Setup::new().start().await;
    let project = daemon
        .post("/api/projects", json!({"name": "P"}))
        .await
        .expect(201);
    let wish = json!({"projectId": project["id"], "taskIds": [], "status": "working"});
    let session = daemon.post("/api/sessions", wish).await.expect(201);
    let path = format!("/api/sessions/{}", session["id"].as_str().expect("an id"));
    let question = json!({"type": "needs_input", "message": "Which?"});
    let asked = daemon
        .post(&format!("{path}/timeline"), question)
        .await
        .expect(200);
    let request = asked["needsInput"]["requestId"].as_str().expect("a name");
    let answer = json!({"requestId": request, "text": "the left"});
    daemon
        .post(&format!("{path}/reply-input"), answer)
        .await
        .expect(200);

    let half = Half::begin(&daemon).await;
    daemon.signal(Signal::SIGTERM);
    logged(&daemon, "say so").await;
    for _ in 0..20 {
        let told = daemon
            .get(&format!("{path}/input?requestId={request}&timeout=0"))
            .await
            .expect(200);
        assert_eq!(told["state"], "answered", "{told}");
    }
    half.finish().await;
    assert_eq!(daemon.wait_for_end().await.code(), Some(0));
}

#[tokio::test]
async fn what_was_begun_is_finished_and_what_is_new_is_sent_away_for_a_while() {
    let mut daemon = Setup::new().start().await;
    let half = Half::begin(&daemon).await;
    daemon.signal(Signal::SIGTERM);
    logged(&daemon, "say so").await;

    let refused = daemon.post("/api/projects", json!({"name": "new"})).await;
    assert_eq!(refused.expect(503)["code"], "UNAVAILABLE");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(daemon.get("/ready").await.status, 503);
    daemon.get("/api/projects").await.expect(200);

    let answer = half.finish().await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(daemon.wait_for_end().await.code(), Some(0));

    let daemon = daemon.restart().await;
    let projects = daemon.get("/api/projects").await.expect(200);
    assert_eq!(
        projects[0]["name"], "late",
        "what was acknowledged at the last moment is kept"
    );
}

#[tokio::test]
async fn a_second_signal_waits_for_nobody() {
    let mut daemon = Setup::new().start().await;
    let half = Half::begin(&daemon).await;
    daemon.signal(Signal::SIGTERM);
    logged(&daemon, "say so").await;
    daemon.signal(Signal::SIGINT);
    assert_eq!(daemon.wait_for_end().await.code(), Some(0));
    assert!(
        daemon.log().contains("asked again: stopping at once"),
        "{}",
        daemon.log()
    );
    drop(half); // never finished
}

#[tokio::test]
async fn a_child_that_hangs_is_killed_in_time_and_nothing_is_left() {
    let setup = Setup::new()
        .without_env("REDIS_ENABLED")
        .config("[redis]\nmode = \"managed\"\n[stop]\nprofile = \"fast\"\n");
    let mut daemon = setup.start().await;
    eventually("redis is ready", || async {
        (daemon.get("/ready").await.status == 200).then_some(())
    })
    .await;
    let status = daemon.ctl(&["status", "--json"]).await;
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    let redis = status["components"]
        .as_array()
        .expect("components")
        .iter()
        .find(|component| component["name"] == "redis")
        .expect("redis")["pid"]
        .as_i64()
        .expect("a pid");
    let redis = Pid::from_raw(i32::try_from(redis).expect("a pid"));
    kill(redis, Signal::SIGSTOP).expect("redis is ours");

    assert_eq!(daemon.stop().await.code(), Some(0), "{}", daemon.log());
    assert_eq!(kill(redis, None), Err(Errno::ESRCH), "no process is left behind");
}
