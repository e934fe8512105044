//! Requests in: the JSON body as a typed wish, ids from the path. What is wrong with a request is its own fault and is
//! said so: 400, 408, 413 or 415, never 500 (quirk 22).

use std::{collections::HashMap, time::Duration};

use axum::{
    body::{Body as RequestBody, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::domain::{Id, Kind};

use super::{
    Hub,
    error::{RouteError, id},
};

/// A JSON object, read as `T`. A missing body is read as `{}`: the checks of fields then say what is missing.
///
/// Fields that `T` does not know are ignored, as by the server we replace.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Hub> for Body<T> {
    type Rejection = RouteError;

    async fn from_request(request: Request, hub: &Hub) -> Result<Self, RouteError> {
        parse(&json_bytes(request, hub).await?).map(Self)
    }
}

/// Any JSON value, for a route that says itself what is wrong with it. A missing body is read as `{}`.
#[derive(Debug)]
pub struct AnyBody(pub Value);

impl FromRequest<Hub> for AnyBody {
    type Rejection = RouteError;

    async fn from_request(request: Request, hub: &Hub) -> Result<Self, RouteError> {
        let bytes = json_bytes(request, hub).await?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| malformed(format!("The request body is not valid JSON: {error}")))
    }
}

/// The body of a request that says it is JSON; `{}` if there is none.
async fn json_bytes(request: Request, hub: &Hub) -> Result<Bytes, RouteError> {
    let limits = hub.limits();
    let (parts, body) = request.into_parts();
    let bytes = collect(body, limits.body_bytes, limits.body_time).await?;
    if bytes.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    if !is_json(&parts.headers) {
        return Err(RouteError::Request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "VALIDATION_ERROR",
            "The request body must be sent as application/json".into(),
        ));
    }
    Ok(bytes)
}

/// The whole body, or why not: 413 above `limit` bytes, 408 after `time`.
pub async fn collect(body: RequestBody, limit: usize, time: Duration) -> Result<Bytes, RouteError> {
    match timeout(time, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(RouteError::Request(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
            format!("The request body is larger than {limit} bytes"),
        )),
        Ok(Err(error)) => Err(malformed(format!("The request body could not be read: {error}"))),
        Err(_) => Err(RouteError::Request(
            StatusCode::REQUEST_TIMEOUT,
            "REQUEST_TIMEOUT",
            format!("The request body did not arrive within {} s", time.as_secs()),
        )),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()) else {
        return false;
    };
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Reads a JSON object as `T`, or says which field is wrong and how.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RouteError> {
    match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') => {}
        _ if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() => {
            return Err(malformed("The request body must be a JSON object".into()));
        }
        _ => {}
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let wish = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() {
            malformed(format!("`{path}`: {}", without_position(&inner.to_string())))
        } else {
            malformed(format!("The request body is not valid JSON: {inner}"))
        }
    })?;
    json.end()
        .map_err(|error| malformed(format!("The request body is not valid JSON: {error}")))?;
    Ok(wish)
}

/// Line and column tell a person nothing about a body that a program wrote on one line.
fn without_position(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}

fn malformed(message: String) -> RouteError {
    RouteError::Request(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
}

/// For `#[serde(default, deserialize_with = "falsy")]`: absent, `null`, `false`, `0` and `""` are `None`.
pub fn falsy<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    if is_falsy(&value) {
        return Ok(None);
    }
    T::deserialize(value).map(Some).map_err(D::Error::custom)
}

/// For `#[serde(default, deserialize_with = "given")]`: what is there must be a `T`, so null is refused.
pub fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A JSON object whose values are all texts, in the order sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(try_from = "Map<String, Value>")]
#[schemars(with = "HashMap<String, String>")]
pub struct TextMap(pub Map<String, Value>);

impl TryFrom<Map<String, Value>> for TextMap {
    type Error = String;

    fn try_from(map: Map<String, Value>) -> Result<Self, String> {
        match map.iter().find(|(_, value)| !value.is_string()) {
            Some((key, _)) => Err(format!("the value of `{key}` must be a string")),
            None => Ok(Self(map)),
        }
    }
}

/// As JavaScript sees it.
pub fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Bool(true) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// The one id in the path; 404 if it cannot be one.
#[derive(Debug)]
pub struct One<K: Kind>(pub Id<K>);

