//! The contract's REST routes, one file per resource: parse → app → wire.

mod projects;

use axum::Router;

use super::Hub;

/// All of them.
pub(super) fn routes() -> Router<Hub> {
    Router::new().merge(projects::routes())
}
