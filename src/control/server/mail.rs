//! Mail, for operators.

use axum::{
    Router,
    extract::{Path, Query, State},
    response::Response,
    routing::get,
};
use serde::Deserialize;

use crate::control::protocol::MailAsk;

use super::{Desk, answer};

/// Mails of one list, unless asked for fewer.
const MOST: usize = 1000;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/v1/mail", get(list))
        .route("/v1/mail/{id}", get(show).delete(remove))
        .route("/v1/mail/{id}/thread", get(thread))
}

#[derive(Deserialize)]
struct Which {
    session: Option<String>,
    project: Option<String>,
    limit: Option<usize>,
}

async fn list(State(desk): State<Desk>, Query(which): Query<Which>) -> Response {
    let ask = MailAsk::List {
        session: which.session,
        project: which.project,
        limit: which.limit.unwrap_or(MOST).min(MOST),
    };
    answer(desk.operations.mail(ask).await)
}

async fn show(State(desk): State<Desk>, Path(id): Path<String>) -> Response {
    answer(desk.operations.mail(MailAsk::Show(id)).await)
}

async fn thread(State(desk): State<Desk>, Path(id): Path<String>) -> Response {
    answer(desk.operations.mail(MailAsk::Thread(id)).await)
}

async fn remove(State(desk): State<Desk>, Path(id): Path<String>) -> Response {
    answer(desk.operations.mail(MailAsk::Delete(id)).await)
}
