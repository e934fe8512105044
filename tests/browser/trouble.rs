//! The way between phone and hub breaks in all its places, and what happened meanwhile is there afterwards: all of it, once.

use crate::scene::{ALL, Phone, Scene};

/// How often a session of this name stands in the list.
async fn rows(phone: &Phone, name: &str) -> u64 {
    let code = format!(
        "[...document.querySelectorAll('.row-name')].filter((row) => row.textContent === {name:?}).length"
    );
    phone.run(&code).await.as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_without_a_network_shows_what_it_knew_and_catches_up() {
    let scene = Scene::open().await;
    scene.session("Painter").await;
    let phone = scene.paired("phone", ALL).await;
    phone.see("Painter").await;
    phone.offline(true).await;
    scene.line(false).await;
    phone.see("This phone is offline").await;
    phone.see("Painter").await;
    let keeper = scene.session("Keeper").await;
    scene.asks(&keeper, "Which colour?").await;

    // The page that is opened now shows the last known state, of its own shell.
    phone.worker().await;
    phone.reload().await;
    phone.see("Painter").await;
    phone.see("As of").await;

    scene.line(true).await;
    phone.offline(false).await;
    phone.see("Which colour?").await;
    phone.see("Live, as of").await;
    phone.gone("This phone is offline").await;
    for name in ["Painter", "Keeper"] {
        assert_eq!(rows(&phone, name).await, 1, "{name}");
    }
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_killed_is_said_to_be_away_and_comes_back_with_all_there_was() {
    let mut scene = Scene::open().await;
    let painter = scene.session("Painter").await;
    let phone = scene.paired("phone", ALL).await;
    phone.see("Painter").await;
    scene.daemon.kill().await;
    // The tunnel stands, and says so.
    phone.see("The hub does not answer").await;
    scene.start_again().await;
    phone.see("Live, as of").await;
    scene.asks(&painter, "Which colour?").await;
    phone.see("Which colour?").await;
    assert_eq!(rows(&phone, "Painter").await, 1);
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_restarted_is_followed() {
    let mut scene = Scene::open().await;
    scene.session("Painter").await;
    let phone = scene.paired("phone", ALL).await;
    phone.see("Painter").await;
    assert!(scene.daemon.stop().await.success());
    scene.start_again().await;
    scene.session("Keeper").await;
    phone.see("Keeper").await;
    phone.see("Live, as of").await;
    assert_eq!(
        (rows(&phone, "Painter").await, rows(&phone, "Keeper").await),
        (1, 1)
    );
    phone.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_that_is_down_is_another_thing_and_comes_back_too() {
    let scene = Scene::open().await;
    scene.session("Painter").await;
    let phone = scene.paired("phone", ALL).await;
    phone.see("Painter").await;
    scene.edge.lose();
    scene.line(false).await;
    scene.line(true).await;
    phone.see("The tunnel is down").await;
    scene.session("Keeper").await;
    scene.edge.restore();
    phone.see("Keeper").await;
    phone.see("Live, as of").await;
    phone.gone("The tunnel is down").await;
    assert_eq!(
        (rows(&phone, "Painter").await, rows(&phone, "Keeper").await),
        (1, 1)
    );
    phone.end().await;
}
