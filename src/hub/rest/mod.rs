//! The contract's REST routes, one file per resource: parse → app → wire.

mod claims;
mod mail;
mod members;
mod projects;
mod workflows;

use axum::Router;

use super::Hub;

/// All of them.
pub(super) fn routes() -> Router<Hub> {
    Router::new()
        .merge(projects::routes())
        .merge(claims::routes())
        .merge(mail::routes())
        .merge(members::routes())
        .merge(workflows::routes())
}
