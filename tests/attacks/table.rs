//! Every route there is, from outside, without and with each scope: generated from the table that decides.

use maestro::{
    domain::Scope,
    hub::ingress::table::{Decision, TABLE},
};
use serde_json::{Value, json};

use crate::harness::{Answer, Ask};
use crate::phone::{EVERYTHING, ORIGIN, Phone, World, setup, stranger};

fn code(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}

fn with_body(ask: Ask, method: &str) -> Ask {
    match method {
        "GET" => ask,
        _ => ask.json(&json!({})),
    }
}

#[tokio::test]
async fn a_stranger_gets_the_page_and_nothing_else() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    for (method, pattern, decision) in TABLE {
        let path = world.fill(pattern);
        let ask = Ask::new(method.as_str(), &path).header("origin", ORIGIN);
        let answer = stranger(&daemon, with_body(ask, method.as_str())).await;
        let told = (answer.status, code(&answer));
        match decision {
            Decision::Open if *pattern == "/pair" && method == "POST" => {
                assert_eq!(told.0, 400, "{method} {path}")
            }
            Decision::Open => assert_eq!(told.0, 200, "{method} {path}"),
            Decision::Paired | Decision::Needs(_) => {
                assert_eq!(told, (401, "unpaired".into()), "{method} {path}");
            }
            Decision::Never => assert_eq!(told, (404, "not_found".into()), "{method} {path}"),
        }
    }
    let health = stranger(&daemon, Ask::new("GET", "/health")).await.expect(200);
    assert_eq!(health, json!({"status": "ok"}), "a sign of life, and no more");
}

#[tokio::test]
async fn who_shows_a_nonce_gets_a_proof_that_no_other_hub_can_give() {
    let (ours, other) = (setup().start().await, setup().start().await);
    let proof = async |daemon, nonce: &str| {
        let answer = stranger(daemon, Ask::new("GET", format!("/health?nonce={nonce}"))).await;
        assert_eq!(answer.json(), json!({"status": "ok"}));
        answer.header("x-maestro-proof").map(str::to_owned)
    };
    let nonce = "0123456789abcdef0123456789abcdef";
    let first = proof(&ours, nonce).await.expect("a proof");
    assert_eq!(proof(&ours, nonce).await.as_ref(), Some(&first));
    assert_ne!(proof(&other, nonce).await.as_ref(), Some(&first));
    assert_ne!(
        proof(&ours, "0123456789abcdef0123456789abcdee").await.as_ref(),
        Some(&first)
    );
    for none in ["", "x", "0123"] {
        assert_eq!(proof(&ours, none).await, None, "{none}");
    }
    let at_home = ours.get(&format!("/health?nonce={nonce}")).await;
    assert_eq!(
        at_home.header("x-maestro-proof"),
        None,
        "only where the tunnel leads"
    );
}

#[tokio::test]
async fn a_device_gets_what_its_scope_says_and_nothing_else() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    for scope in Scope::ALL {
        let phone = Phone::pair(&daemon, scope.word(), None).await;
        for (method, pattern, decision) in TABLE {
            let path = world.fill(pattern);
            if *decision == Decision::Open || (method == "DELETE" && *decision == Decision::Paired) {
                continue; // signing out has a story of its own
            }
            let ask = with_body(phone.asks(method.as_str(), &path), method.as_str());
            let answer = stranger(&daemon, ask).await;
            let (told, who) = ((answer.status, code(&answer)), scope.word());
            match decision {
                Decision::Needs(needed) if *needed != scope => {
                    assert_eq!(told, (403, "scope".into()), "{method} {path} with {who}");
                }
                // An empty wish is none; but it was read, which is what the scope allows.
                Decision::Needs(_) if method == "POST" => {
                    assert_eq!(told, (400, "invalid".into()), "{method} {path} with {who}");
                }
                // So with an empty subscription; and without one there is nothing to be tried.
                Decision::Paired if method == "PUT" => {
                    assert_eq!(told, (400, "invalid".into()), "{method} {path} with {who}");
                }
                Decision::Paired if method == "POST" => {
                    assert_eq!(told, (409, "no_push".into()), "{method} {path} with {who}");
                }
                Decision::Needs(_) | Decision::Paired => {
                    assert_eq!(told.0, 200, "{method} {path} with {who}")
                }
                Decision::Never => assert_eq!(told, (404, "not_found".into()), "{method} {path} with {who}"),
                Decision::Open => {}
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_in_the_table_is_not_there_whatever_the_method() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "CONNECT",
    ] {
        for path in [
            "/api",
            "/api/",
            "/ui",
            "/metrics",
            "/v1/status",
            "/v1/pairing",
            "/logs",
            "/api/settings",
            "/index.html",
            "/favicon.ico",
            "/anything",
        ] {
            if method == "CONNECT" {
                continue; // has no path
            }
            let answer = stranger(&daemon, with_body(phone.asks(method, path), method)).await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
    for (method, pattern) in [
        ("PUT", "/api/sessions"),
        ("OPTIONS", "/api/projects"),
        ("DELETE", "/api/sessions/{id}"),
    ] {
        let answer = stranger(
            &daemon,
            with_body(phone.asks(method, &world.fill(pattern)), method),
        )
        .await;
        assert_eq!(answer.status, 404, "{method} {pattern}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}
