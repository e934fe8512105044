//! Whether the public address leads to this very process, and when the way in is open at all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use maestro::{
    access::nonce::Prover,
    config::{Config, FileText, Sources},
    shutdown::TaskGroup,
    supervisor::{Grouping, State},
    tunnel::{Parts, Refusal, Standing, Tunnel, Verdict, Wish},
};
use tokio::sync::{broadcast, watch};

use crate::{
    harness::{Edge, eventually},
    house::House,
    origin::origin,
};

struct Way {
    tunnel: Tunnel,
    wanted: watch::Sender<bool>,
    phones: Arc<AtomicUsize>,
    groups: [TaskGroup; 2],
}

impl Way {
    async fn open(house: &House, config: &str, wanted: bool) -> Way {
        let text = format!("data_dir = {:?}\n{config}", house.path());
        let loaded = Config::load(&Sources {
            env: [("HOME", "/nowhere")].into_iter().collect(),
            file: Some(FileText {
                path: house.path().join("maestro.toml"),
                bytes: text.into_bytes(),
                readable_by_others: false,
            }),
            ..Sources::default()
        })
        .expect("a configuration");
        let (wanted, seen) = watch::channel(wanted);
        let phones = Arc::new(AtomicUsize::new(0));
        let count = phones.clone();
        let parts = Parts {
            wanted: seen,
            phones: Arc::new(move || count.load(Ordering::SeqCst)),
            check_every: Duration::from_millis(20),
            prover: Prover::new().expect("a secret"),
            ingress: house.ingress(),
            grouping: Grouping::Own,
        };
        let groups = [TaskGroup::default(), TaskGroup::default()];
        let (transitions, _) = broadcast::channel(64);
        let tunnel = Tunnel::start(&loaded.config, parts, &groups[0], &groups[1], transitions).await;
        Way {
            tunnel,
            wanted,
            phones,
            groups,
        }
    }

    async fn is(&self, state: State) {
        let handle = self.tunnel.handle().expect("a child");
        let reached = handle
            .wait(crate::harness::PATIENCE, |status| status.state == state)
            .await;
        assert!(reached.is_some(), "not {state:?} but {:#?}", handle.status());
    }

