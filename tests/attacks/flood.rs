//! A crowd at the ingress that says nothing, or one letter at a time: at home nobody notices, and the ingress is there
//! again when the crowd is gone.

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::UnixStream};

use crate::harness::{Ask, eventually};
use crate::phone::{HOST, Phone, setup, stranger};

/// Far more than the ingress serves at once.
const CROWD: usize = 3000;

#[tokio::test]
async fn thousands_of_half_open_connections_from_outside_starve_nobody_at_home() {
    // Each of them is a file of ours too.
    let files = maestro::service::rlimit::raise_open_files().map_or(1024, |files| files.now);
    let crowd = CROWD.min(usize::try_from(files).unwrap_or(CROWD).saturating_sub(256));
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, "view", None).await;
    let socket = daemon.place().runtime_dir().join("ingress.sock");
    let (mut held, mut turned_away) = (Vec::new(), 0);
    for n in 0..crowd {
        // When all places are taken, the kernel lets some wait and refuses the rest.
        let Ok(mut stream) = UnixStream::connect(&socket).await else {
            turned_away += 1;
            continue;
        };
        let begun = match n % 3 {
            0 => String::new(),
            1 => "G".to_owned(),
            _ => format!("GET /health HTTP/1.1\r\nhost: {HOST}\r\nx-slow: "),
        };
        let _ = stream.write_all(begun.as_bytes()).await;
        held.push(stream);
    }
    assert!(held.len() > 600, "{} held, {turned_away} turned away", held.len());
    for _ in 0..20 {
        daemon.get("/health").await.expect(200);
    }
    let project = daemon
        .post("/api/projects", json!({"name": "Demo"}))
        .await
        .expect(201);
    let mut socket_at_home = daemon.listen().await;
    let task = json!({"projectId": project["id"], "title": "t"});
    daemon.post("/api/tasks", task).await.expect(201);
    assert_eq!(socket_at_home.next().await["event"], "task:created");
    assert!(daemon.ctl(&["status", "--json"]).await.status.success());
    drop(held);
    eventually("the ingress serves again", || async {
        let stream = UnixStream::connect(&socket).await.ok()?;
        let answer = Ask::new("GET", "/health").over(stream, HOST).await;
        (answer.status == 200).then_some(())
    })
    .await;
    phone.get("/api/projects").await.expect(200);
}

#[tokio::test]
async fn a_stranger_who_never_stops_is_told_to_wait_and_a_phone_is_not() {
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, "view", None).await;
    let mut told = None;
    for _ in 0..2000 {
        let answer = stranger(&daemon, Ask::new("GET", "/pair")).await;
        if answer.status != 200 {
            told = Some(answer);
            break;
        }
    }
    let told = told.expect("a stranger cannot go on for ever");
    assert_eq!((told.status, told.json()["code"].as_str()), (429, Some("rate")));
    assert!(told.header("retry-after").is_some());
    phone.get("/api/projects").await.expect(200);
    phone.get("/").await; // its own page too
    assert_eq!(phone.get("/pair").await.status, 200);
}
