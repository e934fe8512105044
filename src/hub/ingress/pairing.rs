//! Pairing from outside (SECURITY rule 5): a code in the body of a POST becomes a device. The answer is the only time that
//! its two halves are told: one in a cookie that no script can read, the other to the page.

use axum::{
    extract::{Extension, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use cookie::{Cookie, SameSite};
use serde::Deserialize;
use serde_json::json;

use crate::access::Introduction;
use crate::hub::{
    phone::refusal::{Answer, Refused},
    reply,
};

use super::{
    COOKIE, Phone, RequestId,
    rest::{Said, device_shown},
};

/// How long a browser keeps the cookie: as long as a pairing can last at most (SECURITY rule 6).
const KEPT: cookie::time::Duration = cookie::time::Duration::days(180);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    code: String,
    #[serde(default)]
    name: Option<String>,
}

/// `POST /pair {code, name?}` → `{device, token}` and the cookie.
pub async fn redeem(
    State(phone): State<Phone>,
    Extension(RequestId(request)): Extension<RequestId>,
    headers: HeaderMap,
    Said(shown): Said<Shown>,
) -> Answer {
    let agent = headers.get(header::USER_AGENT);
    let who = Introduction {
        name: shown.name.filter(|name| !name.trim().is_empty()),
        user_agent: agent.and_then(|value| value.to_str().ok()).map(str::to_owned),
        from: phone.guard.origin(&headers),
        request: Some(request),
    };
    let now = phone.hub.app().now();
    let paired = phone.guard.parts.devices.redeem(&shown.code, who, now).await?;
    let half = Cookie::build((COOKIE, paired.cookie.as_str()))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(KEPT)
        .build();
    let Ok(half) = HeaderValue::try_from(half.to_string()) else {
        let status = StatusCode::INTERNAL_SERVER_ERROR; // never: it is letters and digits
        return Err(Refused::new(
            status,
            "internal",
            "The hub failed; its log says why",
        ));
    };
    let told = json!({"device": device_shown(&paired.device), "token": paired.token});
    Ok((
        [(header::SET_COOKIE, half)],
        reply::json(StatusCode::CREATED, &told),
    )
        .into_response())
}
