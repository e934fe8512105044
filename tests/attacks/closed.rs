//! If the ingress cannot be as it should, it is not there, the rest is, and whoever asks is told why (SECURITY rule 20).

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use serde_json::Value;

use crate::harness::{Daemon, Setup};
use crate::phone::setup;

async fn status(daemon: &Daemon) -> Value {
    let output = daemon.ctl(&["status", "--json"]).await;
    serde_json::from_slice(&output.stdout).expect("a status")
}

fn ingress(status: &Value) -> Value {
    let mut components = status["components"].as_array().expect("components").iter();
    let found = components.find(|part| part["name"] == "ingress");
    found.cloned().expect("the ingress is one of them")
}

fn has_warning(status: &Value) -> bool {
    let mut warnings = status["warnings"].as_array().expect("warnings").iter();
    warnings.any(|warning| warning["code"] == "ingress_closed" && warning["remedy"].is_string())
}

fn socket(daemon: &Daemon) -> PathBuf {
    daemon.place().runtime_dir().join("ingress.sock")
}

#[tokio::test]
async fn without_a_tunnel_there_is_no_way_in() {
    let daemon = Setup::new().start().await;
    assert!(!socket(&daemon).exists());
    let status = status(&daemon).await;
    assert_eq!(ingress(&status)["state"], "off");
    assert!(!has_warning(&status));
}

#[tokio::test]
async fn the_socket_is_for_us_alone_and_goes_with_the_daemon() {
    let mut daemon = setup().start().await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let part = ingress(&status(&daemon).await);
    assert_eq!(mode(&socket(&daemon)), 0o600);
    assert_eq!(mode(&daemon.place().runtime_dir()), 0o700);
    assert_eq!(part["state"], "ready");
    assert!(
        part["detail"].as_str().unwrap().contains("https://hub.example"),
        "{part}"
    );
    let path = socket(&daemon);
    daemon.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_left_by_a_killed_daemon_is_no_obstacle() {
    let mut daemon = setup().start().await;
    assert_eq!(ingress(&status(&daemon).await)["state"], "ready");
    daemon.kill().await;
    assert!(socket(&daemon).exists(), "nobody tidied up");
    let daemon = daemon.restart().await;
    assert_eq!(ingress(&status(&daemon).await)["state"], "ready");
}

#[tokio::test]
async fn what_cannot_be_safe_is_not_served_and_the_rest_is() {
    for (url, why) in [
        ("http://hub.example", "not encrypted"),
        ("https://hub.example/maestro", "no address of a whole host"),
    ] {
        let toml = format!("[tunnel]\nmode = \"external\"\nurl = \"{url}\"\n");
        let daemon = Setup::new().config(&toml).start().await;
        daemon.get("/health").await.expect(200);
        assert!(!socket(&daemon).exists(), "{url}");
        let status = status(&daemon).await;
        let part = ingress(&status);
        assert_eq!(part["state"], "blocked", "{url}");
        assert!(part["reason"].as_str().unwrap().contains(why), "{part}");
        assert!(has_warning(&status), "{url}");
    }
}

#[tokio::test]
async fn a_file_in_the_way_keeps_the_ingress_shut_and_is_left_alone() {
    let setup = setup();
    let file = setup.place().write("run/ingress.sock", "somebody's");
    let daemon = setup.start().await;
    daemon.get("/health").await.expect(200);
    let status = status(&daemon).await;
    assert_eq!(ingress(&status)["state"], "blocked");
    assert!(has_warning(&status));
    assert_eq!(fs::read_to_string(file).unwrap(), "somebody's");
}
