//! Answers: JSON bytes with the contract's content type, or nothing at all for writers that asked for nothing.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{Id, Session};

use super::error::{RouteError, internal_error};

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const PREFERENCE_APPLIED: &str = "preference-applied";

/// Something that can be written as one JSON value.
pub trait Render {
    /// Appends the value to `out`.
    fn render(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error>;
}

impl<T: Serialize + ?Sized> Render for T {
    fn render(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(out, self)
    }
}

impl Render for Session {
    fn render(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        self.write_json(out)
    }
}

/// Several of them as a JSON array.
pub struct List<'a, T>(pub &'a [T]);

impl<T: Render> Render for List<'_, T> {
    fn render(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        out.push(b'[');
        for (n, item) in self.0.iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            item.render(out)?;
            if n == 0 {
                out.reserve(out.len() * self.0.len()); // the others are about as long
            }
        }
        out.push(b']');
        Ok(())
    }
}

/// 200 with this value.
pub fn ok(value: &(impl Render + ?Sized)) -> Response {
    json(StatusCode::OK, value)
}

/// This status with this value.
pub fn json(status: StatusCode, value: &(impl Render + ?Sized)) -> Response {
    let mut out = Vec::with_capacity(512);
    match value.render(&mut out) {
        Ok(()) => bytes(status, out),
        Err(error) => {
            tracing::error!("an answer could not be written as JSON: {error}");
            internal_error("The answer could not be written as JSON.")
        }
    }
}

/// This status with JSON that is rendered already.
pub fn bytes(status: StatusCode, json: impl Into<Body>) -> Response {
    let mut response = Response::new(json.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// Something was deleted.
#[derive(Serialize, JsonSchema)]
pub struct Gone {
    success: bool,
    id: String,
}

impl Gone {
    /// This.
    pub fn of<K>(id: &Id<K>) -> Self {
        Self {
            success: true,
            id: id.as_str().to_owned(),
        }
    }
}

/// How much of an answer the writer wants: `Prefer: return=minimal` gets 204 without a body, and nothing is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The contract's answer.
    Full,
    /// Only that it worked.
    Minimal,
}

impl Wanted {
    /// 200 with this value, or 204.
    pub fn ok(self, value: &(impl Render + ?Sized)) -> Response {
        self.json(StatusCode::OK, value)
    }

    /// 201 with this value, or 204.
    pub fn created(self, value: &(impl Render + ?Sized)) -> Response {
        self.json(StatusCode::CREATED, value)
    }

    /// This status with this value, or 204.
    pub fn json(self, status: StatusCode, value: &(impl Render + ?Sized)) -> Response {
        match self {
            Self::Full => json(status, value),
            Self::Minimal => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                response
                    .headers_mut()
                    .insert(PREFERENCE_APPLIED, HeaderValue::from_static("return=minimal"));
                response
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Wanted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let minimal = parts
            .headers
            .get_all("prefer")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|wish| wish.trim().eq_ignore_ascii_case("return=minimal"));
        Ok(if minimal { Self::Minimal } else { Self::Full })
    }
}

/// What a handler of ours answers.
pub type Answer = Result<Response, RouteError>;

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, http::Request};
    use serde_json::json;

    use super::*;

    async fn wanted(prefer: &str) -> Wanted {
        let (mut parts, ()) = Request::builder()
            .header("prefer", prefer)
            .body(())
            .unwrap()
            .into_parts();
        Wanted::from_request_parts(&mut parts, &()).await.unwrap()
    }

    struct Unrenderable;
    impl Serialize for Unrenderable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("nobody asked for this")
        }
    }

    #[tokio::test]
    async fn a_writer_that_prefers_nothing_gets_nothing_and_nothing_is_rendered() {
        for text in ["return=minimal", "wait=5, Return=Minimal"] {
            let response = wanted(text).await.created(&Unrenderable);
            assert_eq!(response.status(), StatusCode::NO_CONTENT);
            assert_eq!(response.headers()["preference-applied"], "return=minimal");
        }
        assert_eq!(wanted("return=representation").await, Wanted::Full);
    }

    #[tokio::test]
    async fn lists_and_values_are_json_with_the_contracts_content_type() {
        let response = ok(&List(&[json!({"a": 1}), json!(null)]));
        assert_eq!(
            response.headers()["content-type"],
            "application/json; charset=utf-8"
        );
        let body = to_bytes(response.into_body(), 100).await.unwrap();
        assert_eq!(&body[..], br#"[{"a":1},null]"#);
    }
}