    async fn asked(&self) -> Option<&'static str> {
        self.tunnel.check().await.expect("an address").verdict.code()
    }

    async fn end(self) {
        if let Some(handle) = self.tunnel.handle() {
            assert!(handle.shutdown(crate::harness::PATIENCE).await);
        }
        for group in &self.groups {
            assert!(group.close(crate::harness::PATIENCE).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_in_is_open_exactly_while_somebody_may_come_in() {
    let (house, edge) = (House::new(), Edge::start().await);
    let way = Way::open(&house, &edge.config(), false).await;
    assert_eq!(way.tunnel.seen().standing, Standing::NobodyPaired);
    assert_eq!(way.tunnel.wish(Wish::Start).await, Err(Refusal::NobodyPaired));
    assert_eq!(edge.starts().len(), 0);
    let url = way.tunnel.public_url().borrow().clone();
    assert_eq!(
        url.map(|url| url.origin().to_owned()),
        Some(edge.url()),
        "a phone can be told it"
    );

    way.wanted.send_replace(true);
    way.is(State::Ready).await;
    assert_eq!(way.tunnel.seen().standing, Standing::Open);
    way.wanted.send_replace(false);
    way.is(State::Stopped).await;
    assert_eq!(edge.get("/").await.status, 530);

    way.wanted.send_replace(true);
    way.is(State::Ready).await;
    way.tunnel.wish(Wish::Stop).await.expect("taken");
    way.is(State::Stopped).await;
    assert_eq!(way.tunnel.seen().standing, Standing::Held);
    // Another phone is paired: the operator still wants it shut.
    way.wanted.send_replace(false);
    way.wanted.send_replace(true);
    assert_eq!(way.tunnel.seen().standing, Standing::Held);
    way.tunnel.wish(Wish::Start).await.expect("taken");
    way.is(State::Ready).await;
    way.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_this_very_process_behind_the_public_address_passes_the_check() {
    let (house, edge) = (House::new(), Edge::start().await);
    let way = Way::open(&house, &edge.config(), true).await;
    way.is(State::Ready).await;
    assert_eq!(way.asked().await, Some("ingress_dead"));

    let twin = origin(&house.ingress(), Some(Prover::new().expect("a secret")));
    assert_eq!(way.asked().await, Some("wrong_answer"), "a hub, but another one");
    drop(twin);
    let silent = origin(&house.ingress(), None);
    assert_eq!(way.asked().await, Some("wrong_answer"), "another program");
    drop(silent);

    let _ours = origin(&house.ingress(), Some(way.tunnel.prover().clone()));
    assert_eq!(way.asked().await, None);
    assert_eq!(way.tunnel.seen().checked.expect("asked").verdict, Verdict::Ours);

    edge.answered_by_a_stranger(Some(
        "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n",
    ));
    assert_eq!(way.asked().await, Some("foreign_answer"));
    edge.answered_by_a_stranger(None);
    assert_eq!(way.asked().await, None);
    way.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_leads_elsewhere_degrades_the_tunnel_and_never_restarts_it() {
    let (house, edge) = (House::new(), Edge::start().await);
    let way = Way::open(&house, &edge.config(), true).await;
    let _ours = origin(&house.ingress(), Some(way.tunnel.prover().clone()));
    way.is(State::Ready).await;
    edge.answered_by_a_stranger(Some(
        "HTTP/1.1 530 <none>\r\ncontent-length: 16\r\n\r\nerror code: 1033",
    ));
    assert_eq!(way.asked().await, Some("no_connector"));
    way.is(State::Degraded).await;
    let status = way.tunnel.handle().expect("a child").status();
    assert_eq!(
        (status.reason.as_ref(), status.restarts_total),
        ("no_connector", 0)
    );
    edge.answered_by_a_stranger(None);
    assert_eq!(way.asked().await, None);
    way.is(State::Ready).await;
    assert_eq!(edge.starts().len(), 1);
    way.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_tunnel_tells_its_address_when_it_has_one_and_forgets_it_with_its_process() {
    let (house, edge) = (House::new(), Edge::start().await);
    let way = Way::open(&house, &edge.quick_config(), true).await;
    let mut url = way.tunnel.public_url();
    let told = url
        .wait_for(Option::is_some)
        .await
        .expect("told")
        .clone()
        .expect("an address");
    assert!(told.origin().starts_with("https://") && told.host().ends_with(".trycloudflare.com"));
    assert!(way.tunnel.seen().trial);
    way.wanted.send_replace(false);
    way.is(State::Stopped).await;
    eventually("the old address is forgotten", || async {
        url.borrow().is_none().then_some(())
    })
    .await;
    assert_eq!(way.tunnel.check().await, Err(Refusal::NoAddress));
    way.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_way_has_no_child_and_is_checked_all_the_same() {
    let (house, edge) = (House::new(), Edge::start().await);
    let config = format!("external_url = {:?}\n[tunnel]\nmode = \"external\"\n", edge.url());
    let way = Way::open(&house, &config, true).await;
    assert!(way.tunnel.handle().is_none());
    assert_eq!(way.tunnel.seen().standing, Standing::External);
    assert!(matches!(
        way.tunnel.wish(Wish::Restart).await,
        Err(Refusal::NoChild(_))
    ));
    assert_eq!(way.asked().await, Some("no_connector"));
    way.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_asked_while_phones_are_connected_and_until_it_leads_here_again() {
    let (house, edge) = (House::new(), Edge::start().await);
    let way = Way::open(&house, &edge.config(), true).await;
    let _ours = origin(&house.ingress(), Some(way.tunnel.prover().clone()));
    way.is(State::Ready).await;
    let before = edge.visits();
    way.phones.store(1, Ordering::SeqCst);
    eventually("the address is asked", || async {
        (edge.visits() > before + 2).then_some(())
    })
    .await;
    let seen = |code: Option<&'static str>| {
        let tunnel = way.tunnel.clone();
        move || {
            let found = tunnel.seen().checked.map(|checked| checked.verdict.code());
            async move { (found == Some(code)).then_some(()) }
        }
    };
    eventually("it leads here", seen(None)).await;
    edge.answered_by_a_stranger(Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
    eventually("it leads elsewhere", seen(Some("wrong_answer"))).await;
    // Phones cannot come any more; it is asked all the same, or nobody would ever learn that it is well again.
    way.phones.store(0, Ordering::SeqCst);
    edge.answered_by_a_stranger(None);
    eventually("it leads here again", seen(None)).await;
    way.end().await;
}
