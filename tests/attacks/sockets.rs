//! Socket.IO from outside: a handshake needs one half, the namespace both, and there is no other namespace.

use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Daemon};
use crate::phone::{ORIGIN, Phone, World, setup, stranger};

pub const POLL: &str = "/socket.io/?EIO=4&transport=polling";

pub fn with_cookie(phone: &Phone<'_>, method: &str, path: &str) -> Ask {
    Ask::new(method, path)
        .header("origin", ORIGIN)
        .header("cookie", format!("__Host-maestro={}", phone.cookie))
}

/// Opens a transport by the cookie's half alone, asks for a namespace, and reads what is said about that: there may be a
/// ping before it and events behind it.
async fn join(daemon: &Daemon, phone: &Phone<'_>, packet: &str) -> String {
    let opened = stranger(daemon, with_cookie(phone, "GET", POLL)).await;
    assert_eq!(opened.status, 200, "{}", opened.text());
    let hello: Value = serde_json::from_str(&opened.text()[1..]).expect("an open packet");
    let path = format!("{POLL}&sid={}", hello["sid"].as_str().unwrap());
    let asked = with_cookie(phone, "POST", &path)
        .header("content-type", "text/plain;charset=UTF-8")
        .body(packet.to_owned());
    assert_eq!(stranger(daemon, asked).await.status, 200);
    loop {
        let packets = stranger(daemon, with_cookie(phone, "GET", &path)).await.text();
        if let Some(packet) = packets.split('\x1e').find(|packet| *packet != "2") {
            return packet.to_owned();
        }
    }
}

#[tokio::test]
async fn no_transport_is_opened_without_a_cookie_of_ours() {
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, "view", None).await;
    let refused = |answer: &Answer| (answer.status, answer.json()["code"].as_str().map(str::to_owned));
    let unpaired = (401, Some("unpaired".to_owned()));
    for ask in [
        Ask::new("GET", POLL),
        Ask::new("GET", POLL).header("x-maestro-device", &*phone.token),
        Ask::new("GET", POLL).header("cookie", "__Host-maestro=dev_1.guess"),
        Ask::new("GET", POLL).header("cookie", format!("maestro={}", phone.cookie)),
    ] {
        assert_eq!(refused(&stranger(&daemon, ask).await), unpaired);
    }
    for path in ["/socket.io", "/socket.io/x", "/Socket.IO/", "/socket.io//"] {
        let answer = stranger(&daemon, with_cookie(&phone, "GET", path)).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_phone_joins_its_own_namespace_with_both_halves_and_no_other() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, "view", None).await;
    let auth = |token: &str| json!({"token": token, "projectId": world.project});
    let joined = join(&daemon, &phone, &format!("40/mobile,{}", auth(&phone.token))).await;
    assert!(joined.starts_with("40/mobile,"), "{joined}");
    for (packet, refused) in [
        (format!("40/mobile,{}", auth("guess")), "44/mobile,"),
        (
            format!("40/mobile,{}", json!({"projectId": world.project})),
            "44/mobile,",
        ),
        (format!("40/ui,{}", auth(&phone.token)), "44/ui,"),
        ("40/ui,".to_owned(), "44/ui,"),
        ("40".to_owned(), "44"),
    ] {
        let answer = join(&daemon, &phone, &packet).await;
        assert!(answer.starts_with(refused), "{packet}: {answer}");
    }
}

#[tokio::test]
async fn a_revoked_phone_opens_no_transport_any_more() {
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, "view", None).await;
    assert!(
        daemon
            .ctl(&["devices", "revoke", &phone.id])
            .await
            .status
            .success()
    );
    assert_eq!(
        stranger(&daemon, with_cookie(&phone, "GET", POLL)).await.status,
        401
    );
}