impl<K: Kind, S: Send + Sync> FromRequestParts<S> for One<K> {
    type Rejection = RouteError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RouteError> {
        let Texts(text): Texts<String> = Texts::from_request_parts(parts, state).await?;
        id(&text).map(Self)
    }
}

/// The two ids in the path, in the path's order; 404 for the first that cannot be one.
#[derive(Debug)]
pub struct Two<A: Kind, B: Kind>(pub Id<A>, pub Id<B>);

impl<A: Kind, B: Kind, S: Send + Sync> FromRequestParts<S> for Two<A, B> {
    type Rejection = RouteError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RouteError> {
        let Texts((first, second)): Texts<(String, String)> = Texts::from_request_parts(parts, state).await?;
        Ok(Self(id(&first)?, id(&second)?))
    }
}

/// Path parameters as text (`String`, or a tuple of them), percent-decoded and otherwise unchecked.
#[derive(Debug)]
pub struct Texts<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Texts<T> {
    type Rejection = RouteError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RouteError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(texts)) => Ok(Self(texts)),
            Err(error) => Err(malformed(error.body_text())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Wish {
        #[serde(deserialize_with = "falsy")]
        name: Option<String>,
        tags: Vec<String>,
    }

    fn refusal(text: &str) -> (u16, String) {
        match parse::<Wish>(text.as_bytes()).unwrap_err() {
            RouteError::Request(status, _, message) => (status.as_u16(), message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn falsy_values_count_as_absent() {
        for name in [json!(null), json!(false), json!(0), json!(-0.0), json!("")] {
            let body = json!({"name": name, "unknown": 1}).to_string();
            assert_eq!(parse::<Wish>(body.as_bytes()).unwrap(), Wish::default());
        }
        let wish: Wish = parse(br#" {"name":"x"} "#).unwrap();
        assert_eq!(wish.name.as_deref(), Some("x"));
    }

    #[test]
    fn a_wrong_type_names_its_field_and_is_the_requests_fault() {
        assert_eq!(
            refusal(r#"{"tags":["a",5]}"#),
            (
                400,
                "`tags[1]`: invalid type: integer `5`, expected a string".into()
            )
        );
        assert_eq!(
            refusal(r#"{"name":{}}"#),
            (400, "`name`: invalid type: map, expected a string".into())
        );
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Patch {
        #[serde(deserialize_with = "given")]
        tags: Option<Vec<String>>,
        env: TextMap,
    }

    #[test]
    fn what_is_given_must_be_a_value_and_the_values_of_an_environment_must_be_texts() {
        assert!(parse::<Patch>(b"{}").unwrap().tags.is_none());
        assert_eq!(parse::<Patch>(br#"{"tags":[]}"#).unwrap().tags, Some(vec![]));
        let env = parse::<Patch>(br#"{"env":{"Z":"1","A":"2"}}"#).unwrap().env.0;
        assert_eq!(Value::from(env).to_string(), r#"{"Z":"1","A":"2"}"#);
        for (wrong, told) in [
            (
                r#"{"tags":null}"#,
                "`tags`: invalid type: null, expected a sequence",
            ),
            (
                r#"{"env":{"PORT":3000}}"#,
                "`env`: the value of `PORT` must be a string",
            ),
            (r#"{"env":[]}"#, "`env`: invalid type: sequence, expected a map"),
        ] {
            match parse::<Patch>(wrong.as_bytes()).unwrap_err() {
                RouteError::Request(status, _, message) => {
                    assert_eq!((status.as_u16(), message.as_str()), (400, told));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_json_object_is_said_to_be_none() {
        for text in ["[]", "5", "null"] {
            assert_eq!(
                refusal(text),
                (400, "The request body must be a JSON object".into())
            );
        }
        for text in ["{", "{}x", "nonsense", "{\"a\":1,}"] {
            let (status, message) = refusal(text);
            assert_eq!(status, 400);
            assert!(
                message.starts_with("The request body is not valid JSON"),
                "{message}"
            );
        }
    }

    #[test]
    fn nesting_without_end_is_refused_not_recursed_into() {
        let deep = format!("{{\"x\":{}", "[".repeat(200_000));
        assert_eq!(refusal(&deep).0, 400);
    }
}
