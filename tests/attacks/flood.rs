//! A crowd at the ingress that says nothing, or one letter at a time: at home nobody notices, and the ingress is there
//! again when the crowd is gone.

use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UnixStream},
};

use crate::harness::{Ask, Daemon, eventually};
use crate::phone::{HOST, Phone, setup, stranger};

/// Connections that are tried.
const CROWD: usize = 10_000;
/// What the daemon may have open besides the connections it serves: the ingress serves 512 at once.
const PLACES: usize = 512;
/// What one silent connection may cost, in KiB of resident memory.
const EACH_KIB: usize = 64;

/// As many as fit: each is a file of ours and of the daemon, which stands under the same limit.
fn crowd() -> usize {
    let files = maestro::service::rlimit::raise_open_files().map_or(1024, |files| files.now);
    CROWD.min(usize::try_from(files).unwrap_or(CROWD) / 2)
}

/// What a connection says before it falls silent.
fn begun(n: usize) -> String {
    match n % 3 {
        0 => String::new(),
        1 => "G".to_owned(),
        _ => format!("GET /health HTTP/1.1\r\nhost: {HOST}\r\nx-slow: "),
    }
}

/// Resident memory in KiB, as `ps` tells it.
fn resident(daemon: &Daemon) -> usize {
    let told = std::process::Command::new("ps")
        .args(["-o", "rss=", "-p", &daemon.pid().to_string()])
        .output()
        .expect("ps runs");
    let text = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    text.parse().expect("a number")
}

/// At home everything works: requests, events, and the control socket.
async fn nobody_at_home_notices(daemon: &Daemon) {
    for _ in 0..20 {
        daemon.get("/health").await.expect(200);
    }
    let project = daemon.post("/api/projects", json!({"name": "Demo"})).await;
    let project = project.expect(201);
    let mut page = daemon.listen().await;
    let task = json!({"projectId": project["id"], "title": "t"});
    daemon.post("/api/tasks", task).await.expect(201);
    assert_eq!(page.next().await["event"], "task:created");
    assert!(daemon.ctl(&["status", "--json"]).await.status.success());
}

#[tokio::test]
async fn ten_thousand_half_open_connections_from_outside_starve_nobody_at_home() {
    let crowd = crowd();
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, "view", None).await;
    nobody_at_home_notices(&daemon).await;
    let (memory, files) = (resident(&daemon), daemon.descriptors());
    let socket = daemon.place().runtime_dir().join("ingress.sock");
    let (mut held, mut turned_away) = (Vec::new(), 0);
    for n in 0..crowd {
        // When all places are taken, the kernel lets some wait and refuses the rest.
        let Ok(mut stream) = UnixStream::connect(&socket).await else {
            turned_away += 1;
            continue;
        };
        let _ = stream.write_all(begun(n).as_bytes()).await;
        held.push(stream);
    }
    assert!(
        held.len() > PLACES,
        "{} held, {turned_away} turned away",
        held.len()
    );
    nobody_at_home_notices(&daemon).await;
    let (memory_then, files_then) = (resident(&daemon), daemon.descriptors());
    println!(
        "{crowd} tried at the ingress, {} held, {turned_away} turned away; resident {memory} KiB before, {memory_then} \
         KiB during; open files {files} before, {files_then} during",
        held.len()
    );
    assert!(
        memory_then < memory + (PLACES + 256) * EACH_KIB,
        "{memory} KiB, then {memory_then}"
    );
    assert!(files_then < files + PLACES + 64, "{files}, then {files_then}");
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
async fn ten_thousand_half_open_connections_at_home_leave_room_for_the_next_and_cost_little() {
    let crowd = crowd();
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, "view", None).await;
    nobody_at_home_notices(&daemon).await;
    let (memory, files) = (resident(&daemon), daemon.descriptors());
    let mut held = Vec::new();
    for n in 0..crowd {
        let mut stream = TcpStream::connect(("127.0.0.1", daemon.port()))
            .await
            .expect("there is room at home");
        let _ = stream.write_all(begun(n).as_bytes()).await;
        held.push(stream);
    }
    nobody_at_home_notices(&daemon).await;
    phone.get("/api/projects").await.expect(200);
    let (memory_then, files_then) = (resident(&daemon), daemon.descriptors());
    println!(
        "{crowd} held at home; resident {memory} KiB before, {memory_then} KiB during; open files {files} before, \
         {files_then} during"
    );
    assert!(
        memory_then < memory + crowd * EACH_KIB,
        "{memory} KiB, then {memory_then}"
    );
    drop(held);
    eventually("what they held is given back", || async {
        (daemon.descriptors() < files + 64).then_some(())
    })
    .await;
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
