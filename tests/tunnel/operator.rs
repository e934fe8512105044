//! An operator at a terminal, with the real daemon.

use maestro::control::client::Client;
use maestro::control::protocol::devices::{RedeemAnswer, RedeemAsk};
use serde_json::Value;

use crate::harness::{
    Daemon, Edge, Setup, eventually,
    output::{code, parsed, text},
};

pub async fn component(daemon: &Daemon, name: &str) -> Value {
    let out = daemon.ctl(&["status", "--json"]).await;
    let status = parsed(&out);
    let parts = status["components"].as_array().expect("components").clone();
    let found = parts.into_iter().find(|part| part["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {status:#}"))
}

/// Pairs a device, if there is none: while nobody may come in, the tunnel stays shut.
pub async fn let_somebody_in(daemon: &Daemon) {
    let listed = daemon.ctl(&["devices", "--json"]).await;
    if text(&listed).contains("\"dev_") {
        return;
    }
    let minted = daemon.ctl(&["pair", "--no-wait", "--json"]).await;
    let step = parsed(&minted);
    let ask = RedeemAsk {
        code: step["code"].as_str().expect("a code").to_owned(),
        name: Some("phone".to_owned()),
    };
    let socket = daemon.place().runtime_dir().join("maestrod.sock");
    let mut client = Client::connect(&socket).await.expect("the daemon listens");
    let paired: Result<RedeemAnswer, _> = client.post_json("/v1/pairing/redeem", &ask).await;
    paired.unwrap_or_else(|error| panic!("{error}"));
}

/// Waits until the tunnel is in this state while somebody may come in; its entry.
pub async fn tunnel_becomes(daemon: &Daemon, state: &str) -> Value {
    let_somebody_in(daemon).await;
    eventually(&format!("the tunnel is {state}"), || async {
        let tunnel = component(daemon, "tunnel").await;
        (tunnel["state"] == state).then_some(tunnel)
    })
    .await
}

#[tokio::test]
async fn a_hub_without_a_tunnel_says_that_it_is_off_and_is_fine() {
    let daemon = Setup::new().start().await;
    let seen = daemon.ctl(&["status"]).await;
    assert_eq!(code(&seen), 0, "{}", text(&seen));
    assert!(text(&seen).contains("tunnel   off"), "{}", text(&seen));
    let refused = daemon.ctl(&["start", "tunnel"]).await;
    assert_eq!(code(&refused), 1);
    assert!(
        text(&refused).contains("maestroctl tunnel setup"),
        "{}",
        text(&refused)
    );
    let none = daemon.ctl(&["tunnel", "url"]).await;
    assert_eq!(
        (code(&none), none.stdout.is_empty()),
        (1, true),
        "{}",
        text(&none)
    );
}

#[tokio::test]
async fn an_operator_sees_stops_starts_and_restarts_the_tunnel_and_reads_what_it_printed() {
    let edge = Edge::start().await;
    let daemon = Setup::new().config(&edge.config()).start().await;
    let first = tunnel_becomes(&daemon, "ready").await;
    let detail = first["detail"].as_str().expect("text");
    assert!(
        detail.contains(&edge.url()) && detail.contains("4 connections") && detail.contains("2026.8.2"),
        "{detail}"
    );
    let url = daemon.ctl(&["tunnel", "url"]).await;
    assert_eq!(String::from_utf8_lossy(&url.stdout), format!("{}\n", edge.url()));
    let logs = daemon.ctl(&["logs", "tunnel"]).await;
    assert!(
        text(&logs).contains("Registered tunnel connection"),
        "{}",
        text(&logs)
    );

    assert_eq!(code(&daemon.ctl(&["restart", "tunnel"]).await), 0);
    eventually("another process is ready", || async {
        let tunnel = component(&daemon, "tunnel").await;
        (tunnel["state"] == "ready" && tunnel["pid"] != first["pid"]).then_some(())
    })
    .await;
    assert_eq!(code(&daemon.ctl(&["stop", "tunnel"]).await), 0);
    tunnel_becomes(&daemon, "stopped").await;
    assert_eq!(edge.get("/").await.status, 530);
    assert_eq!(code(&daemon.ctl(&["start", "tunnel"]).await), 0);
    tunnel_becomes(&daemon, "ready").await;
}

