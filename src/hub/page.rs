//! The page for phones and browsers, as it was built from `web/`: embedded, and the same at both doors. Only what says
//! where it is differs: by which door one came, and, for a pairing address, what an app on the home screen starts with.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::Write,
    sync::{LazyLock, Mutex, PoisonError},
};

use axum::{
    body::{Body, Bytes},
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use rust_embed::{Embed, EmbeddedFile};
use serde::Deserialize;
use serde_json::Value;

use super::{
    describe::{self, Operation, does, text},
    headers::harden,
    ingress::Phone,
    phone::refusal::Refused,
    routes::{Routes, get},
};

/// What `npm run build` made of `web/`. A build for development reads it from there instead of holding it.
#[derive(Embed)]
#[folder = "web/dist/"]
struct Built;

const PAGE: &str = "index.html";
const MANIFEST: &str = "manifest.webmanifest";
/// Where the page is told by which door it came; what is built says the ingress.
const DOOR: &str = r#"<meta name="maestro-door" content="ingress">"#;
const LOCAL_DOOR: &str = r#"<meta name="maestro-door" content="local">"#;
/// Where it names its manifest.
const MANIFEST_LINK: &str = r#"href="/manifest.webmanifest""#;
/// Their names change with their content.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Page and hub come from one build.
const ASK_ANEW: HeaderValue = HeaderValue::from_static("no-cache");
const A_DAY: HeaderValue = HeaderValue::from_static("public, max-age=86400");
/// Longest code in an address.
const CODE: usize = 16;

/// By which door somebody came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// From this machine: nobody needs to pair.
    Home,
    /// From outside.
    Outside,
}

/// What everybody of this machine may see. No worker: it would stay in the browser when another server takes the port.
pub fn at_home() -> Routes {
    let file = |says: Operation| says.path("file", "Its name, which changes with its content", text());
    let icon_says = does("A picture of the app").gives(&["image/png", "image/svg+xml"]);
    let asset_says =
        does("A part of the page").gives(&["text/javascript", "text/css", "application/octet-stream"]);
    let manifest_says = does("What the app is, for the browser").gives(&["application/manifest+json"]);
    Routes::new()
        .route(
            "/",
            describe::get(async || home(At::Home), does("The page").gives(&["text/html"])),
        )
        .route(
            "/manifest.webmanifest",
            describe::get(async || manifest(None), manifest_says),
        )
        .route("/assets/{file}", describe::get(asset, file(asset_says)))
        .route("/icons/{file}", describe::get(icon, file(icon_says)))
}

/// What everybody may see from outside.
pub fn outside() -> Routes<Phone> {
    Routes::new()
        .route("/", get(async || home(At::Outside)))
        .route("/manifest.webmanifest", get(async || manifest(None)))
        .route("/assets/{file}", get(asset))
        .route("/icons/{file}", get(icon))
        .route("/sw.js", get(worker))
        .route("/pair", get(async || page(DOOR, MANIFEST_LINK)))
        // Opening it redeems nothing: previews of links must not use up a code.
        .route("/pair/{code}", get(pairing))
        .route("/pair/{code}/", get(pairing))
        .route("/pair/{code}/manifest.webmanifest", get(pairing_manifest))
}

/// Which build the page is of: it compares that with its own, and comes anew if they differ.
pub fn build() -> &'static str {
    static BUILD: LazyLock<String> = LazyLock::new(|| {
        #[derive(Deserialize)]
        struct Id {
            build: String,
        }
        let file = Built::get("build.json");
        let id = file.and_then(|file| serde_json::from_slice::<Id>(&file.data).ok());
        id.map(|id| id.build).unwrap_or_default()
    });
    &BUILD
}

fn home(at: At) -> Response {
    match at {
        At::Outside => page(DOOR, MANIFEST_LINK),
        At::Home => {
            let mut response = page(LOCAL_DOOR, MANIFEST_LINK);
            harden(response.headers_mut(), None, false);
            response
        }
    }
}

