//! A web page from elsewhere, a rebound name, a connection that says nothing: the local door stays shut for them.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Ask, Daemon, Setup};

const FOREIGN_ORIGINS: [&str; 5] = [
    "https://evil.example",
    "null",
    "http://localhost.evil.example",
    "https://localhost",
    "tauri://evil",
];
const FOREIGN_HOSTS: [&str; 3] = ["evil.example", "evil.example:3000", "localhost.evil.example"];

async fn refused(daemon: &Daemon, header: (&'static str, &str), status: u16) {
    for (method, path) in [
        ("GET", "/health"),
        ("GET", "/api/projects"),
        ("HEAD", "/api/projects"),
        ("POST", "/api/projects"),
        ("OPTIONS", "/api/projects"),
        ("GET", "/no/such/page"),
    ] {
        let mut ask = Ask::new(method, path).header(header.0, header.1);
        if method == "POST" {
            ask = ask.json(&json!({"name": "planted"}));
        }
        let answer = daemon.ask(ask).await;
        assert_eq!(answer.status, status, "{method} {path} with {header:?}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            None,
            "{method} {path} with {header:?}"
        );
        if method != "HEAD" {
            assert_eq!(answer.json()["error"], true);
        }
    }
    for path in ["/", "/anything", "/api/projects"] {
        let upgrade = daemon.upgrade(path, &[header]).await;
        assert_eq!(upgrade.err(), Some(status), "{path} with {header:?}");
    }
}

#[tokio::test]
async fn pages_from_elsewhere_get_nothing_and_change_nothing() {
    let daemon = Setup::new().start().await;
    for origin in FOREIGN_ORIGINS {
        refused(&daemon, ("origin", origin), 403).await;
    }
    assert_eq!(daemon.get("/api/projects").await.expect(200), json!([]));
}

#[tokio::test]
async fn a_rebound_name_gets_nothing_even_without_an_origin() {
    let daemon = Setup::new().start().await;
    for host in FOREIGN_HOSTS {
        refused(&daemon, ("host", host), 421).await;
    }
    assert_eq!(daemon.get("/api/projects").await.expect(200), json!([]));
}

/// Sends raw bytes; the whole answer as text.
async fn exchange(daemon: &Daemon, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.port())).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_name_said_twice_or_not_at_all_is_no_name() {
    let daemon = Setup::new().start().await;
    for head in [
        "GET /health HTTP/1.1\r\nconnection: close",
        "GET /health HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close",
        "GET http://evil.example/health HTTP/1.1\r\nhost: localhost\r\nconnection: close",
        "GET /health HTTP/1.0",
    ] {
        let answer = exchange(&daemon, &format!("{head}\r\n\r\n")).await;
        assert!(
            answer.contains(" 421 ") || answer.contains(" 400 "),
            "{head}: {answer}"
        );
    }
}

#[tokio::test]
async fn no_header_makes_a_stranger_a_friend() {
    let daemon = Setup::new().start().await;
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "localhost"),
        ("forwarded", "for=127.0.0.1;host=localhost"),
        ("x-real-ip", "::1"),
    ] {
        let ask = Ask::new("GET", "/api/projects")
            .header("host", "evil.example")
            .header(name, value);
        assert_eq!(daemon.ask(ask).await.status, 421, "{name}");
    }
}

#[tokio::test]
async fn the_pages_that_belong_to_us_pass_on_rest_and_socket() {
    let daemon = Setup::new()
        .env("CORS_ORIGINS", "https://board.example")
        .start()
        .await;
    for origin in [
        "tauri://localhost",
        "http://tauri.localhost",
        "http://localhost:5173",
        "http://127.0.0.1:1420",
        "https://board.example",
    ] {
        let answer = daemon
            .ask(Ask::new("GET", "/health").header("origin", origin))
            .await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (200, Some(origin))
        );
        let mut socket = daemon.upgrade("/", &[("origin", origin)]).await.expect("let in");
        assert_eq!(socket.arrived().await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_too_much_is_closed() {
    let daemon = Setup::new()
        .config("[listen]\nheader_timeout = \"1s\"\n")
        .start()
        .await;
    for begun in ["", "GET /health HTTP/1.1\r\nho"] {
        let answer = exchange(&daemon, begun).await; // ends because the server closes
        assert!(
            answer.is_empty() || answer.contains(" 408 "),
            "{begun:?}: {answer}"
        );
    }
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let answer = exchange(
        &daemon,
        &format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"),
    )
    .await;
    assert!(answer.contains(" 431 "), "{answer}");
    daemon.get("/health").await.expect(200);
}
