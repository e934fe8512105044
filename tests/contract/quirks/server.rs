//! Quirks of the server as a whole: 29 to 33.

use std::{fs, net::Ipv4Addr};

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    harness::{Place, Setup},
    scene::{Scene, timeline_types},
};

#[tokio::test]
async fn quirk_29_it_listens_on_loopback_of_both_families_and_nowhere_else() {
    let daemon = Setup::new().start().await;
    let port = daemon.port();
    TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("IPv4 loopback");
    if TcpListener::bind("[::1]:0").await.is_ok() {
        TcpStream::connect(("::1", port)).await.expect("IPv6 loopback");
    }
    // Every address of 127/8 reaches a server that listens on all interfaces, but not one bound to 127.0.0.1.
    let other = TcpStream::connect((Ipv4Addr::new(127, 9, 9, 9), port)).await;
    assert!(other.is_err(), "it must not listen on every interface");
}

#[tokio::test]
async fn quirk_29_the_settings_of_the_environment_have_effect() {
    let origin = "http://dashboard.example:8080";
    let daemon = Setup::new()
        .env("HOST", "127.0.0.1")
        .env("CORS_ORIGINS", origin)
        .env("LOG_FORMAT", "json")
        .start()
        .await;
    let asked = crate::harness::Ask::new("GET", "/health").header("origin", origin);
    let answer = daemon.ask(asked).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    for line in daemon.log().lines() {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}"));
        assert!(record.is_object());
    }
}

#[tokio::test]
async fn quirk_29_listening_on_every_interface_without_authentication_is_refused_with_the_remedy() {
    let (status, log) = Setup::new().env("HOST", "0.0.0.0").run_to_end().await;
    assert_eq!(status.code(), Some(78), "{log}");
    assert!(log.contains("127.0.0.1") || log.contains("loopback"), "{log}");
}

#[tokio::test]
async fn quirk_30_server_url_is_written_only_after_the_port_is_bound_and_removed_at_the_end() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let setup = Setup::new().env("PORT", port.to_string());
    let file = setup.place().server_url_file();
    let (status, log) = setup.clone().run_to_end().await;
    assert!(!status.success(), "{log}");
    assert!(log.contains(&port.to_string()), "the log names the port: {log}");
    assert!(!file.exists(), "the port belongs to somebody else");

    drop(taken);
    let mut daemon = setup.start().await;
    assert_eq!(
        fs::read_to_string(&file).expect("written"),
        format!("http://localhost:{port}")
    );
    assert_eq!(daemon.stop().await.code(), Some(0));
    assert!(!file.exists(), "nobody answers there any more");
}

#[tokio::test]
async fn quirk_31_many_changes_of_one_session_at_once_are_all_there_after_a_restart() {
    const ENTRIES: usize = 40;
    let scene = Scene::new().await;
    let session = scene.session(json!({})).await;
    let path = format!("/api/sessions/{session}/timeline");
    let posts = (0..ENTRIES).map(|n| scene.daemon.post(&path, json!({"message": format!("entry {n}")})));
    for answer in futures_util::future::join_all(posts).await {
        answer.expect(200);
    }
    let path = format!("/api/sessions/{session}");
    let before = scene.get(&path).await;
    let daemon = scene.daemon.restart().await;
    let after = daemon.get(&path).await.expect(200);
    assert_eq!(after, before);
    assert_eq!(
        timeline_types(&after)
            .iter()
            .filter(|kind| **kind == "progress")
            .count(),
        ENTRIES
    );
}

#[tokio::test]
async fn quirk_32_a_second_server_on_the_same_data_refuses_and_disturbs_nothing() {
    let first = Setup::new().start().await;
    let file = first.place().server_url_file();
    let second = Setup::at(first.place().clone());
    let (status, log) = second.run_to_end().await;
    assert!(!status.success(), "{log}");
    assert!(
        log.contains(&first.pid().to_string()),
        "the log names the first one's pid: {log}"
    );
    assert_eq!(fs::read_to_string(&file).expect("still there"), first.base());
    first.get("/health").await.expect(200);
}

/// The same task in the old place and in its project's folder.
fn write_twice(place: &Place, older: &str, newer: &str) {
    let task = |title: &str, updated: u64| {
        json!({
            "id": "task_1700000000000_abcdefghi", "projectId": "proj_1700000000000_abcdefghi", "parentId": null,
            "title": title, "description": "", "status": "todo", "priority": "medium",
            "createdAt": 1_700_000_000_000_u64, "updatedAt": updated, "startedAt": null, "completedAt": null,
            "initialPrompt": "", "sessionIds": [], "skillIds": [], "agentIds": [], "dependencies": [],
            "referenceTaskIds": []
        })
        .to_string()
    };
    let project = json!({
        "id": "proj_1700000000000_abcdefghi", "name": "P", "workingDir": "", "description": "",
        "createdAt": 1_700_000_000_000_u64, "updatedAt": 1_700_000_000_000_u64
    });
    place.write(
        "old/projects/proj_1700000000000_abcdefghi.json",
        &project.to_string(),
    );
    place.write(older, &task("older", 1_700_000_000_001));
    place.write(newer, &task("newer", 1_700_000_000_002));
}

#[tokio::test]
async fn quirk_33_of_two_files_of_one_task_the_later_update_is_imported() {
    let root = "old/tasks/task_1700000000000_abcdefghi.json";
    let foldered = "old/tasks/proj_1700000000000_abcdefghi/task_1700000000000_abcdefghi.json";
    for (older, newer) in [(root, foldered), (foldered, root)] {
        let daemon = Setup::new().start().await;
        write_twice(daemon.place(), older, newer);
        let old = daemon.place().root().join("old");
        let output = daemon.ctl(&["import", &old.to_string_lossy()]).await;
        assert!(
            output.status.success(),
            "import: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let tasks = daemon.get("/api/tasks").await.expect(200);
        assert_eq!(tasks.as_array().expect("a list").len(), 1);
        assert_eq!(tasks[0]["title"], "newer");
        assert!(
            daemon.place().root().join(older).exists(),
            "the old files are left alone"
        );
    }
}