async fn pairing(Path(code): Path<String>) -> Response {
    match is_code(&code) {
        true => page(DOOR, &format!(r#"href="/pair/{code}/manifest.webmanifest""#)),
        false => page(DOOR, MANIFEST_LINK),
    }
}

async fn pairing_manifest(Path(code): Path<String>) -> Response {
    manifest(Some(&code).filter(|code| is_code(code)))
}

/// Letters, digits and dashes: nothing that could end an attribute.
fn is_code(text: &str) -> bool {
    (1..=CODE).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn page(door: &str, manifest: &str) -> Response {
    let Some(file) = Built::get(PAGE) else {
        return missing();
    };
    let text = String::from_utf8_lossy(&file.data);
    let text = text.replacen(DOOR, door, 1).replacen(MANIFEST_LINK, manifest, 1);
    told("text/html; charset=utf-8", ASK_ANEW, text)
}

/// The manifest of the app. An app on an iPhone's home screen has cookies of its own: it is the same app (`id`), but
/// starts with the code it was installed with, so that it can be paired itself (PHONE 3.1).
fn manifest(code: Option<&String>) -> Response {
    let read = Built::get(MANIFEST).and_then(|file| serde_json::from_slice::<Value>(&file.data).ok());
    let Some(mut manifest) = read else {
        return missing();
    };
    if let Some(code) = code {
        manifest["start_url"] = format!("/pair/{code}/").into();
    }
    told("application/manifest+json", ASK_ANEW, manifest.to_string())
}

async fn worker(headers: HeaderMap) -> Response {
    serve("sw.js", ASK_ANEW, &headers)
}

async fn asset(Path(file): Path<String>, headers: HeaderMap) -> Response {
    serve(&format!("assets/{file}"), FOR_EVER, &headers)
}

async fn icon(Path(file): Path<String>, headers: HeaderMap) -> Response {
    serve(&format!("icons/{file}"), A_DAY, &headers)
}

fn serve(name: &str, kept: HeaderValue, asked: &HeaderMap) -> Response {
    // Names are looked up in what was built: no path leads out of it. A debug build reads the folder itself, where `..`
    // would lead from one part of it to another.
    let Some(file) = Built::get(name).filter(|_| !name.contains("..")) else {
        return missing();
    };
    let (kind, shrinks) = kind_of(name);
    let body = bytes(&file);
    let mut response = if shrinks && takes_gzip(asked) {
        let mut response = told(kind, kept, shrunk(name, &body));
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
        response
    } else {
        told(kind, kept, body)
    };
    let headers = response.headers_mut();
    if shrinks {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// What a file is, and whether it becomes smaller by compression.
fn kind_of(name: &str) -> (&'static str, bool) {
    match name.rsplit('.').next() {
        Some("js") => ("text/javascript; charset=utf-8", true),
        Some("css") => ("text/css; charset=utf-8", true),
        Some("svg") => ("image/svg+xml", true),
        Some("png") => ("image/png", false),
        _ => ("application/octet-stream", false),
    }
}

fn bytes(file: &EmbeddedFile) -> Bytes {
    match &file.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::copy_from_slice(bytes),
    }
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    let said = asked.get_all(header::ACCEPT_ENCODING).iter();
    let mut words = said
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    words.any(|word| {
        let mut parts = word.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
        let refused = parts.any(|part| {
            part.strip_prefix("q=")
                .is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0))
        });
        named && !refused
    })
}

/// A file compressed: once, when somebody asks for it first.
fn shrunk(name: &str, plain: &Bytes) -> Bytes {
    static KNOWN: LazyLock<Mutex<HashMap<String, Bytes>>> = LazyLock::new(Mutex::default);
    // A poisoned lock is taken all the same: the map is whole after every step. It holds what was built, so is bounded.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known
        .entry(name.to_owned())
        .or_insert_with(|| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            let written = encoder.write_all(plain);
            // Writing to memory cannot fail.
            written
                .and_then(|()| encoder.finish())
                .map_or_else(|_| Bytes::new(), Bytes::from)
        })
        .clone()
}

fn told(kind: &'static str, kept: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, kept);
    response
}

fn missing() -> Response {
    Refused::new(StatusCode::NOT_FOUND, "not_found", "There is no such file").into_response()
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn text(response: Response) -> String {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn the_page_holds_nothing_that_its_policy_would_have_to_forgive() {
        let mut scripts = 0;
        for name in Built::iter() {
            let file = Built::get(&name).unwrap();
            let Ok(text) = std::str::from_utf8(&file.data) else {
                continue;
            };
            for word in ["onclick=", "<style", "eval(", "new Function(", "document.write("] {
                assert!(!text.contains(word), "{name} has {word}");
            }
            if name == PAGE {
                assert!(!text.contains("style="), "an inline style");
                assert!(!text.contains("://"), "something from elsewhere");
                scripts += text.matches("<script").count();
                assert_eq!(
                    text.matches(r#"<script type="module" crossorigin src="/assets/"#)
                        .count(),
                    1
                );
            }
        }
        assert_eq!(scripts, 1, "one script, and it is a file of ours");
        assert!(!build().is_empty());
    }

    #[tokio::test]
    async fn a_pairing_address_has_a_manifest_that_starts_with_its_code_and_is_the_same_app() {
        let page = text(pairing(Path("DEDHZ7CM".into())).await).await;
        assert!(page.contains(r#"href="/pair/DEDHZ7CM/manifest.webmanifest""#));
        let of = async |response| serde_json::from_str::<Value>(&text(response).await).unwrap();
        let (with, without) = (
            of(pairing_manifest(Path("DEDHZ7CM".into())).await).await,
            of(manifest(None)).await,
        );
        assert_eq!(
            (&with["start_url"], &without["start_url"]),
            (&"/pair/DEDHZ7CM/".into(), &"/".into())
        );
        assert_eq!((&with["id"], &with["scope"]), (&without["id"], &without["scope"]));
    }

    #[tokio::test]
    async fn what_is_no_code_gets_into_no_page() {
        for strange in ["\"><script>", "x\" onload=\"y", "12345678901234567", "", "ä"] {
            let page = text(pairing(Path(strange.into())).await).await;
            assert!(page.contains(MANIFEST_LINK), "{strange}");
            assert!(strange.is_empty() || !page.contains(strange), "{strange}");
        }
    }

    #[tokio::test]
    async fn the_page_knows_by_which_door_it_came() {
        assert!(text(home(At::Home)).await.contains(LOCAL_DOOR));
        assert!(text(home(At::Outside)).await.contains(DOOR));
        let policy = home(At::Home).headers()["content-security-policy"].clone();
        assert!(policy.to_str().unwrap().contains("frame-ancestors 'none'"));
    }

    #[test]
    fn who_takes_gzip_says_so() {
        let takes = |said: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(said).unwrap());
            takes_gzip(&headers)
        };
        assert!(takes("gzip, deflate, br") && takes("br;q=1.0, GZIP;q=0.8") && takes("*"));
        assert!(!takes("identity") && !takes("br") && !takes("gzip;q=0"));
    }

    #[tokio::test]
    async fn the_first_load_is_small_and_what_has_a_digest_in_its_name_is_kept_for_ever() {
        let mut asked = HeaderMap::new();
        asked.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut sum = 0;
        for name in Built::iter().filter(|name| name.starts_with("assets/")) {
            let response = serve(&name, FOR_EVER, &asked);
            assert_eq!(response.headers()["content-encoding"], "gzip", "{name}");
            sum += response.into_body().collect().await.unwrap().to_bytes().len();
        }
        assert!(sum > 0 && sum < 150 << 10, "{sum} bytes");
        let missing = asset(Path("../build.json".into()), asked).await;
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    }
}
