//! Five thousand at once.

use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

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
    // Each in a task of its own: it must answer pings while others still connect.
    let (tell, mut told) = mpsc::unbounded_channel();
    let gate = Arc::new(Semaphore::new(64));
    let mut crowd = JoinSet::new();
    for number in 0..CROWD {
        let (tell, gate, auth) = (tell.clone(), gate.clone(), auth.clone());
        crowd.spawn(async move {
            let turn = gate.acquire().await.expect("nobody closes it");
            let mut phone = Engine::connected(port, "/mobile", &auth).await;
            drop(turn);
            loop {
                let (name, data) = phone.event().await;
                let message = data["data"]["newTimeline"][0]["message"].clone();
                tell.send((number, name, message)).expect("somebody counts");
            }
        });
    }
    for _ in 0..CROWD {
        assert_eq!(told.recv().await.expect("a greeting").1, "hello");
    }
    counted(&scene.hub, "mobile", CROWD).await;

    for message in ["first", "second"] {
        let path = format!("/api/sessions/{}/timeline", scene.session);
        let entry = json!({"type": "note", "message": message});
        scene.hub.post(&path, entry).await.expect(200);
    }
    let mut heard = vec![Vec::new(); CROWD];
    for _ in 0..2 * CROWD {
        let (number, name, message) = told.recv().await.expect("an event");
        heard[number].push((name, message));
    }
    let expected = ["first", "second"].map(|message| ("session:updated".to_owned(), json!(message)));
    assert!(
        heard.iter().all(|heard| *heard == expected),
        "each hears each event once, in order"
    );
    crowd.shutdown().await;
    counted(&scene.hub, "mobile", 0).await;
    assert!(told.try_recv().is_err(), "and nothing more");
}
