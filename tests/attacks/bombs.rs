//! Requests that are too large or never end.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::Ask;
use crate::phone::{EVERYTHING, HOST, ORIGIN, Phone, World, connect, raw, setup, stranger};

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused_unread() {
    let daemon = setup().start().await;
    let many: String = (0..100).map(|n| format!("x-{n}: y\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(32 << 10));
    let cookies = format!("cookie: {}\r\n", "a=b; ".repeat(8 << 10));
    for bomb in [many, long, cookies] {
        let answer = raw(
            &daemon,
            format!("GET /health HTTP/1.1\r\nhost: {HOST}\r\n{bomb}\r\n").as_bytes(),
        )
        .await;
        assert!(answer.contains(" 431 "), "{answer}");
    }
    stranger(&daemon, Ask::new("GET", "/health")).await.expect(200);
}

#[tokio::test]
async fn a_body_has_a_bound_that_is_lower_for_strangers() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let mail = |bytes: usize| {
        json!({"projectId": world.project, "toSessionId": world.session, "type": "directive", "subject": "x",
               "body": {"message": "y".repeat(bytes)}})
    };
    phone.post("/api/mail", mail(200 << 10)).await.expect(201);
    let answer = phone.post("/api/mail", mail(300 << 10)).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (413, Some("too_large"))
    );
    let ask = Ask::new("POST", "/pair").header("origin", ORIGIN);
    let answer = stranger(&daemon, ask.json(&json!({"code": "x".repeat(5 << 10)}))).await;
    assert_eq!(answer.status, 413);
    let answer = stranger(&daemon, phone.asks("GET", "/api/projects").body("surprise")).await;
    assert_eq!(answer.status, 413, "a question has no body");
}

#[tokio::test]
async fn nothing_is_read_of_a_body_before_it_is_known_who_sends_it() {
    let daemon = setup().start().await;
    let mut stream = connect(&daemon).await;
    let head = format!(
        "POST /api/mail HTTP/1.1\r\nhost: {HOST}\r\norigin: {ORIGIN}\r\ncontent-type: application/json\r\n\
         content-length: 200000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap(); // and never a byte more
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}

#[tokio::test]
async fn a_deeply_nested_body_is_refused_not_recursed_into() {
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let deep = format!("{{\"content\":{}", "[".repeat(200_000));
    for path in ["/api/mail", "/api/sessions/spawn"] {
        let answer = stranger(&daemon, phone.asks("POST", path).raw_json(deep.clone())).await;
        assert_eq!(answer.status, 400, "{path}");
    }
}
