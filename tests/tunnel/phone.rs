//! A phone comes all the way: edge, connector, ingress, hub. And the way is shut again when nobody is left to take it.

use serde_json::{Value, json};

use crate::{
    harness::{
        Ask, Daemon, Edge, Setup, eventually,
        output::{parsed, text},
    },
    operator::component,
};

pub async fn mint(daemon: &Daemon) -> Value {
    parsed(&daemon.ctl(&["pair", "--no-wait", "--json"]).await)
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
    assert!(
        edge.get(&page)
            .await
            .text()
            .contains("maestro-door\" content=\"ingress\"")
    );
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

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_comes_back_by_the_same_quick_address_after_the_death_of_maestrod() {
    let edge = Edge::start().await;
    let mut daemon = Setup::new().config(&edge.quick_config()).start().await;
    let step = mint(&daemon).await;
    let origin = eventually("the quick address is known", || async {
        let told = daemon.ctl(&["tunnel", "url"]).await;
        let url = String::from_utf8_lossy(&told.stdout).trim().to_owned();
        (!url.is_empty()).then_some(url)
    })
    .await;
    edge.connected().await;
    let host = origin.strip_prefix("https://").expect("a secure address");
    let from = |ask: Ask| ask.header("host", host).header("origin", &*origin);
    let redeem = Ask::new("POST", "/pair").json(&json!({"code": step["code"], "name": "iPhone"}));
    let answer = edge.ask(from(redeem)).await;
    let token = answer.expect(201)["token"].as_str().expect("a token").to_owned();
    let cookie = answer
        .header("set-cookie")
        .expect("a cookie")
        .split(';')
        .next()
        .expect("its value");
    let me = from(
        Ask::new("GET", "/api/devices/me")
            .header("cookie", cookie)
            .header("x-maestro-device", token),
    );
    edge.ask(me.clone()).await.expect(200);

    daemon.kill().await;
    assert_eq!(
        edge.ask(me.clone()).await.status,
        502,
        "the tunnel lives, the hub does not"
    );
    let _daemon = daemon.setup().clone().start().await;
    eventually("the phone gets through again", || async {
        (edge.ask(me.clone()).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(edge.starts().len(), 1, "the same connector all along");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_through_the_public_address_knows_this_very_hub() {
    let edge = Edge::start().await;
    let daemon = Setup::new().config(&edge.config()).start().await;
    let shut = daemon.ctl(&["start", "tunnel"]).await;
    assert!(text(&shut).contains("nobody is paired"), "{}", text(&shut));
    mint(&daemon).await;
    edge.connected().await;
    eventually("the tunnel is ready", || async {
        (component(&daemon, "tunnel").await["state"] == "ready").then_some(())
    })
    .await;
    let checked = daemon.ctl(&["tunnel", "status", "--check"]).await;
    assert!(checked.status.success(), "{}", text(&checked));
    assert!(
        text(&checked).contains("the address leads to this hub"),
        "{}",
        text(&checked)
    );
}
