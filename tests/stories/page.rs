//! The page at home: whoever sits at this machine needs no pairing.

use crate::harness::{Ask, Setup};

#[tokio::test]
async fn at_home_the_page_comes_without_pairing_and_leaves_no_worker_behind() {
    let daemon = Setup::new().start().await;
    let page = daemon.get("/").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(
        text.contains(r#"<meta name="maestro-door" content="local">"#),
        "{text}"
    );
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(
        policy.starts_with("default-src 'self'; connect-src 'self'; "),
        "{policy}"
    );
    // It would stay in the browser when another server takes the port.
    assert_eq!(daemon.get("/sw.js").await.status, 404);

    let (_, from) = text.split_once("src=\"").expect("a script");
    let script = from.split_once('"').expect("its end").0;
    let small = daemon
        .ask(Ask::new("GET", script).header("accept-encoding", "gzip, br"))
        .await;
    let plain = daemon.get(script).await;
    assert_eq!(small.header("content-encoding"), Some("gzip"));
    assert_eq!(plain.header("content-encoding"), None);
    assert!(small.body.len() * 2 < plain.body.len());
    for answer in [&small, &plain] {
        assert_eq!(
            answer.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
        assert_eq!(
            answer.header("content-type"),
            Some("text/javascript; charset=utf-8")
        );
    }
}

#[tokio::test]
async fn a_page_of_elsewhere_cannot_use_the_page_at_home() {
    let daemon = Setup::new().start().await;
    let framed = daemon.get("/").await;
    let policy = framed.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let rebound = daemon
        .ask(Ask::new("GET", "/").header("host", "evil.example"))
        .await;
    assert_eq!(rebound.status, 421);
}
