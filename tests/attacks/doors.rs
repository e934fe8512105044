//! Foreign names, foreign pages, forged addresses: what a request says of itself makes no stranger a friend.

use crate::harness::{Answer, Ask, Daemon};
use crate::phone::{EVERYTHING, HOST, ORIGIN, Phone, World, asset_of, connect, raw, setup, stranger};

const FOREIGN_HOSTS: [&str; 8] = [
    "evil.example",
    "localhost",
    "127.0.0.1",
    "[::1]",
    "hub.example.",
    "hub.example:3000",
    "sub.hub.example",
    "hub.example.evil.example",
];
const FOREIGN_ORIGINS: [&str; 7] = [
    "null",
    "https://evil.example",
    "http://hub.example",
    "https://hub.example.evil.example",
    "https://hub.example:8443",
    "http://localhost:5173",
    "tauri://localhost",
];
const PATHS: [&str; 5] = ["/", "/health", "/api/projects", "/pair", "/anything"];

async fn upgrade(daemon: &Daemon, path: &str, headers: &str) -> String {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = connect(daemon).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = vec![0; 12]; // "HTTP/1.1 404"
    stream.read_exact(&mut head).await.unwrap();
    String::from_utf8(head).unwrap()[9..].to_owned()
}

#[tokio::test]
async fn a_foreign_name_gets_nothing_on_any_path_even_with_a_valid_secret() {
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    for host in FOREIGN_HOSTS {
        for path in PATHS {
            let answer = phone
                .asks("GET", path)
                .header("host", host)
                .over(connect(&daemon).await, host)
                .await;
            assert_eq!(answer.status, 421, "{path} as {host}");
            assert_eq!(answer.json()["code"], "foreign_host");
        }
    }
    for head in [
        "host: hub.example\r\nhost: hub.example",
        "host: hub.example\r\nhost: evil.example",
        "x: y",
    ] {
        let answer = raw(
            &daemon,
            format!("GET /health HTTP/1.1\r\n{head}\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        assert!(
            answer.contains(" 421 ") || answer.contains(" 400 "),
            "{head}: {answer}"
        );
    }
}

#[tokio::test]
async fn the_public_name_is_foreign_at_home() {
    let daemon = setup().start().await;
    let answer = daemon.ask(Ask::new("GET", "/health").header("host", HOST)).await;
    assert_eq!(
        answer.status, 421,
        "a tunnel that leads to the wrong door finds it shut"
    );
}

#[tokio::test]
async fn a_foreign_page_gets_nothing_whatever_it_asks_for() {
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let both = format!(
        "cookie: __Host-maestro={}\r\nx-maestro-device: {}\r\n",
        phone.cookie, phone.token
    );
    for origin in FOREIGN_ORIGINS {
        for path in PATHS.iter().chain(&["/socket.io/?EIO=4&transport=polling"]) {
            for method in ["GET", "POST"] {
                let ask = Ask::new(method, *path)
                    .header("origin", origin)
                    .header("cookie", format!("__Host-maestro={}", phone.cookie))
                    .header("x-maestro-device", &*phone.token);
                let answer = stranger(&daemon, ask).await;
                assert_eq!(answer.status, 403, "{method} {path} from {origin}");
                assert_eq!(answer.header("access-control-allow-origin"), None);
            }
        }
        for path in ["/", "/anything", "/socket.io/?EIO=4&transport=websocket"] {
            let status = upgrade(&daemon, path, &format!("origin: {origin}\r\n{both}")).await;
            assert_eq!(status, "403", "upgrade of {path} from {origin}");
        }
    }
}

#[tokio::test]
async fn what_changes_something_says_which_page_it_comes_from() {
    let daemon = setup().start().await;
    let world = World::make(&daemon).await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    for (method, path) in [
        ("POST", "/pair".to_owned()),
        ("POST", "/api/mail".to_owned()),
        ("POST", world.fill("/api/sessions/{id}/prompt")),
        ("DELETE", "/api/devices/me".to_owned()),
        ("POST", "/socket.io/?EIO=4&transport=polling&sid=x".to_owned()),
    ] {
        let ask = Ask::new(method, &path)
            .header("cookie", format!("__Host-maestro={}", phone.cookie))
            .header("x-maestro-device", &*phone.token)
            .raw_json("{}");
        let answer = stranger(&daemon, ask).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (403, Some("no_origin")),
            "{method} {path}"
        );
    }
    phone.get("/api/devices/me").await.expect(200);
}

