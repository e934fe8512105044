//! Clients that listen.

use serde_json::json;

use crate::{
    curve::Curve,
    harness::wire::{Phone, RawSocket, patch, post},
    hub::Hub,
};

const CLIENTS: [usize; 3] = [10, 100, 1000];
/// A session of the project.
const SESSION: &str = "sess_0000000000001_abcdefghi";

trait Client {
    fn hear(&mut self, mark: &str);
}

impl Client for RawSocket {
    fn hear(&mut self, mark: &str) {
        self.until(mark).expect("an event");
    }
}

impl Client for Phone {
    fn hear(&mut self, mark: &str) {
        self.until(mark).expect("an event");
    }
}

pub async fn measure() -> Vec<Curve> {
    let raw = |hub: &Hub| RawSocket::open(hub.port()).expect("a socket");
    let phone = |hub: &Hub| Phone::open(hub.port(), &hub.project).expect("a phone");
    let mut curves = told(
        [
            "listen by the raw WebSocket (bytes: kept)",
            "tell a change by the raw WebSocket",
        ],
        raw,
    )
    .await;
    curves.extend(
        told(
            ["listen as a phone (bytes: kept)", "tell a change to phones"],
            phone,
        )
        .await,
    );
    curves
}

/// More and more of them connect, and each time a change is told to all.
async fn told<C: Client>(names: [&'static str; 2], connect: impl Fn(&Hub) -> C) -> Vec<Curve> {
    let mut hub = Hub::start().await;
    let [idle, tell] = names;
    let mut idle = Curve::new(idle, "client", "clients");
    let mut tell = Curve::new(tell, "client", "clients");
    hub.ask(&post(
        "/api/sessions",
        &json!({"id": SESSION, "projectId": hub.project, "taskIds": []}),
    ));
    let mut clients = vec![connect(&hub)]; // makes what is there for all
    for size in CLIENTS {
        let more = size + 1 - clients.len();
        let kept = hub.kept(more, |hub| {
            for _ in 0..more {
                clients.push(connect(hub));
            }
        });
        idle.at(size, kept);
        let cost = hub.cost(5, |hub, n| {
            let mark = format!("mark-{n}-");
            hub.ask(&patch(
                &format!("/api/sessions/{SESSION}"),
                &json!({"agentId": mark}),
            ));
            for client in &mut clients {
                client.hear(&mark);
            }
        });
        tell.at(size, cost.shared_by(size + 1));
    }
    vec![idle, tell]
}
