//! What the push service was given reaches the phone's worker, and what a person then sees. This Chromium has no push
//! service of its own: the subscription is the test's, and what is sent to it is handed to the worker by the browser's
//! own means for that.

use serde_json::json;

use crate::scene::{ALL, Phone, Scene};

/// A phone that gets notifications; it is not looking: what it shows is no page of ours that could say so.
async fn away(scene: &mut Scene, choices: serde_json::Value) -> Phone {
    let phone = scene.paired("phone", ALL).await;
    phone.worker().await;
    let (status, told) = phone.fetch("GET", "/api/devices/me/push", &json!(null)).await;
    assert_eq!(status, 200);
    let key = told["publicKey"].as_str().expect("a key").to_owned();
    let mut wish = choices;
    wish["subscription"] = scene.service.subscribe("phone", &key).await;
    let (status, told) = phone.fetch("PUT", "/api/devices/me/push", &wish).await;
    assert_eq!(status, 200, "{told}");
    phone.open("/health").await;
    phone
}

async fn pushed(scene: &mut Scene, phone: &Phone) -> serde_json::Value {
    let push = scene.service.next().await;
    phone.push(&[&push["payload"]]).await;
    push["payload"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_one_notification_which_is_replaced_and_taken_back() {
    let mut scene = Scene::open().await;
    let keeper = scene.session("Keeper").await;
    let painter = scene.session("Painter").await;
    let phone = away(&mut scene, json!({"privacy": "preview"})).await;

    scene.asks(&keeper, "Which colour?").await;
    let first = pushed(&mut scene, &phone).await;
    let tray = phone.tray(1).await;
    assert_eq!(tray[0]["title"], "Keeper needs you");
    assert_eq!(tray[0]["body"], "Which colour?\nLighthouse");

    // A newer question takes its place, and so does the word that it is over, without a sound.
    let second = scene.asks(&keeper, "And which paint?").await;
    pushed(&mut scene, &phone).await;
    phone
        .notified(&json!({"body": "And which paint?\nLighthouse"}))
        .await;
    scene.answers(&keeper, &second, "Oil").await;
    pushed(&mut scene, &phone).await;
    phone.notified(&json!({"title": "Keeper", "silent": true})).await;

    // As soon as there is another to be seen, what is over is gone.
    let path = format!("/api/sessions/{painter}");
    scene
        .daemon
        .patch(&path, json!({"status": "failed"}))
        .await
        .expect(200);
    pushed(&mut scene, &phone).await;
    phone.notified(&json!({"title": "Painter failed"})).await;

    // The word that an old question is over comes late, and takes no newer one away; nor is it in the way of what
    // comes with it.
    scene.asks(&keeper, "Shall I burn the rest?").await;
    pushed(&mut scene, &phone).await;
    phone.tray(2).await;
    let late =
        json!({"kind": "answered", "tag": first["tag"], "session": keeper, "request": first["request"]});
    let test = json!({"kind": "test", "tag": "test"});
    phone.push(&[&late, &test]).await;
    let tray = phone.tray(3).await;
    assert!(
        tray.iter().any(|shown| shown["title"] == "Keeper needs you"),
        "{tray:?}"
    );
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_leads_to_the_question_and_the_phone_that_looks_is_left_in_peace() {
    let mut scene = Scene::open().await;
    let keeper = scene.session("Keeper").await;
    let phone = away(&mut scene, json!({})).await;
    let request = scene.asks(&keeper, "Which colour?").await;
    let payload = pushed(&mut scene, &phone).await;
    assert!(
        phone.tray(1).await[0]["body"] == "Lighthouse",
        "names, and no more"
    );

    phone.open("/").await;
    phone.see("Live, as of").await;
    phone
        .tap_notification(payload["tag"].as_str().expect("a tag"))
        .await;
    phone.see("Which colour?").await;
    assert_eq!(
        phone.address().await,
        format!("/#/session/{keeper}?request={request}")
    );
    phone.tray(0).await;

    // The page is on the screen: another question is not pushed to it; what is asked for is.
    scene.asks(&keeper, "And which paint?").await;
    phone.see("And which paint?").await;
    let (status, told) = phone.fetch("POST", "/api/devices/me/push/test", &json!({})).await;
    assert_eq!(status, 200, "{told}");
    let push = scene.service.next().await;
    assert_eq!(push["payload"]["kind"], "test", "{push}");
    phone.go("#/settings").await;
    phone.see("accepted").await;
    phone.end().await;
}
