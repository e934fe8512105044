//! Other spellings of a path: none leads to what the plain one does not, and none is repaired.

use crate::phone::{EVERYTHING, HOST, ORIGIN, Phone, World, raw, setup};

const TRICKS: [&str; 34] = [
    "/ready",
    "/ready/",
    "/READY",
    "/ready;x=y",
    "/ready%20",
    "/ready%00",
    "/ready?/api/projects",
    "//ready",
    "///ready",
    "/./ready",
    "/pair/../ready",
    "/pair/..%2fready",
    "/pair/%2e%2e/ready",
    "/pair/..;/ready",
    "/socket.io/../ready",
    "/socket.io/%2e%2e/ready",
    "/api/projects/",
    "/api//projects",
    "/API/projects",
    "/Api/Projects",
    "/%61pi/projects",
    "/api%2fprojects",
    "/api/projects%2f",
    "/api/./projects",
    "/api/devices/../projects",
    "/api\\projects",
    "/api/projects/%c0%ae%c0%ae",
    "/api/projects/%",
    "/api/projects/%zz",
    "/api/projects/..",
    "/v1/status",
    "http://hub.example/api/projects",
    "https://localhost/ready",
    "*",
];

#[tokio::test]
async fn no_spelling_leads_anywhere_even_with_every_scope() {
    let daemon = setup().start().await;
    World::make(&daemon).await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let ask = async |target: &str| {
        let request = format!(
            "GET {target} HTTP/1.1\r\nhost: {HOST}\r\norigin: {ORIGIN}\r\ncookie: __Host-maestro={}\r\n\
             x-maestro-device: {}\r\nconnection: close\r\n\r\n",
            phone.cookie, phone.token
        );
        raw(&daemon, request.as_bytes()).await
    };
    assert!(
        ask("/api/projects").await.starts_with("HTTP/1.1 200 "),
        "the plain one does"
    );
    for target in TRICKS {
        let answer = ask(target).await;
        let refused = ["HTTP/1.1 404 ", "HTTP/1.1 400 "]
            .iter()
            .any(|head| answer.starts_with(head));
        assert!(refused, "{target}: {answer}");
        assert!(!answer.contains("Demo"), "{target}: {answer}");
    }
    let long = format!("/{}", "a".repeat(10_000));
    assert!(ask(&long).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn two_requests_in_one_are_two_requests_or_none() {
    let daemon = setup().start().await;
    for smuggled in [
        "POST /pair HTTP/1.1\r\nhost: hub.example\r\norigin: https://hub.example\r\ncontent-length: 5\r\n\
         transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "POST /pair HTTP/1.1\r\nhost: hub.example\r\norigin: https://hub.example\r\ncontent-length: 0\r\n\
         content-length: 5\r\n\r\nGET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "GET /health HTTP/1.1\r\nhost: hub.example\r\ncontent-length: 0\r\n\r\n\
         GET /ready HTTP/1.1\r\nhost: hub.example\r\nconnection: close\r\n\r\n",
    ] {
        let answer = raw(&daemon, smuggled.as_bytes()).await;
        assert!(!answer.contains("\"ready\""), "{answer}");
    }
}
