//! A visitor comes through edge and connector to the ingress socket, as a phone does.

use serde_json::json;

use crate::{
    harness::{Ask, Edge, Socket, eventually},
    house::House,
    origin::origin,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_reaches_the_ingress_socket_with_the_headers_that_cloudflare_sets() {
    let (house, edge) = (House::new(), Edge::start().await);
    let _origin = origin(&house.ingress(), None);
    assert_eq!(edge.get("/x").await.status, 530, "nobody is connected yet");
    let kept = house.tunnel(&edge).await;
    kept.ready().await;
    let forged = Ask::new("GET", "/x?y=1")
        .header("cf-connecting-ip", "203.0.113.9")
        .header("x-forwarded-for", "10.0.0.1");
    let seen = edge.ask(forged).await.expect(200);
    assert_eq!(seen["path"], "/x?y=1");
    let headers = &seen["headers"];
    assert_eq!(headers["host"], edge.host());
    assert_eq!(
        headers["cf-connecting-ip"], "127.0.0.1",
        "a forged one is overwritten"
    );
    assert_eq!(
        headers["x-forwarded-for"], "10.0.0.1, 127.0.0.1",
        "a prefix of the client's own stays"
    );
    assert_eq!(headers["x-forwarded-proto"], "https");
    assert!(headers["cf-ray"].is_string());
    let foreign = edge
        .ask(Ask::new("GET", "/x").header("host", "evil.example"))
        .await;
    assert_eq!(foreign.status, 404, "only our own names lead in");
    kept.end().await;
    assert_eq!(edge.get("/x").await.status, 530);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_ingress_is_a_bad_gateway_until_it_is_back() {
    let (house, edge) = (House::new(), Edge::start().await);
    let kept = house.tunnel(&edge).await;
    let pid = kept.ready().await;
    assert_eq!(edge.get("/").await.status, 502);
    let origin = origin(&house.ingress(), None);
    edge.get("/").await.expect(200);
    drop(origin);
    assert_eq!(edge.get("/").await.status, 502);
    assert_eq!(kept.ready().await, pid, "no reason to restart anything");
    kept.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_pass_both_ways_and_are_cut_when_the_edge_is_lost() {
    let (house, edge) = (House::new(), Edge::start().await);
    let _origin = origin(&house.ingress(), None);
    let kept = house.tunnel(&edge).await;
    kept.ready().await;
    let host = edge.host();
    let mut socket = Socket::open(edge.port(), "/ws", &[("host", host.as_str())])
        .await
        .expect("upgraded");
    for n in 0..3 {
        socket.send(&json!({"n": n})).await;
        assert_eq!(socket.next().await["n"], n);
    }
    edge.lose();
    assert_eq!(socket.closed().await, None, "without a word");
    edge.restore();
    let again = eventually("a visitor gets in again", || async {
        (edge.get("/").await.status == 200).then_some(())
    });
    again.await;
    kept.end().await;
}
