//! What phones ask over plain HTTP: the same verbs as over Socket.IO, so that a tap on a notification or a bad network
//! works without a socket (PHONE 3.9). Each answer is made of the phones' own views.

mod actions;
mod devices;
mod events;
mod mail;
mod page;
mod projects;
mod push;
mod sessions;
mod tasks;
mod team;
mod who;

use axum::{
    extract::{RawQuery, State},
    http::HeaderValue,
    response::Response,
};
use serde_json::json;

use crate::access::nonce::{Nonce, PROOF_HEADER};
use crate::hub::{
    page as the_page, reply,
    routes::{Routes, get, post},
};

use super::{Phone, pairing};

pub use actions::Said;
pub use devices::shown as device_shown;

/// Every route a phone may take; who may is in the table.
pub fn routes() -> Routes<Phone> {
    Routes::new()
        .route("/health", get(health))
        .merge(the_page::outside())
        .route("/pair", post(pairing::redeem))
        .merge(devices::routes())
        .merge(push::routes())
        .merge(projects::routes())
        .merge(tasks::routes())
        .merge(sessions::routes())
        .merge(team::routes())
        .merge(mail::routes())
        .merge(events::routes())
        .merge(actions::routes())
}

/// A sign of life, and nothing else; who shows a nonce gets a proof that it is this process that lives.
async fn health(State(phone): State<Phone>, RawQuery(query): RawQuery) -> Response {
    let mut response = reply::ok(&json!({"status": "ok"}));
    let proof = Nonce::in_query(query.as_deref())
        .zip(phone.guard.parts.prover.as_ref())
        .and_then(|(nonce, prover)| HeaderValue::try_from(prover.prove(nonce)).ok());
    if let Some(proof) = proof {
        response.headers_mut().insert(PROOF_HEADER, proof);
    }
    response
}
