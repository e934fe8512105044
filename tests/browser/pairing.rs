//! How a phone becomes one of the hub's, and what it then finds there.

use std::time::Duration;

use serde_json::json;

use crate::harness::Ask;
use crate::scene::{ALL, Phone, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn opening_a_link_redeems_nothing_and_a_code_can_be_typed() {
    let scene = Scene::open().await;
    let code = scene.code(ALL).await;
    let path = format!("/pair/{code}");
    // A messenger that previews links, a person who only looks, and one who reloads.
    for path in [path.clone(), format!("{path}/")] {
        let preview = Ask::new("GET", path).header("host", scene.origin.trim_start_matches("https://"));
        assert_eq!(scene.edge.ask(preview).await.status, 200);
    }
    let looking = scene.phone().await;
    looking.open(&path).await;
    looking.see("Pair this phone").await;
    looking.reload().await;
    looking.see("Pair this phone").await;

    let typing = scene.phone().await;
    typing.open("/").await;
    typing.write("Code", "AAAA-AAAA").await;
    typing.tap("Pair this phone").await;
    typing.see("code").await;
    let (head, tail) = code.split_at(4);
    typing
        .write(
            "Code",
            &format!(" {}-{} ", head.to_lowercase(), tail.to_lowercase()),
        )
        .await;
    typing.tap("Pair this phone").await;
    typing.see("Live, as of").await;

    // Now it is spent, and says so to whoever comes late.
    looking.tap("Pair this phone").await;
    looking.see("this code was used already").await;
    looking.end().await;
    typing.end().await;
}

/// It asked, while nobody had paired it yet, what was wrong with its connection; the answer came after the pairing, and
/// undid it.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_waits_at_the_door_asks_the_hub_for_nothing() {
    let scene = Scene::open().await;
    let phone = scene.phone().await;
    phone.clock().await;
    let code = scene.code(ALL).await;
    phone.open(&format!("/pair/{code}")).await;
    phone.see("Pair this phone").await;
    phone.later(Duration::from_mins(1)).await;
    phone.tap("Pair this phone").await;
    phone.see("Live, as of").await;

    // Signed out, it is as if it had never been there.
    phone.go("#/settings").await;
    phone.tap("Sign out").await;
    phone.tap("Yes, sign out").await;
    phone.see("Pair this phone").await;
    phone.later(Duration::from_mins(1)).await;
    phone.write("Code", &scene.code(ALL).await).await;
    phone.tap("Pair this phone").await;
    phone.see("Live, as of").await;
    assert_eq!(phone.refused().await, json!([]));
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_code_at_the_start_is_ignored_by_a_phone_that_is_paired() {
    let scene = Scene::open().await;
    scene.session("Painter").await;
    let phone = scene.phone().await;
    let code = scene.code(ALL).await;
    phone.open(&format!("/pair/{code}")).await;
    let manifest = phone
        .run("fetch(document.querySelector('link[rel=manifest]').href).then((answer) => answer.json())")
        .await;
    assert_eq!(
        manifest["start_url"],
        format!("/pair/{code}/"),
        "so that an app on the home screen can pair itself"
    );
    phone.tap("Pair this phone").await;
    phone.see("Painter").await;
    // The icon on the home screen starts there for ever.
    phone.open(&format!("/pair/{code}/")).await;
    phone.see("Painter").await;
    phone.see("Live, as of").await;
    assert!(phone.address().await.starts_with("/#") || phone.address().await == "/");
    assert!(!phone.has("Pair this phone").await);
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_phone_may_not_do_is_not_there() {
    let scene = Scene::open().await;
    let session = scene.session("Keeper").await;
    scene.asks(&session, "Which colour?").await;
    let guest = scene.paired("guest", "view").await;
    guest.see("Keeper").await;
    for name in ["Start", "Mail", "Write"] {
        assert!(!guest.has(name).await, "{name}");
    }
    guest.tap("Keeper").await;
    guest.see("This phone may look, not answer").await;
    for name in ["Send answer", "Write mail"] {
        assert!(!guest.has(name).await, "{name}");
    }
    // What it may, changes under its eyes.
    let widened = scene
        .daemon
        .ctl(&["devices", "scopes", "guest", "view,answer,mail"])
        .await;
    assert!(widened.status.success());
    guest.see("Your answer").await;
    guest.see("Write mail").await;
    guest.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_computer_itself_the_page_is_there_without_pairing() {
    let scene = Scene::open().await;
    scene.session("Keeper").await;
    let desk = Phone::make(json!({"origin": scene.daemon.base(), "width": 1280, "height": 800})).await;
    desk.open("/").await;
    desk.see("Keeper").await;
    desk.see("Live, as of").await;
    assert!(!desk.has("Pair this phone").await);
    desk.tap("Keeper").await;
    desk.see("Timeline").await;
    desk.end().await;
}
