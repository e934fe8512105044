//! A phone on the other side of the tunnel, and the code that opens the way for it.

use serde_json::{Value, json};

use crate::{
    harness::{Answer, Ask, Daemon, Edge, Setup, eventually},
    operator::text,
};

/// Starts a daemon and leaves a pairing code live, so that there is somebody the way in is open for.
pub async fn open(setup: Setup) -> Daemon {
    let daemon = setup.start().await;
    mint(&daemon).await;
    daemon
}

/// A code that is left live.
async fn mint(daemon: &Daemon) -> String {
    let output = daemon.ctl(&["pair", "--no-wait", "--json"]).await;
    let step: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output)));
    step["code"].as_str().expect("a code").to_owned()
}

/// A phone that was paired through the edge, the connector and the ingress.
pub struct Phone {
    origin: String,
    cookie: String,
    token: String,
}

impl Phone {
    pub async fn pair(daemon: &Daemon, edge: &Edge) -> Self {
        let code = mint(daemon).await;
        let origin = eventually("the public address is known", || async {
            let told = daemon.ctl(&["tunnel", "url"]).await;
            let url = String::from_utf8_lossy(&told.stdout).trim().to_owned();
            (!url.is_empty()).then_some(url)
        })
        .await;
        edge.connected().await;
        let ask = Ask::new("POST", "/pair").json(&json!({"code": code, "name": "Phone"}));
        let answer = edge.ask(from(&origin, ask)).await;
        let token = answer.expect(201)["token"].as_str().expect("a token").to_owned();
        let cookie = answer.header("set-cookie").expect("a cookie");
        let cookie = cookie.split(';').next().expect("its value").to_owned();
        Self {
            origin,
            cookie,
            token,
        }
    }

    /// A GET with both halves, through the edge.
    pub async fn get(&self, edge: &Edge, path: &str) -> Answer {
        let ask = Ask::new("GET", path)
            .header("cookie", &*self.cookie)
            .header("x-maestro-device", &*self.token);
        edge.ask(from(&self.origin, ask)).await
    }
}

/// As our own page at this address sends it.
fn from(origin: &str, ask: Ask) -> Ask {
    let host = origin.split_once("://").expect("an origin").1;
    ask.header("host", host).header("origin", origin)
}

#[tokio::test]
async fn a_phone_pairs_through_the_tunnel_and_the_check_knows_this_very_hub() {
    let edge = Edge::start().await;
    let daemon = Setup::new().config(&edge.config()).start().await;
    let phone = Phone::pair(&daemon, &edge).await;
    assert_eq!(
        phone.get(&edge, "/api/devices/me").await.expect(200)["name"],
        "Phone"
    );
    assert_eq!(
        edge.get("/api/devices/me").await.status,
        401,
        "strangers get nothing"
    );
    let checked = daemon.ctl(&["tunnel", "status", "--check"]).await;
    assert!(checked.status.success(), "{}", text(&checked));
    assert!(
        text(&checked).contains("the address leads to this hub"),
        "{}",
        text(&checked)
    );
}

#[tokio::test]
async fn a_phone_comes_back_through_the_same_quick_tunnel_after_the_death_of_maestrod() {
    let edge = Edge::start().await;
    let mut daemon = Setup::new().config(&edge.quick_config()).start().await;
    let phone = Phone::pair(&daemon, &edge).await;
    daemon.kill().await;
    assert_eq!(
        phone.get(&edge, "/api/devices/me").await.status,
        502,
        "the tunnel lives, the hub does not"
    );
    let _daemon = daemon.setup().clone().start().await;
    eventually("the phone gets through again", || async {
        (phone.get(&edge, "/api/devices/me").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(edge.starts().len(), 1);
}
