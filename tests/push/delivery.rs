//! Push services have moods: they are busy, they forget, they are away.

use serde_json::json;

use crate::harness::{Ask, PushService, eventually};
use crate::house::{ask, nothing_came, public_key, put, setup, stands, subscribe};
use crate::phone::{Phone, World, stranger};

#[tokio::test]
async fn a_busy_service_is_asked_again_when_it_wants_to_be() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "view", None).await;
    subscribe(&daemon, &phone, &mut service, json!({})).await;
    for status in [429, 503] {
        service
            .answers(&phone.id, status, json!({"retry-after": "1"}), 1)
            .await;
    }
    ask(&daemon, &world, "Which port?").await;
    for status in [429, 503, 201] {
        let push = service.next().await;
        assert_eq!(
            (&push["status"], &push["payload"]["kind"]),
            (&json!(status), &json!("needsInput"))
        );
    }
    eventually("it is said to have arrived", || async {
        (stands(&phone).await["last"]["outcome"] == "accepted").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_subscription_that_is_gone_is_pruned_and_said_to_be_until_the_page_subscribes_anew() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "view", None).await;
    subscribe(&daemon, &phone, &mut service, json!({})).await;
    service.answers(&phone.id, 410, json!({}), 99).await;
    ask(&daemon, &world, "Which port?").await;
    assert_eq!(service.next().await["status"], 410);
    let told = eventually("it is said to have stopped", || async {
        let told = stands(&phone).await;
        (!told["stopped"].is_null()).then_some(told)
    })
    .await;
    assert_eq!(told["last"]["outcome"], "gone");
    let test = phone.post("/api/devices/me/push/test", json!({})).await;
    assert_eq!(test.expect(409)["code"], "no_push");
    let status = daemon.ctl(&["status"]).await;
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("gets no notifications any more"), "{status}");

    subscribe(&daemon, &phone, &mut service, json!({})).await;
    assert!(stands(&phone).await["stopped"].is_null());
    nothing_came(&phone, &mut service).await;
}

#[tokio::test]
async fn a_revoked_or_silenced_device_gets_nothing_and_nothing_of_it_is_kept() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let lost = Phone::named(&daemon, "lost", "view", None).await;
    let silent = Phone::named(&daemon, "silent", "view", None).await;
    let phone = Phone::named(&daemon, "phone", "view", None).await;
    for phone in [&lost, &silent, &phone] {
        subscribe(&daemon, phone, &mut service, json!({"kinds": {"devices": false}})).await;
    }
    assert!(daemon.ctl(&["devices", "revoke", "lost"]).await.status.success());
    stranger(&daemon, silent.asks("DELETE", "/api/devices/me/push"))
        .await
        .expect(200);
    assert!(stands(&silent).await.is_null());
    ask(&daemon, &world, "Which port?").await;
    assert_eq!(service.next().await["push"], *phone.id);
    nothing_came(&phone, &mut service).await;
    let kept = rusqlite::Connection::open(daemon.place().data_dir().join("maestro.db")).unwrap();
    let kept: i64 = kept
        .query_row("SELECT count(*) FROM push_subscriptions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn over_tls_a_service_must_be_one_that_this_machine_trusts() {
    let mut service = PushService::with_tls().await;
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tls/authority.pem");
    for (trusting, outcome) in [(true, "accepted"), (false, "unreachable")] {
        let mut setup = setup(&service);
        if trusting {
            setup = setup.env("SSL_CERT_FILE", authority);
        }
        let daemon = setup.start().await;
        let phone = Phone::pair(&daemon, "view", None).await;
        let subscription = service.subscribe(&phone.id, &public_key(&phone).await).await;
        put(&daemon, &phone, subscription, json!({})).await.expect(200);
        let test = stranger(
            &daemon,
            phone.asks("POST", "/api/devices/me/push/test").json(&json!({})),
        )
        .await;
        assert_eq!(test.status, if trusting { 200 } else { 409 }, "{}", test.text());
        assert_eq!(stands(&phone).await["last"]["outcome"], outcome);
        if trusting {
            assert_eq!(service.next().await["payload"]["kind"], "test");
        }
    }
}

#[tokio::test]
async fn the_same_browser_paired_anew_is_told_everything_once() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let old = Phone::named(&daemon, "old", "view", None).await;
    let new = Phone::named(&daemon, "new", "view", None).await;
    let subscription = service.subscribe("browser", &public_key(&old).await).await;
    for phone in [&old, &new] {
        put(&daemon, phone, subscription.clone(), json!({}))
            .await
            .expect(200);
    }
    assert!(stands(&old).await.is_null());
    ask(&daemon, &world, "Which port?").await;
    assert_eq!(service.next().await["payload"]["kind"], "needsInput");
    nothing_came(&new, &mut service).await;
    let audit = daemon.ctl(&["audit"]).await;
    assert!(String::from_utf8_lossy(&audit.stdout).contains("push_on"));
    let health = stranger(&daemon, Ask::new("GET", "/health")).await;
    assert_eq!(health.status, 200);
}
