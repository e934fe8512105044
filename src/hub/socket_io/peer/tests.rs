use serde_json::json;

use crate::domain::{Id, Millis, Scopes};
use crate::hub::socket_io::pump::raw;

use super::*;

const FEW: Bounds = Bounds {
    frames: 3,
    bytes: 1000,
};

fn device(scopes: &str, projects: &[&str]) -> Caller {
    Caller::Device(Arc::new(Device {
        id: Id::parse("dev_1").unwrap(),
        name: "phone".into(),
        scopes: Scopes::parse(scopes).unwrap(),
        projects: projects.iter().map(|id| Id::parse(id).unwrap()).collect(),
        paired_at: Millis(1),
        last_seen: Millis(1),
    }))
}

fn phone(caller: Caller) -> Peer {
    let wants = Wants::Phone {
        audience: Audience::Project(Id::parse("p1").unwrap()),
        sessions: HashSet::from(["s2".to_owned()]),
    };
    Peer::new("sid".into(), caller, wants, None, FEW)
}

fn desktop() -> Peer {
    Peer::new("sid".into(), Caller::Local, Wants::Desktop(None), None, FEW)
}

fn about<'a>(project: Option<&'a str>, filter: Option<&'a str>) -> About<'a> {
    About {
        filter,
        project,
        scope: Scope::View,
    }
}

fn event(n: u64) -> Option<Arc<Rendered>> {
    Some(Arc::new(Rendered {
        name: "x".into(),
        body: raw(json!(n)),
    }))
}

fn said(n: u64) -> Item {
    Item::Said("y", raw(json!(n)))
}

async fn next(peer: &Peer) -> String {
    match peer.next().await.unwrap() {
        Item::Event(event) => format!("event {}", event.body),
        Item::Said(_, body) | Item::Ack(_, body) => format!("said {body}"),
    }
}

#[tokio::test]
async fn what_is_queued_comes_in_order_whatever_it_is() {
    let peer = desktop();
    peer.offer(about(None, Some("s")), || event(1));
    peer.choose(
        |wants| *wants = Wants::Desktop(Some(HashSet::from(["other".to_owned()]))),
        [said(2)],
    );
    peer.offer(about(None, Some("s")), || event(3));
    peer.offer(about(None, None), || event(4));
    assert_eq!(next(&peer).await, "event 1");
    assert_eq!(next(&peer).await, "said 2");
    assert_eq!(next(&peer).await, "event 4");
}

#[tokio::test]
async fn whoever_lags_is_cut_off_with_the_reason_and_its_queue_is_freed() {
    let peer = desktop();
    for n in 0..10 {
        peer.offer(about(None, None), || event(n));
    }
    let Err(End::Slow(cut)) = peer.next().await else {
        panic!("not cut off");
    };
    assert_eq!(cut.frames, 3);
    assert_eq!(peer.state().waiting.capacity(), 0);
    peer.end(End::Left);
    assert!(
        matches!(peer.ending(), Some(End::Slow(_))),
        "the first reason counts"
    );
}

#[tokio::test]
async fn bytes_are_bounded_but_one_event_always_fits() {
    let peer = desktop();
    let large = || {
        Some(Arc::new(Rendered {
            name: "x".into(),
            body: raw(json!("x".repeat(2000))),
        }))
    };
    peer.offer(about(None, None), large);
    assert!(next(&peer).await.starts_with("event \"xx"));
    peer.offer(about(None, None), large);
    peer.offer(about(None, None), || event(1));
    assert!(matches!(peer.next().await, Err(End::Slow(_))));
}

#[test]
fn a_phone_hears_of_its_project_and_of_sessions_it_asked_for_each_thing_once() {
    let peer = phone(Caller::Local);
    assert!(peer.wants(about(Some("p1"), None)) && peer.wants(about(Some("p1"), Some("s2"))));
    assert!(peer.wants(about(Some("p2"), Some("s2"))), "asked for");
    assert!(!peer.wants(about(Some("p2"), Some("s1"))));
    assert!(
        !peer.wants(about(None, Some("s2"))),
        "what cannot be placed is for nobody"
    );
    peer.offer(about(Some("p1"), Some("s2")), || event(1));
    assert_eq!(peer.state().waiting.len(), 1);
}

#[test]
fn scope_and_reach_are_looked_at_for_every_event() {
    let mail = About {
        scope: Scope::Mail,
        ..about(Some("p1"), None)
    };
    let peer = phone(device("view", &["p1"]));
    assert!(peer.wants(about(Some("p1"), None)) && !peer.wants(mail));
    assert!(
        !peer.wants(about(Some("p2"), Some("s2"))),
        "asked for, but out of reach"
    );
    let Caller::Device(now) = device("mail", &[]) else {
        unreachable!()
    };
    peer.become_device(&now);
    assert!(!peer.wants(about(Some("p1"), None)) && peer.wants(mail));
}

#[tokio::test]
async fn a_device_that_is_gone_is_told_why_and_hears_nothing_more() {
    let peer = phone(device("view", &[]));
    peer.offer(about(Some("p1"), None), || event(1));
    peer.end(End::Gone(Denied::Revoked));
    peer.offer(about(Some("p1"), None), || event(2));
    assert!(matches!(peer.next().await, Err(End::Gone(Denied::Revoked))));
}

#[tokio::test]
async fn who_was_behind_and_has_caught_up_keeps_no_room_for_it() {
    let bounds = Bounds {
        frames: 1000,
        bytes: 1 << 20,
    };
    let peer = Peer::new("sid".into(), Caller::Local, Wants::Desktop(None), None, bounds);
    for n in 0..500 {
        peer.say(said(n));
    }
    for n in 0..500 {
        assert_eq!(next(&peer).await, format!("said {n}"));
    }
    assert_eq!(peer.state().waiting.capacity(), 0);
}
