//! Five thousand at once.

use futures_util::{StreamExt, future::join_all, stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::{
    engine::Engine,
    scene::{Scene, counted},
};

const CROWD: usize = 5_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_phones_are_counted_and_one_event_reaches_each_exactly_once() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let enough = CROWD as u64 + 500;
    assert!(
        hard >= enough,
        "this test needs {enough} open files; the limit is {hard}"
    );
    if soft < enough {
        setrlimit(Resource::RLIMIT_NOFILE, enough.max(soft), hard).unwrap();
    }
    let scene = Scene::new().await;
    let (port, auth) = (scene.hub.port(), scene.auth());
    let connect = (0..CROWD).map(|_| Engine::connected(port, "/mobile", &auth));
    let mut crowd: Vec<Engine> = stream::iter(connect).buffer_unordered(64).collect().await;
    counted(&scene.hub, "mobile", CROWD).await;

    for message in ["first", "second"] {
        scene
            .hub
            .post(
                &format!("/api/sessions/{}/timeline", scene.session),
                json!({"type": "note", "message": message}),
            )
            .await
            .expect(200);
    }
    let heard = join_all(crowd.iter_mut().map(|phone| async {
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let (name, data) = phone.event().await;
            if name != "hello" {
                heard.push((name, data["data"]["newTimeline"][0]["message"].clone()));
            }
        }
        heard
    }))
    .await;
    let expected = ["first", "second"].map(|message| ("session:updated".to_owned(), json!(message)));
    assert!(
        heard.iter().all(|heard| *heard == expected),
        "each hears each event once, in order"
    );
    drop(crowd);
    counted(&scene.hub, "mobile", 0).await;
}
