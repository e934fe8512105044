//! What phones ask over plain HTTP: the same verbs as over Socket.IO, so that a tap on a notification or a bad network
//! works without a socket (PHONE 3.9). Each answer is made of the phones' own views.

mod actions;
mod devices;
mod events;
mod mail;
mod page;
mod projects;
mod sessions;
mod tasks;
mod team;
mod who;

use axum::response::Response;
use serde_json::json;

use crate::hub::{
    reply,
    routes::{Routes, get},
};

use super::{Phone, pages};

pub use actions::Said;
pub use devices::shown as device_shown;

/// Every route a phone may take; who may is in the table.
pub fn routes() -> Routes<Phone> {
    Routes::new()
        .route("/health", get(health))
        .merge(pages::routes())
        .merge(devices::routes())
        .merge(projects::routes())
        .merge(tasks::routes())
        .merge(sessions::routes())
        .merge(team::routes())
        .merge(mail::routes())
        .merge(events::routes())
        .merge(actions::routes())
}

/// A sign of life, and nothing else.
async fn health() -> Response {
    reply::ok(&json!({"status": "ok"}))
}
