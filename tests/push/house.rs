//! A hub, a push service it may push to, and phones that subscribed.

use serde_json::{Value, json};

use crate::harness::{Answer, Daemon, PushService, Setup};
use crate::phone::{Phone, World, stranger};

/// A daemon with a public address that may push to this service alone.
pub fn setup(service: &PushService) -> Setup {
    let tunnel = "[tunnel]\nmode = \"external\"\nurl = \"https://hub.example\"\n";
    Setup::new().config(&format!("{tunnel}{}", service.config()))
}

/// Turns notifications on, as the page does.
pub async fn subscribe(daemon: &Daemon, phone: &Phone<'_>, service: &mut PushService, choices: Value) {
    let key = public_key(phone).await;
    let subscription = service.subscribe(&phone.id, &key).await;
    let answer = put(daemon, phone, subscription, choices).await;
    answer.expect(200);
}

pub async fn public_key(phone: &Phone<'_>) -> String {
    let told = phone.get("/api/devices/me/push").await.expect(200);
    told["publicKey"].as_str().expect("a key").to_owned()
}

/// How it stands, as the page sees it.
pub async fn stands(phone: &Phone<'_>) -> Value {
    phone.get("/api/devices/me/push").await.expect(200)["subscription"].take()
}

pub async fn put(daemon: &Daemon, phone: &Phone<'_>, subscription: Value, choices: Value) -> Answer {
    let mut wish = json!({"subscription": subscription});
    if let (Some(wish), Some(choices)) = (wish.as_object_mut(), choices.as_object()) {
        wish.extend(choices.clone());
    }
    let ask = phone.asks("PUT", "/api/devices/me/push").json(&wish);
    stranger(daemon, ask).await
}

/// An agent asks; the name of its question.
pub async fn ask(daemon: &Daemon, world: &World, message: &str) -> String {
    let question = json!({"type": "needs_input", "message": message});
    daemon
        .post(&world.fill("/api/sessions/{id}/timeline"), question)
        .await
        .expect(200);
    let session = daemon.get(&world.fill("/api/sessions/{id}")).await.expect(200);
    session["needsInput"]["requestId"]
        .as_str()
        .expect("a name")
        .to_owned()
}

/// Somebody at the computer answers.
pub async fn answer(daemon: &Daemon, world: &World, request: &str) {
    let path = world.fill("/api/sessions/{id}/reply-input");
    daemon
        .post(&path, json!({"requestId": request, "text": "8080"}))
        .await
        .expect(200);
}

/// Nothing was pushed to this phone before this: what is asked for now comes next.
pub async fn nothing_came(phone: &Phone<'_>, service: &mut PushService) {
    phone
        .post("/api/devices/me/push/test", json!({}))
        .await
        .expect(200);
    let push = service.next().await;
    assert_eq!(push["payload"]["kind"], "test", "{push}");
}
