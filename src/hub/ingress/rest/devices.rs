//! A device about itself.

use axum::{
    extract::State,
    http::{HeaderValue, header},
};
use serde_json::json;

use crate::domain::Device;
use crate::hub::{
    phone::refusal::{Answer, Refused},
    reply,
    routes::{Routes, get},
};

use super::super::Phone;
use super::who::Who;

pub(super) fn routes() -> Routes<Phone> {
    Routes::new().route("/api/devices/me", get(me).delete(sign_out))
}

/// What a device may know of itself.
pub fn shown(device: &Device) -> serde_json::Value {
    json!({
        "id": device.id,
        "name": device.name,
        "scopes": device.scopes,
        "projects": device.projects,
        "pairedAt": device.paired_at,
        "lastSeen": device.last_seen,
    })
}

async fn me(who: Who) -> Answer {
    Ok(reply::ok(&shown(&who.0)))
}

/// Ends this device: what it holds proves nothing from here on.
async fn sign_out(State(phone): State<Phone>, who: Who) -> Answer {
    let devices = &phone.guard.parts.devices;
    devices.revoke(&who.0.id, &who.caller()).await.map_err(|error| {
        tracing::error!("a device could not sign out: {error}");
        Refused::busy("The hub could not write this down: try again")
    })?;
    let mut response = reply::ok(&json!({"success": true}));
    let gone =
        HeaderValue::from_static("__Host-maestro=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    response.headers_mut().insert(header::SET_COOKIE, gone);
    Ok(response)
}
