//! Half a secret is none: what a script can steal and what a cookie jar gives away are worth nothing alone.

use serde_json::json;

use crate::harness::Ask;
use crate::phone::{EVERYTHING, ORIGIN, Phone, setup, stranger};

#[tokio::test]
async fn one_half_of_a_credential_opens_nothing() {
    let daemon = setup().start().await;
    let anna = Phone::named(&daemon, "Anna", EVERYTHING, None).await;
    let berta = Phone::named(&daemon, "Berta", EVERYTHING, None).await;
    let jar = |half: &str| ("cookie", format!("__Host-maestro={half}"));
    let page = |half: &str| ("x-maestro-device", half.to_owned());
    let tries: [(&str, Vec<(&str, String)>); 9] = [
        ("unpaired", vec![jar(&anna.cookie)]),
        ("unpaired", vec![page(&anna.token)]),
        ("unknown_device", vec![jar(&anna.cookie), page(&berta.token)]),
        ("unknown_device", vec![jar(&anna.token), page(&anna.cookie)]),
        ("unknown_device", vec![jar(&anna.cookie), page(&anna.cookie)]),
        (
            "unknown_device",
            vec![jar(&anna.cookie), page(&format!("{}x", anna.token))],
        ),
        (
            "unpaired",
            vec![jar(&anna.cookie), jar(&berta.cookie), page(&anna.token)],
        ),
        (
            "unpaired",
            vec![jar(&anna.cookie), page(&anna.token), page(&berta.token)],
        ),
        (
            "unpaired",
            vec![("cookie", format!("maestro={}", anna.cookie)), page(&anna.token)],
        ),
    ];
    for (told, headers) in tries {
        let mut ask = Ask::new("GET", "/api/devices/me").header("origin", ORIGIN);
        for (name, value) in &headers {
            ask = ask.header(name, value);
        }
        let answer = stranger(&daemon, ask).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (401, Some(told)),
            "{headers:?}"
        );
    }
    let query = format!("/api/devices/me?token={}&cookie={}", anna.token, anna.cookie);
    assert_eq!(
        stranger(&daemon, Ask::new("GET", query)).await.status,
        401,
        "never in a query"
    );
    assert_eq!(anna.get("/api/devices/me").await.expect(200)["name"], "Anna");
}

#[tokio::test]
async fn a_guesser_is_slowed_down_and_the_owner_is_not() {
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let mut last = 0;
    for n in 0..60 {
        let ask = Ask::new("GET", "/api/devices/me")
            .header("cookie", format!("__Host-maestro={}", phone.cookie))
            .header("x-maestro-device", format!("guess{n}"));
        last = stranger(&daemon, ask).await.status;
        assert!(matches!(last, 401 | 429), "{last}");
    }
    assert_eq!(last, 429, "in the end he has to wait");
    phone.get("/api/devices/me").await.expect(200);
}

#[tokio::test]
async fn who_signed_out_or_was_revoked_is_out_at_once() {
    let daemon = setup().start().await;
    let anna = Phone::named(&daemon, "Anna", EVERYTHING, None).await;
    let berta = Phone::named(&daemon, "Berta", EVERYTHING, None).await;
    let answer = stranger(&daemon, anna.asks("DELETE", "/api/devices/me")).await;
    assert_eq!(answer.expect(200), json!({"success": true}));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("__Host-maestro=;") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );
    let after = anna.get("/api/devices/me").await;
    assert_eq!(
        (after.status, after.json()["code"].as_str()),
        (401, Some("revoked"))
    );
    berta.get("/api/devices/me").await.expect(200);
    assert!(
        daemon
            .ctl(&["devices", "revoke", &berta.id])
            .await
            .status
            .success()
    );
    let after = berta.get("/api/projects").await;
    assert_eq!(
        (after.status, after.json()["code"].as_str()),
        (401, Some("revoked"))
    );
}
