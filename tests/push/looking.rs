//! Who has the page before him is not notified; who only seems to is.

use serde_json::{Value, json};

use crate::harness::PushService;
use crate::house::{ask, nothing_came, setup, subscribe};
use crate::phone::{Phone, World};
use crate::wire::Wire;

async fn focus(wire: &mut Wire, session: Option<&str>, visible: bool) {
    let told = wire
        .request("focus", json!({"sessionId": session, "visible": visible}))
        .await;
    assert_eq!(told, json!({"success": true, "visible": visible}));
}

#[tokio::test]
async fn only_the_device_whose_page_is_visible_is_left_in_peace() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::named(&daemon, "phone", "view", None).await;
    let other = Phone::named(&daemon, "other", "view", None).await;
    for phone in [&phone, &other] {
        subscribe(&daemon, phone, &mut service, json!({})).await;
    }
    let mut wire = Wire::join(&daemon, &phone, &world.project).await;
    focus(&mut wire, Some(&world.session), true).await;
    ask(&daemon, &world, "One?").await;
    assert_eq!(service.next().await["push"], *other.id);
    nothing_came(&phone, &mut service).await;

    focus(&mut wire, None, false).await;
    ask(&daemon, &world, "Two?").await;
    let mut told = [service.next().await, service.next().await].map(|push| push["push"].clone());
    told.sort_by_key(Value::to_string);
    let mut both = [json!(phone.id), json!(other.id)];
    both.sort_by_key(Value::to_string);
    assert_eq!(told, both, "to be connected is not to look");

    let refused = wire.request("focus", json!({"visible": "yes"})).await;
    assert_eq!(
        (&refused["success"], &refused["code"]),
        (&json!(false), &json!("invalid"))
    );
}

#[tokio::test]
async fn what_a_phone_seemed_to_see_is_told_when_its_connection_turns_out_dead() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "view", None).await;
    subscribe(&daemon, &phone, &mut service, json!({})).await;
    let mut wire = Wire::join(&daemon, &phone, &world.project).await;
    focus(&mut wire, None, true).await;
    ask(&daemon, &world, "Which port?").await;
    nothing_came(&phone, &mut service).await;
    drop(wire);
    assert_eq!(service.next().await["payload"]["kind"], "needsInput");
}

#[tokio::test]
async fn what_came_just_as_a_phone_was_put_away_is_told() {
    let mut service = PushService::start().await;
    let daemon = setup(&service).start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "view", None).await;
    subscribe(&daemon, &phone, &mut service, json!({})).await;
    let mut wire = Wire::join(&daemon, &phone, &world.project).await;
    focus(&mut wire, None, true).await;
    ask(&daemon, &world, "Which port?").await;
    focus(&mut wire, None, false).await;
    assert_eq!(service.next().await["payload"]["kind"], "needsInput");
}
