//! maestrod dies of `kill -9`; what it kept open is taken over, or shut if nobody wants it.

use serde_json::Value;

use crate::{
    harness::{Daemon, Edge, Setup, eventually},
    operator::{component, tunnel_becomes},
    phone::mint,
};

fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

async fn url(daemon: &Daemon) -> String {
    let out = daemon.ctl(&["tunnel", "url"]).await;
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn pid_of(part: &Value) -> i32 {
    i32::try_from(part["pid"].as_i64().expect("alive")).expect("a pid")
}

#[tokio::test]
async fn a_quick_tunnel_and_its_address_survive_the_death_of_maestrod() {
    let edge = Edge::start().await;
    let mut daemon = Setup::new().config(&edge.quick_config()).start().await;
    let first = tunnel_becomes(&daemon, "ready").await;
    let address = url(&daemon).await;
    assert!(address.ends_with(".trycloudflare.com"), "{address}");
    daemon.kill().await;
    assert!(alive(pid_of(&first)), "it outlives maestrod");

    let mut daemon = daemon.setup().clone().start().await;
    let second = tunnel_becomes(&daemon, "ready").await;
    assert_eq!(second["pid"], first["pid"]);
    assert_eq!(second["adopted"], true);
    let same = eventually("the address is known", || async {
        let known = url(&daemon).await;
        (!known.is_empty()).then_some(known)
    });
    assert_eq!(same.await, address);
    assert_eq!(edge.starts().len(), 1, "exactly one, all along");
    daemon.stop().await;
    assert!(!alive(pid_of(&first)), "an adopted one is ended with the daemon");
}

#[tokio::test]
async fn another_token_replaces_an_orphan() {
    let edge = Edge::start().await;
    let mut daemon = Setup::new().config(&edge.config()).start().await;
    let first = tunnel_becomes(&daemon, "ready").await;
    daemon.kill().await;
    std::fs::write(edge.token_file(), "eyJhbm90aGVyIjoib25lIn0=").expect("written");
    let daemon = daemon.setup().clone().start().await;
    let second = tunnel_becomes(&daemon, "ready").await;
    assert_ne!(second["pid"], first["pid"]);
    assert!(!alive(pid_of(&first)));
}

#[tokio::test]
async fn a_way_in_that_nobody_asks_for_any_more_is_shut() {
    let edge = Edge::start().await;
    let mut daemon = Setup::new().config(&edge.quick_config()).start().await;
    let first = tunnel_becomes(&daemon, "ready").await;
    daemon.kill().await;
    let daemon = daemon
        .setup()
        .clone()
        .config("[tunnel]\nmode = \"off\"\n")
        .start()
        .await;
    eventually("the orphan is ended", || async {
        (!alive(pid_of(&first))).then_some(())
    })
    .await;
    assert_eq!(component(&daemon, "tunnel").await["state"], "off");
}

#[tokio::test]
async fn a_way_in_that_was_open_for_a_code_is_shut_when_the_code_died_with_maestrod() {
    let edge = Edge::start().await;
    let mut daemon = Setup::new().config(&edge.quick_config()).start().await;
    mint(&daemon).await;
    edge.connected().await;
    let pid = edge.starts().pop().expect("started").pid;
    daemon.kill().await;
    let daemon = daemon.setup().clone().start().await;
    eventually("the orphan is ended", || async { (!alive(pid)).then_some(()) }).await;
    assert_eq!(component(&daemon, "tunnel").await["reason"], "nobody_paired");
}
