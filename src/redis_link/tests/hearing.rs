//! Connections that listen or block, across losses.

use std::time::Duration;

use nix::sys::signal::Signal;
use redis::cmd;
use tokio::time::timeout;

use crate::redis_link::{
    Heard, LinkError, Subscription, Topics,
    testbed::{PATIENCE, Server},
};

use super::Rig;

async fn next(subscription: &mut Subscription) -> Heard {
    timeout(PATIENCE, subscription.next())
        .await
        .expect("something is heard")
        .expect("the daemon runs")
}

async fn until_listening(subscription: &mut Subscription) {
    while !matches!(next(subscription).await, Heard::Listening) {}
}

fn channel(name: &str) -> Topics {
    Topics {
        channels: vec![name.to_owned()],
        patterns: Vec::new(),
    }
}

#[tokio::test]
async fn a_subscription_outlives_the_server_and_says_when_it_was_deaf() {
    let mut server = Server::start();
    let rig = Rig::open(server.settings());
    let mut heard = rig.link.subscribe(Topics {
        channels: vec!["news".into()],
        patterns: vec!["events:*".into()],
    });
    until_listening(&mut heard).await;
    assert_eq!(rig.link.publish("news", b"one").await.unwrap(), 1);
    rig.link.publish("events:x", &[0, 255]).await.unwrap();
    rig.link.publish("other", b"no").await.unwrap();
    for (name, bytes) in [("news", &b"one"[..]), ("events:x", &[0, 255][..])] {
        match next(&mut heard).await {
            Heard::Message { channel, payload } => assert_eq!((&*channel, &*payload), (name, bytes)),
            other => panic!("{other:?}"),
        }
    }
    server.kill();
    assert!(matches!(next(&mut heard).await, Heard::Deaf));
    server.restart();
    until_listening(&mut heard).await;
    rig.up().await;
    assert_eq!(rig.link.publish("news", b"two").await.unwrap(), 1);
    assert!(matches!(next(&mut heard).await, Heard::Message { payload, .. } if payload == b"two"));
    drop(heard);
    rig.close().await;
}

#[tokio::test]
async fn a_subscription_cut_by_the_server_listens_again_while_the_link_stays_up() {
    let server = Server::start();
    let rig = Rig::open(server.settings());
    let mut heard = rig.link.subscribe(channel("news"));
    until_listening(&mut heard).await;
    let _: () = server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert!(matches!(next(&mut heard).await, Heard::Deaf));
    until_listening(&mut heard).await;
    assert_eq!(rig.link.state().up().map(|up| up.times), Some(1));
}

#[tokio::test]
async fn a_subscription_to_a_server_that_hangs_is_deaf() {
    let server = Server::start();
    let rig = Rig::open(server.settings());
    let mut heard = rig.link.subscribe(channel("news"));
    until_listening(&mut heard).await;
    server.signal(Signal::SIGSTOP);
    assert!(matches!(next(&mut heard).await, Heard::Deaf));
    server.signal(Signal::SIGCONT);
    until_listening(&mut heard).await;
}

#[tokio::test]
async fn a_listener_that_is_too_slow_is_told_what_it_missed() {
    let server = Server::start();
    let rig = Rig::open(server.settings());
    let mut heard = rig.link.subscribe(channel("news"));
    until_listening(&mut heard).await;
    let mut line = server.connection();
    let mut pipe = redis::pipe();
    for n in 0..10_000 {
        pipe.cmd("PUBLISH").arg("news").arg(n).ignore();
    }
    pipe.query::<()>(&mut line).unwrap();
    // Whatever else comes, a message that is let in again comes behind the word that some were dropped.
    let mut last = None;
    loop {
        match next(&mut heard).await {
            Heard::Message { payload, .. } => {
                let number: u64 = String::from_utf8(payload).unwrap().parse().unwrap();
                assert_eq!(number, last.map_or(0, |last| last + 1), "a gap that was not told");
                last = Some(number);
            }
            Heard::Dropped => break,
            other => panic!("{other:?}"),
        }
        let _: u64 = rig.link.publish("news", b"10000").await.unwrap();
        if last == Some(9999) {
            return; // this machine was quick enough to hear all
        }
    }
}

#[tokio::test]
async fn a_reader_that_blocks_delays_nobody_and_survives_its_connection() {
    let mut server = Server::start();
    let rig = Rig::open(server.settings());
    rig.up().await;
    let mut reader = rig.link.reader();
    let block = Duration::from_secs(10);
    let mut pop = cmd("BLPOP");
    pop.arg("queue").arg(10);
    {
        let blocked = reader.read::<Option<(String, String)>>(&pop, block);
        tokio::pin!(blocked);
        let unblock = async {
            while !server
                .ask::<String>(&["INFO", "clients"])
                .contains("blocked_clients:1")
            {
                tokio::task::yield_now().await;
            }
            rig.set("k").await.unwrap();
            rig.link
                .query::<()>(cmd("RPUSH").arg("queue").arg("x"))
                .await
                .unwrap();
        };
        let (answer, ()) = tokio::join!(&mut blocked, unblock);
        assert_eq!(answer.unwrap(), Some(("queue".into(), "x".into())));
    }
    server.kill();
    rig.until_down("unreachable").await;
    let gone = reader.read::<Option<(String, String)>>(&pop, block).await;
    assert!(
        matches!(gone, Err(LinkError::Lost(_) | LinkError::Down(_))),
        "{gone:?}"
    );
    server.restart();
    rig.up().await;
    rig.link
        .query::<()>(cmd("RPUSH").arg("queue").arg("y"))
        .await
        .unwrap();
    let answer: Option<(String, String)> = reader.read(&pop, block).await.unwrap();
    assert_eq!(answer, Some(("queue".into(), "y".into())));
}
