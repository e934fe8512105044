//! Pairing through the ingress: a code works once, in the body of a POST of our own page, and nowhere else.

use serde_json::json;

use crate::harness::Ask;
use crate::phone::{ORIGIN, Phone, mint, redeeming, setup, stranger};

#[tokio::test]
async fn opening_the_link_redeems_nothing_and_pressing_the_button_does_once() {
    let daemon = setup().start().await;
    let code = mint(&daemon, "view,mail", None).await;
    let plain = code.replace('-', "");
    for method in ["GET", "HEAD", "GET"] {
        for path in [
            format!("/pair/{plain}"),
            format!("/pair/{plain}/"),
            format!("/pair?code={plain}"),
        ] {
            let answer = stranger(&daemon, Ask::new(method, &path)).await;
            assert_eq!(answer.status, 200, "{method} {path}");
            assert_eq!(answer.header("set-cookie"), None);
            let (text, manifest) = (answer.text(), format!("\"/pair/{plain}/manifest.webmanifest\""));
            assert!(
                !text.replacen(&manifest, "", 1).contains(&plain),
                "the page is the same for every code, but for what an app on the home screen starts with"
            );
        }
    }
    let answer = stranger(&daemon, redeeming(&code, "iPhone of Anna")).await;
    let told = answer.expect(201);
    assert_eq!(told["device"]["name"], "iPhone of Anna");
    assert_eq!(told["device"]["scopes"], json!(["view", "mail"]));
    let cookie = answer.header("set-cookie").unwrap();
    for attribute in [
        "__Host-maestro=",
        "; Path=/",
        "; Secure",
        "; HttpOnly",
        "; SameSite=Strict",
        "; Max-Age=",
    ] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let again = stranger(&daemon, redeeming(&code, "thief")).await;
    assert_eq!(
        (again.status, again.json()["code"].as_str()),
        (403, Some("spent_code"))
    );
}

#[tokio::test]
async fn a_wrong_code_a_strange_body_and_a_code_elsewhere_pair_nobody() {
    let daemon = setup().start().await;
    let code = mint(&daemon, "view", None).await;
    let wrong = stranger(&daemon, redeeming("0000-0000", "x")).await;
    assert_eq!(
        (wrong.status, wrong.json()["code"].as_str()),
        (403, Some("wrong_code"))
    );
    let none = stranger(&daemon, redeeming("no such code", "x")).await;
    assert_eq!(
        (none.status, none.json()["code"].as_str()),
        (400, Some("malformed_code"))
    );
    let post = |path: &str| Ask::new("POST", path).header("origin", ORIGIN);
    let plain = code.replace('-', "");
    for (ask, status) in [
        (post(&format!("/pair?code={plain}")).json(&json!({})), 400),
        (post(&format!("/pair/{plain}")).json(&json!({"code": code})), 404),
        (
            post("/pair").json(&json!({"code": code, "scopes": ["admin"]})),
            400,
        ),
        (post("/pair").body(format!("code={plain}")), 415),
        (
            post("/pair")
                .header("content-type", "text/plain")
                .body(json!({"code": code}).to_string()),
            415,
        ),
        (post("/pair").json(&json!([code])), 400),
    ] {
        let answer = stranger(&daemon, ask).await;
        assert_eq!(answer.status, status, "{}: {}", answer.what, answer.text());
        assert_eq!(answer.header("set-cookie"), None);
    }
    stranger(&daemon, redeeming(&code, "x")).await.expect(201);
}

#[tokio::test]
async fn neither_codes_nor_secrets_are_in_the_log_the_audit_or_the_files() {
    let daemon = setup().env("LOG_LEVEL", "debug").start().await;
    let code = mint(&daemon, "view", None).await;
    let plain = code.replace('-', "");
    stranger(&daemon, Ask::new("GET", format!("/pair/{plain}"))).await;
    stranger(&daemon, redeeming(&code, "phone")).await.expect(201);
    let phone = Phone::pair(&daemon, "view", None).await;
    phone.get("/api/projects").await.expect(200);
    let audit = String::from_utf8(daemon.ctl(&["audit", "-n", "100", "--json"]).await.stdout).unwrap();
    assert!(audit.contains("\"pair\""), "{audit}");
    // The id of a device is no secret; what follows it in the cookie is.
    let secret = phone.cookie.rsplit('.').next().unwrap().to_owned();
    for hidden in [&code, &plain, &secret, &phone.token] {
        assert!(!daemon.log().contains(hidden.as_str()), "in the log");
        assert!(!audit.contains(hidden.as_str()), "in the audit");
        for dir in [
            daemon.place().data_dir(),
            daemon.place().state_dir(),
            daemon.place().runtime_dir(),
        ] {
            for file in std::fs::read_dir(dir)
                .unwrap()
                .flatten()
                .filter(|file| file.path().is_file())
            {
                let bytes = std::fs::read(file.path()).unwrap();
                let found = bytes
                    .windows(hidden.len())
                    .any(|window| window == hidden.as_bytes());
                assert!(!found, "in {}", file.path().display());
            }
        }
    }
}
