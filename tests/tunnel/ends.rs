//! How a tunnel may end, what is made of it, and how it is ended.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use maestro::{
    children::TunnelKind,
    supervisor::{Exit, State},
};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    harness::{Edge, PATIENCE, eventually},
    house::{House, signal},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_tunnel_is_replaced() {
    let (house, edge) = (House::new(), Edge::start().await);
    let kept = house.tunnel(&edge).await;
    let pid = kept.ready().await;
    signal(pid, Signal::SIGKILL);
    kept.ready_anew(pid).await;
    let status = kept.handle.status();
    let exit = status.last_exit().expect("remembered");
    assert_eq!((exit.exit, exit.reason.as_ref()), (Exit::Signal(9), "killed"));
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metrics_port_that_was_taken_meanwhile_is_no_failure() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.script(json!({"metrics_taken": 2}));
    let kept = house.quick_tunnel(&edge).await;
    kept.ready().await;
    let ports: std::collections::BTreeSet<_> = edge
        .starts()
        .iter()
        .map(|start| {
            start.argv[start
                .argv
                .iter()
                .position(|arg| arg == "--metrics")
                .expect("given")
                + 1]
            .clone()
        })
        .collect();
    assert_eq!(edge.starts().len(), 3);
    assert!(ports.len() > 1, "another port: {ports:?}");
    assert_eq!(kept.handle.status().n, 0, "not counted");
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_for_longer_each_time_even_by_the_next_supervisor() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.state("rate_limited");
    let hours = |params: &mut maestro::children::TunnelParams| {
        params.pauses.limited_first = Duration::from_secs(3_600);
        params.pauses.limited_most = Duration::from_secs(7_200);
    };
    let mut params = house.params(&edge, TunnelKind::Quick);
    hours(&mut params);
    let mut first = house.supervise(house.spec(params.clone()).0).await;
    let waiting = first.change_to(State::Backoff).await;
    assert_eq!(waiting.reason, "rate_limited");
    let pause = waiting.next_retry_at_ms.expect("due") - waiting.at_ms;
    assert!((3_590_000..=3_610_000).contains(&pause), "{pause} ms");
    first.end().await;

    // It would work now, but nobody may ask yet: not after a restart of ours, and not for an operator's wish.
    edge.restore();
    let mut second = house.supervise(house.spec(params).0).await;
    let waiting = second.change_to(State::Backoff).await;
    assert_eq!(waiting.reason, "rate_limited");
    assert!(waiting.next_retry_at_ms.expect("due") - waiting.at_ms > 3_500_000);
    second.handle.restart().await.expect("supervised");
    assert_eq!(second.change_to(State::Backoff).await.reason, "rate_limited");
    assert_eq!(edge.starts().len(), 1, "Cloudflare was asked once");
    second.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rate_limit_it_comes_up_by_itself() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.state("rate_limited");
    let mut kept = house.quick_tunnel(&edge).await;
    assert_eq!(kept.change_to(State::Backoff).await.reason, "rate_limited");
    edge.restore();
    kept.change_to(State::Ready).await;
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_dns_and_a_refused_registration_are_retried_with_their_names() {
    for (state, reason) in [("dns_dead", "dns_dead"), ("refused", "registration_refused")] {
        let (house, edge) = (House::new(), Edge::start().await);
        edge.state(state);
        let mut kept = house.tunnel(&edge).await;
        assert_eq!(kept.change_to(State::Backoff).await.reason, reason);
        edge.restore();
        kept.change_to(State::Ready).await;
        kept.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_with_zero_at_once_is_a_failure() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.script(json!({"end": {"exit": 0}, "end_after": 0}));
    let mut kept = house.tunnel(&edge).await;
    let failed = kept.change_to(State::Backoff).await;
    assert_eq!(
        (failed.reason.as_ref(), failed.exit),
        ("exit_0_at_once", Some(Exit::Code(0)))
    );
    assert!(failed.n >= 1);
    edge.script(json!({"end": null}));
    kept.change_to(State::Ready).await;
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_start_cannot_cure_blocks_until_its_cause_changes() {
    let (house, edge) = (House::new(), Edge::start().await);
    fs::write(edge.token_file(), "no token").expect("written");
    let mut kept = house.tunnel(&edge).await;
    let blocked = kept.change_to(State::Blocked).await;
    assert_eq!(
        (blocked.reason.as_ref(), blocked.exit),
        ("config_refused", Some(Exit::Code(255)))
    );
    let remedy = kept.handle.status().remedy.expect("a remedy");
    assert!(remedy.contains("tunnel.token_file"), "{remedy}");
    assert_eq!(edge.starts().len(), 1);
    fs::write(edge.token_file(), crate::harness::tunnel::TOKEN).expect("written");
    kept.change_to(State::Ready).await;
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_others_can_read_is_not_used_until_it_is_closed() {
    let (house, edge) = (House::new(), Edge::start().await);
    let mode = |mode| fs::set_permissions(edge.token_file(), fs::Permissions::from_mode(mode)).expect("set");
    mode(0o644);
    let mut kept = house.tunnel(&edge).await;
    assert_eq!(kept.change_to(State::Blocked).await.reason, "secret_exposed");
    assert_eq!(edge.starts().len(), 0, "it was not even started");
    mode(0o600);
    kept.change_to(State::Ready).await;
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_tunnel_without_its_credentials_is_not_started_and_with_them_it_runs() {
    let (house, edge) = (House::new(), Edge::start().await);
    let credentials = house.path().join("credentials.json");
    let kind = TunnelKind::Named {
        id: "6ff42ae2-765d-4adf-8112-31c55c1551ef".into(),
        credentials: credentials.clone(),
        hosts: vec!["127.0.0.1".into()],
    };
    let mut kept = house.supervise(house.spec(house.params(&edge, kind)).0).await;
    assert_eq!(kept.change_to(State::Blocked).await.reason, "secret_unreadable");
    fs::write(&credentials, "{\"TunnelSecret\":\"x\"}").expect("written");
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).expect("set");
    kept.change_to(State::Ready).await;
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_to_end_and_has_its_grace_even_if_the_edge_never_closes() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.script(json!({"never_closes": true}));
    let kept = house.tunnel(&edge).await;
    kept.ready().await;
    kept.handle.stop().await.expect("supervised");
    let status = kept.is(State::Stopped).await;
    let exit = status.last_exit().expect("remembered");
    assert_eq!(
        (exit.exit, exit.asked),
        (Exit::Code(0), true),
        "its grace is shorter than our patience"
    );
    let said = fs::read_to_string(house.log().join("tunnel.log")).expect("there");
    assert!(
        said.contains("Initiating graceful shutdown due to signal terminated"),
        "{said}"
    );
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_listen_is_killed_in_time() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.script(json!({"ignore_term": true}));
    let kept = house.tunnel(&edge).await;
    kept.ready().await;
    assert!(kept.handle.shutdown(Duration::from_secs(3)).await);
    let exit = kept.handle.status().last_exit().expect("remembered").exit;
    assert_eq!(exit, Exit::Signal(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_end_is_heard_of_although_somebody_still_holds_its_output() {
    let (house, edge) = (House::new(), Edge::start().await);
    edge.script(json!({"grandchild": true, "odd_lines": true}));
    let kept = house.tunnel(&edge).await;
    let pid = kept.ready().await;
    signal(pid, Signal::SIGKILL);
    kept.ready_anew(pid).await;
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_and_an_update_of_itself_are_failures_with_their_names() {
    for (end, reason) in [(json!("crash"), "killed"), (json!({"exit": 11}), "self_update")] {
        let (house, edge) = (House::new(), Edge::start().await);
        edge.script(json!({"end": end, "end_after": 50}));
        let kept = house.tunnel(&edge).await;
        let exit = eventually("it ended", || async { kept.handle.status().last_exit().cloned() }).await;
        assert_eq!(exit.reason, reason);
        assert!(kept.handle.shutdown(PATIENCE).await);
    }
}