#[tokio::test]
async fn a_quick_tunnel_is_called_a_trial_everywhere() {
    let edge = Edge::start().await;
    let daemon = Setup::new().config(&edge.quick_config()).start().await;
    let part = tunnel_becomes(&daemon, "ready").await;
    assert!(part["detail"].as_str().expect("text").contains("trial"), "{part}");
    let status = daemon.ctl(&["tunnel", "status"]).await;
    assert!(text(&status).contains("trial"), "{}", text(&status));
    let json = daemon.ctl(&["tunnel", "status", "--json"]).await;
    let report: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(report["trial"], true);
    let url = daemon.ctl(&["tunnel", "url"]).await;
    assert_eq!(report["url"], String::from_utf8_lossy(&url.stdout).trim());
    assert!(String::from_utf8_lossy(&url.stderr).contains("trial"));
}

#[tokio::test]
async fn a_check_on_demand_says_what_was_seen_and_what_to_do() {
    let edge = Edge::start().await;
    let daemon = Setup::new().config(&edge.config()).start().await;
    tunnel_becomes(&daemon, "ready").await;
    edge.answered_by_a_stranger(Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"));
    let checked = daemon.ctl(&["tunnel", "status", "--check"]).await;
    assert_eq!(code(&checked), 1, "{}", text(&checked));
    assert!(
        text(&checked).contains("wrong_answer") && text(&checked).contains("proves nothing"),
        "{}",
        text(&checked)
    );
    let part = tunnel_becomes(&daemon, "degraded").await;
    assert_eq!(part["reason"], "wrong_answer");
    assert!(
        part["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.contains("connector")),
        "{part}"
    );
}

#[tokio::test]
async fn trouble_is_shown_with_its_reason_and_its_remedy_while_the_hub_works() {
    for (state, reason, word) in [
        ("unauthorized", "unauthorized", "new token"),
        ("dns_dead", "dns_dead", "DNS"),
        ("refused", "registration_refused", "logs tunnel"),
    ] {
        let edge = Edge::start().await;
        edge.state(state);
        let daemon = Setup::new().config(&edge.config()).start().await;
        let_somebody_in(&daemon).await;
        let part = eventually(&format!("the tunnel is {reason}"), || async {
            let part = component(&daemon, "tunnel").await;
            (part["reason"] == reason).then_some(part)
        })
        .await;
        assert!(
            part["remedy"]
                .as_str()
                .is_some_and(|remedy| remedy.contains(word)),
            "{part}"
        );
        daemon.get("/health").await.expect(200);
    }
}

#[tokio::test]
async fn a_tunnel_that_lacks_something_stays_shut_and_the_rest_runs() {
    let edge = Edge::start().await;
    let config = format!(
        "[tunnel]\nmode = \"token\"\nbinary = {:?}\ntoken_file = {:?}\n",
        edge.binary(),
        edge.token_file()
    );
    let daemon = Setup::new().config(&config).start().await;
    daemon.get("/health").await.expect(200);
    let part = component(&daemon, "tunnel").await;
    assert_eq!(
        (part["state"].as_str(), part["reason"].as_str()),
        (Some("blocked"), Some("tunnel_misconfigured"))
    );
    assert!(
        part["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.contains("tunnel.url")),
        "{part}"
    );
    let status = daemon.ctl(&["status"]).await;
    assert!(
        text(&status).contains("tunnel.url is not set: the tunnel stays closed"),
        "{}",
        text(&status)
    );
    assert_eq!(edge.starts().len(), 0);
}

#[tokio::test]
async fn no_program_no_tunnel_and_it_starts_by_itself_once_it_is_installed() {
    let edge = Edge::start().await;
    let setup = Setup::new();
    let program = setup.place().root().join("cloudflared");
    let config = edge
        .config()
        .replace(&format!("{:?}", edge.binary()), &format!("{program:?}"));
    let daemon = setup.config(&config).start().await;
    let part = tunnel_becomes(&daemon, "blocked").await;
    assert_eq!(part["reason"], "binary_missing");
    assert!(
        part["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.contains("install cloudflared")),
        "{part}"
    );
    std::os::unix::fs::symlink(edge.binary().canonicalize().expect("there"), &program).expect("installed");
    tunnel_becomes(&daemon, "ready").await;
}

#[tokio::test]
async fn the_tunnel_ends_with_the_daemon_in_time() {
    let edge = Edge::start().await;
    edge.script(serde_json::json!({"never_closes": true}));
    let mut daemon = Setup::new().config(&edge.config()).start().await;
    tunnel_becomes(&daemon, "ready").await;
    let status = daemon.stop().await;
    assert!(status.success(), "{status}");
    let pid = edge.starts().last().expect("started").pid;
    assert!(
        !std::path::Path::new(&format!("/proc/{pid}")).exists(),
        "gone and reaped"
    );
    assert!(daemon.log().contains("close the tunnel"), "{}", daemon.log());
}