#[tokio::test]
async fn no_raw_websocket_is_opened_from_outside_for_anybody() {
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let headers = format!(
        "origin: {ORIGIN}\r\ncookie: __Host-maestro={}\r\nx-maestro-device: {}\r\n",
        phone.cookie, phone.token
    );
    for path in [
        "/",
        "/anything",
        "/ws",
        "/api/projects",
        "/health",
        "/socket.io",
        "/ui",
    ] {
        assert_eq!(upgrade(&daemon, path, &headers).await, "404", "{path}");
    }
}

#[tokio::test]
async fn a_forged_address_changes_nothing() {
    let daemon = setup().start().await;
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "::1"),
        ("x-forwarded-host", "localhost"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=127.0.0.1;host=localhost"),
        ("x-real-ip", "127.0.0.1"),
        ("cf-connecting-ip", "127.0.0.1"),
        ("true-client-ip", "127.0.0.1"),
        ("x-original-url", "/health"),
        ("x-rewrite-url", "/health"),
        ("x-http-method-override", "DELETE"),
    ] {
        let ask = Ask::new("GET", "/api/projects").header(name, value);
        let answer = stranger(&daemon, ask).await;
        assert_eq!(
            (answer.status, answer.json()["code"].as_str()),
            (401, Some("unpaired")),
            "{name}: {value}"
        );
        let never = stranger(&daemon, Ask::new("GET", "/ready").header(name, value)).await;
        assert_eq!(never.status, 404, "{name}: {value}");
    }
}

fn is_hardened(answer: &Answer) {
    let what = &answer.what;
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.starts_with(
            "default-src 'self'; connect-src 'self' wss://hub.example; object-src 'none'; base-uri 'none'; \
             frame-ancestors 'none'"
        ),
        "{what}: {policy}"
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{what}");
    assert!(answer.header("permissions-policy").is_some(), "{what}");
    assert_eq!(
        answer.header("strict-transport-security"),
        None,
        "{what}: the proxy's business"
    );
    assert_eq!(answer.header("access-control-allow-origin"), None, "{what}");
    assert_eq!(answer.header("server"), None, "{what}");
}

#[tokio::test]
async fn every_answer_tells_the_browser_to_be_careful() {
    let daemon = setup().start().await;
    let phone = Phone::pair(&daemon, EVERYTHING, None).await;
    let asset = format!("/assets/{}", asset_of(&phone.get("/").await.text()));
    for (path, cached) in [
        ("/", "no-cache"),
        ("/pair/AAAABBBB", "no-cache"),
        ("/sw.js", "no-cache"),
        (&*asset, "public, max-age=31536000, immutable"),
        ("/health", "no-store"),
        ("/api/projects", "no-store"),
        ("/api/devices/me", "no-store"),
        ("/nothing", "no-store"),
    ] {
        let answer = phone.get(path).await;
        is_hardened(&answer);
        assert_eq!(answer.header("cache-control"), Some(cached), "{path}");
    }
    is_hardened(&stranger(&daemon, Ask::new("GET", "/api/projects")).await);
    is_hardened(&stranger(&daemon, Ask::new("GET", "/").header("host", "evil.example")).await);
    let polled = "/socket.io/?EIO=4&transport=polling";
    is_hardened(&phone.get(polled).await);
}
