//! The pages a stranger may see: how to pair this phone. Embedded; nothing is loaded from elsewhere.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};

use crate::hub::routes::{Routes, get};

use super::Phone;

const PAIR: &str = include_str!("../../../web/pair.html");
const SCRIPT: &str = include_str!("../../../web/pair.js");
const STYLE: &str = include_str!("../../../web/maestro.css");

pub(super) fn routes() -> Routes<Phone> {
    Routes::new()
        .route("/", get(page))
        .route("/pair", get(page).post(super::pairing::redeem))
        // Opening it redeems nothing: previews of links must not use up a code.
        .route("/pair/{code}", get(page))
        .route("/pair/{code}/", get(page))
        .route("/pair.js", get(script))
        .route("/maestro.css", get(style))
}

async fn page() -> Response {
    text("text/html; charset=utf-8", PAIR)
}

async fn script() -> Response {
    text("text/javascript; charset=utf-8", SCRIPT)
}

async fn style() -> Response {
    text("text/css; charset=utf-8", STYLE)
}

fn text(kind: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // Page and hub come from one build.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_hold_nothing_that_their_policy_would_have_to_forgive() {
        for (name, text) in [("pair.html", PAIR), ("pair.js", SCRIPT), ("maestro.css", STYLE)] {
            for word in [
                "http://",
                "https://",
                "onclick=",
                "style=",
                "<style",
                "eval(",
                "innerHTML",
                "document.write",
            ] {
                assert!(!text.contains(word), "{name} has {word}");
            }
        }
        assert_eq!(PAIR.matches("<script").count(), 1, "one external script");
        assert!(PAIR.contains(r#"<script src="/pair.js" defer></script>"#));
        assert!(PAIR.contains(r#"<link rel="stylesheet" href="/maestro.css">"#));
    }
}
