//! A phone comes all the way: edge, connector, ingress, hub. And the way is shut again when nobody is left to take it.

use serde_json::{Value, json};

use crate::{
    harness::{Ask, Daemon, Edge, Setup, eventually},
    operator::{component, text},
};

async fn mint(daemon: &Daemon) -> Value {
    let minted = daemon.ctl(&["pair", "--no-wait", "--json"]).await;
    serde_json::from_slice(&minted.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&minted)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_opens_the_tunnel_a_phone_pairs_through_it_and_its_end_shuts_it() {
    let edge = Edge::start().await;
    let daemon = Setup::new().config(&edge.config()).start().await;
    assert_eq!(edge.starts().len(), 0, "nobody could come in");
    let step = mint(&daemon).await;
    assert_eq!(
        step["url"],
        format!(
            "{}/pair/{}",
            edge.url(),
            step["code"].as_str().unwrap().replace('-', "")
        )
    );
    eventually("the tunnel is ready", || async {
        (component(&daemon, "tunnel").await["state"] == "ready").then_some(())
    })
    .await;
    let page = step["url"]
        .as_str()
        .unwrap()
        .strip_prefix(&edge.url())
        .unwrap()
        .to_owned();
    assert!(edge.get(&page).await.text().contains("Pair this phone"));
    let redeem = Ask::new("POST", "/pair")
        .header("origin", edge.url())
        .header("x-forwarded-for", "127.0.0.1")
        .header("cf-connecting-ip", "127.0.0.1")
        .json(&json!({"code": step["code"], "name": "iPhone of Anna"}));
    let answer = edge.ask(redeem).await;
    let told = answer.expect(201);
    let cookie = answer
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let me = Ask::new("GET", "/api/devices/me")
        .header("cookie", cookie.as_str())
        .header("x-maestro-device", told["token"].as_str().unwrap());
    assert_eq!(edge.ask(me.clone()).await.expect(200)["name"], "iPhone of Anna");
    for path in ["/ready", "/api/agents", "/ws-status"] {
        assert_eq!(edge.get(path).await.status, 404, "{path}");
    }
    let id = told["device"]["id"].as_str().unwrap();
    assert!(daemon.ctl(&["devices", "revoke", id]).await.status.success());
    eventually("nobody is left, and the tunnel is shut", || async {
        let part = component(&daemon, "tunnel").await;
        (part["pid"].is_null() && edge.get("/health").await.status == 530).then_some(())
    })
    .await;
}
