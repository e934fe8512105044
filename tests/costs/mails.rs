//! Mail that is for others, and agents that wait for some.

use serde_json::json;

use crate::{
    curve::Curve,
    harness::{
        eventually,
        wire::{Connection, get, post},
    },
    hub::Hub,
};

const MAILS: [usize; 3] = [50, 500, 5000];
const WAITERS: [usize; 3] = [10, 100, 1000];

pub async fn measure() -> Vec<Curve> {
    let mut curves = inbox().await;
    curves.extend(waiters().await);
    curves
}

fn mail(project: &str, to: &str) -> Vec<u8> {
    let mail = json!({"projectId": project, "fromSessionId": "lead", "toSessionId": to, "type": "query", "subject": "Look"});
    post("/api/mail", &mail)
}

async fn inbox() -> Vec<Curve> {
    let mut hub = Hub::start().await;
    let of = "mails to others";
    let mut poll = Curve::new("read an inbox for what is new", "request", of);
    let mut send = Curve::new("send a mail", "request", of);
    let project = hub.project.clone();
    let mut there = 0;
    for size in MAILS {
        hub.fill(there..size, |_| mail(&project, "somebody"));
        there = size;
        let new = get(&format!("/api/mail/inbox/me?projectId={project}&since=1"));
        poll.at(size, hub.request(|_| new.clone()));
        send.at(size, hub.request(|_| mail(&project, "somebody")));
    }
    vec![poll, send]
}

async fn waiters() -> Vec<Curve> {
    let of = "who wait";
    let mut idle = Curve::new("wait for mail (bytes: kept while waiting)", "agent", of);
    let mut wake = Curve::new("send a mail to one who waits, and answer it", "mail", of);
    for size in WAITERS {
        let mut hub = Hub::start().await;
        let project = hub.project.clone();
        let mut waiting: Vec<Connection> = Vec::new();
        // The first of them makes what is there for all.
        let first = wait(&hub, &project, size);
        until_waiting(&hub, 1).await;
        let port = hub.port();
        let counted = hub.kept(size, |hub| {
            for n in 0..size {
                let mut connection = Connection::open(port).expect("a connection");
                let path = format!("/api/mail/wait/w{n}?projectId={project}&timeout=120000");
                connection.send(&get(&path)).expect("a request");
                waiting.push(connection);
            }
            // Answered behind them.
            hub.ask(&get("/health"));
        });
        until_waiting(&hub, size + 1).await;
        idle.at(size, counted);
        let woken = hub.cost(3, |hub, n| {
            hub.ask(&mail(&project, &format!("w{n}")));
            assert_eq!(waiting[n].receive().expect("an answer").status, 200);
        });
        wake.at(size, woken);
        drop(first);
    }
    vec![idle, wake]
}

fn wait(hub: &Hub, project: &str, n: usize) -> Connection {
    let mut connection = Connection::open(hub.port()).expect("a connection");
    let path = format!("/api/mail/wait/w{n}?projectId={project}&timeout=120000");
    connection.send(&get(&path)).expect("a request");
    connection
}

async fn until_waiting(hub: &Hub, many: usize) {
    eventually("they wait", || async {
        (hub.waiting().await == many).then_some(())
    })
    .await;
}
