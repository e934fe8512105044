//! An endpoint is an address that a client gives us: none of these leads us anywhere (SECURITY rule 14).

use serde_json::json;

use crate::harness::{Ask, PushService};
use crate::house::{public_key, put, setup, stands, subscribe};
use crate::phone::{ORIGIN, Phone, stranger};

#[tokio::test]
async fn no_address_but_that_of_a_known_service_is_taken() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let phone = Phone::pair(&daemon, "view", None).await;
    let good = service.subscribe("x", &public_key(&phone).await).await;
    for endpoint in [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://0x7f000001/",
        "https://2130706433/",
        "http://127.0.0.1:1/push/x",
        "http://localhost:6379/",
        "https://hub.example/",
        "https://push.evil.example/",
        "https://fcm.googleapis.com/fcm/send/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "unix:/run/x",
        "",
    ] {
        let mut subscription = good.clone();
        subscription["endpoint"] = endpoint.into();
        let answer = put(&daemon, &phone, subscription, json!({})).await;
        assert_eq!(answer.expect(400)["code"], "push_endpoint", "{endpoint}");
    }
    let mut keys = good.clone();
    keys["keys"]["p256dh"] = "AAAA".into();
    assert_eq!(
        put(&daemon, &phone, keys, json!({})).await.expect(400)["code"],
        "invalid"
    );
    let more = put(&daemon, &phone, good.clone(), json!({"admin": true})).await;
    assert_eq!(more.expect(400)["code"], "invalid");
    assert!(stands(&phone).await.is_null());

    // Known services are known by themselves; and none is known that is near.
    let plain = crate::phone::setup().start().await;
    let phone = Phone::pair(&plain, "view", None).await;
    assert_eq!(put(&plain, &phone, good, json!({})).await.status, 400);
}

#[tokio::test]
async fn a_service_that_points_elsewhere_is_not_followed_and_nothing_tells_where_pushes_go() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).env("LOG_LEVEL", "debug").start().await;
    let phone = Phone::pair(&daemon, "view", None).await;
    subscribe(&daemon, &phone, &mut service, json!({})).await;
    let elsewhere = format!("{}/push/elsewhere", service.origin);
    for status in [301, 307] {
        service
            .answers(&phone.id, status, json!({"location": elsewhere}), 1)
            .await;
        let test = phone.post("/api/devices/me/push/test", json!({})).await;
        assert_eq!(test.expect(409)["code"], "push_failed");
        let push = service.next().await;
        assert_eq!(
            (&push["push"], &push["status"]),
            (&json!(phone.id), &json!(status))
        );
    }
    phone
        .post("/api/devices/me/push/test", json!({}))
        .await
        .expect(200);
    assert_eq!(service.next().await["push"], *phone.id, "nobody asked elsewhere");
    let secret = format!("/push/{}", phone.id);
    let shown = [
        daemon.log(),
        String::from_utf8_lossy(&daemon.ctl(&["status", "--json"]).await.stdout).into_owned(),
        String::from_utf8_lossy(&daemon.ctl(&["devices", "--json"]).await.stdout).into_owned(),
        String::from_utf8_lossy(&daemon.ctl(&["audit"]).await.stdout).into_owned(),
        phone.get("/api/devices/me/push").await.text(),
    ];
    for text in shown {
        assert!(!text.contains(&secret), "{text}");
    }
}

#[tokio::test]
async fn nobody_turns_on_notifications_for_another_device_or_from_another_page() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let phone = Phone::pair(&daemon, "view", None).await;
    let subscription = service.subscribe("x", &public_key(&phone).await).await;
    let wish = json!({"subscription": subscription});
    let put = || Ask::new("PUT", "/api/devices/me/push").json(&wish);
    let half = put()
        .header("origin", ORIGIN)
        .header("cookie", format!("__Host-maestro={}", phone.cookie));
    assert_eq!(stranger(&daemon, half).await.status, 401);
    assert_eq!(
        stranger(&daemon, put().header("origin", ORIGIN)).await.status,
        401
    );
    let foreign = phone.asks("PUT", "/api/devices/me/push").json(&wish);
    let foreign = foreign.header("origin", "https://evil.example");
    assert_eq!(stranger(&daemon, foreign).await.status, 403);
    assert!(stands(&phone).await.is_null());
    assert_eq!(
        daemon.put("/api/devices/me/push", wish.clone()).await.status,
        404,
        "nor from here"
    );
}
