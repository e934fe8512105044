//! Routes about devices. Codes and secrets stand in bodies only, never in a path.

use axum::{
    Json, Router,
    extract::{Query, State},
    response::Response,
    routing::{get, post},
};
use serde::Serialize;

use crate::control::protocol::{
    Problem,
    devices::{CodeRef, DeviceAct, PairAsk, RedeemAsk},
};

use super::{Desk, LogQuery, MOST_LINES, answer, json_lines, refuse, stream};

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/v1/pairing", post(pair))
        .route("/v1/pairing/cancel", post(cancel))
        .route("/v1/pairing/redeem", post(redeem))
        .route("/v1/devices", get(list).post(change))
        .route("/v1/audit", get(audit))
}

async fn pair(State(desk): State<Desk>, Json(ask): Json<PairAsk>) -> Response {
    match desk.operations.device_desk().pair(ask).await {
        Ok(steps) => stream(json_lines(steps)),
        Err(problem) => refuse(&problem),
    }
}

async fn cancel(State(desk): State<Desk>, Json(code): Json<CodeRef>) -> Response {
    let withdrawn = desk.operations.device_desk().cancel(code.id).await;
    answer(Ok(serde_json::json!({"ok": withdrawn})))
}

async fn redeem(State(desk): State<Desk>, Json(ask): Json<RedeemAsk>) -> Response {
    told(desk.operations.device_desk().redeem(ask).await)
}

async fn list(State(desk): State<Desk>) -> Response {
    told(Ok(desk.operations.device_desk().list()))
}

async fn change(State(desk): State<Desk>, Json(act): Json<DeviceAct>) -> Response {
    told(desk.operations.device_desk().change(act).await)
}

async fn audit(State(desk): State<Desk>, Query(query): Query<LogQuery>) -> Response {
    let lines = query.lines.min(MOST_LINES);
    match desk.operations.device_desk().audit(lines, query.follow).await {
        Ok(lines) => stream(lines),
        Err(problem) => refuse(&problem),
    }
}

fn told(result: Result<impl Serialize, Problem>) -> Response {
    answer(result.and_then(|value| {
        serde_json::to_value(value).map_err(|error| Problem::new("unspeakable", error.to_string()))
    }))
}
