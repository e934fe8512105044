//! Notifications of a device: how it stands, turned on and off, and tried.

use axum::{
    extract::{Extension, State},
    http::{HeaderMap, StatusCode},
};
use serde_json::json;

use crate::access::{Action, Entry};
use crate::hub::{
    phone::refusal::{Answer, Refused},
    reply,
    routes::{Routes, get, post},
};
use crate::push::{Push, PushError, Wish};

use super::super::{Phone, RequestId};
use super::{Said, who::Who};

pub(super) fn routes() -> Routes<Phone> {
    Routes::new()
        .route("/api/devices/me/push", get(stands).put(turn_on).delete(turn_off))
        .route("/api/devices/me/push/test", post(test))
}

fn push(phone: &Phone) -> Result<&Push, Refused> {
    phone.hub.push().ok_or_else(|| Refused::missing("page"))
}

async fn stands(State(phone): State<Phone>, who: Who) -> Answer {
    let push = push(&phone)?;
    Ok(reply::ok(&json!({
        "publicKey": push.public_key(),
        "subscription": push.shown(&who.0.id),
    })))
}

/// Notifies it from now on, with these choices. In the audit first, as everything that is done from outside.
async fn turn_on(
    State(phone): State<Phone>,
    Extension(request): Extension<RequestId>,
    who: Who,
    headers: HeaderMap,
    Said(wish): Said<Wish>,
) -> Answer {
    let push = push(&phone)?;
    push.check(&wish)?;
    record(&phone, &who, &headers, request, Action::PushOn).await?;
    let public = phone.guard.public();
    let origin = public.as_ref().map(|public| public.origin());
    let now = phone.hub.app().now();
    let shown = push.subscribe(&who.0.id, wish, origin, now).await?;
    Ok(reply::ok(&json!({"success": true, "subscription": shown})))
}

async fn turn_off(
    State(phone): State<Phone>,
    Extension(request): Extension<RequestId>,
    who: Who,
    headers: HeaderMap,
) -> Answer {
    let push = push(&phone)?;
    record(&phone, &who, &headers, request, Action::PushOff).await?;
    push.unsubscribe(&who.0.id).await?;
    Ok(reply::ok(&json!({"success": true, "subscription": null})))
}

/// Sends one, and says what came of it.
async fn test(State(phone): State<Phone>, who: Who) -> Answer {
    let last = push(&phone)?.test(&who.0.id).await?;
    match last.outcome.as_str() {
        "accepted" => Ok(reply::ok(&json!({"success": true, "last": last}))),
        outcome => {
            let why = last.detail.as_deref().unwrap_or(outcome);
            let message = format!("The push service did not take it: {why}");
            Err(Refused::new(StatusCode::CONFLICT, "push_failed", message))
        }
    }
}

async fn record(
    phone: &Phone,
    who: &Who,
    headers: &HeaderMap,
    RequestId(request): RequestId,
    action: Action,
) -> Result<(), Refused> {
    let entry = Entry::new(action, phone.hub.app().now())
        .from(&phone.guard.origin(headers))
        .by_device(&who.0)
        .request(&request);
    let audit = phone.hub.devices().audit();
    Ok(audit.record(entry).await?)
}

impl From<PushError> for Refused {
    fn from(error: PushError) -> Self {
        match &error {
            PushError::Endpoint(_) => Self::new(StatusCode::BAD_REQUEST, "push_endpoint", error.to_string()),
            PushError::Keys => Self::invalid(error.to_string()),
            PushError::NotSubscribed => Self::new(StatusCode::CONFLICT, "no_push", error.to_string()),
            PushError::Busy => Self::busy(error.to_string()),
            PushError::Unwritten(why) => {
                tracing::error!("a choice of notifications was not written: {why}");
                Self::busy("The hub could not write this down: try again")
            }
        }
    }
}
