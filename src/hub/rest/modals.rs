//! `/api/sessions/:id/modal`: pages that agents show to people (API.md section 7).

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::{App, NewModal};
use crate::domain::{ModalId, SessionKind};

use super::super::{
    body::{Body, One, Texts, falsy},
    error::RouteError,
    reply::{Answer, Wanted},
    routes::{Routes, post},
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/sessions/{id}/modal", post(show))
        .route("/api/sessions/{id}/modal/{modal}/actions", post(act))
        .route("/api/sessions/{id}/modal/{modal}/close", post(close))
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Show {
    #[serde(deserialize_with = "falsy")]
    modal_id: Option<String>,
    #[serde(deserialize_with = "falsy")]
    html: Option<String>,
    #[serde(deserialize_with = "falsy")]
    title: Option<String>,
    #[serde(deserialize_with = "falsy")]
    file_path: Option<String>,
}

async fn show(
    State(app): State<App>,
    wanted: Wanted,
    One(session): One<SessionKind>,
    Body(body): Body<Show>,
) -> Answer {
    let id = body
        .modal_id
        .ok_or_else(|| RouteError::check("modalId is required"))?;
    let html = body
        .html
        .ok_or_else(|| RouteError::check("html content is required"))?;
    // It becomes a file name (quirk 16).
    let id =
        ModalId::parse(&id).map_err(|error| RouteError::check(format!("modalId is invalid: {error}")))?;
    let told = json!({"success": true, "modalId": id, "sessionId": session, "message": "Modal sent to UI"});
    let modal = NewModal {
        id,
        title: body.title.unwrap_or_else(|| "Agent Modal".to_owned()),
        html,
        file_path: body.file_path,
    };
    app.show_modal(session, modal).await?;
    Ok(wanted.ok(&told))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Act {
    #[serde(deserialize_with = "falsy")]
    action: Option<String>,
    #[serde(deserialize_with = "falsy")]
    data: Option<Value>,
}

async fn act(
    State(app): State<App>,
    wanted: Wanted,
    Texts((session, modal)): Texts<(String, String)>,
    Body(body): Body<Act>,
) -> Answer {
    let action = body
        .action
        .ok_or_else(|| RouteError::check("action is required"))?;
    let data = body.data.unwrap_or_else(|| json!({}));
    let told = json!({"success": true, "modalId": modal, "action": action});
    app.act_on_modal(session, modal, action, data).await?;
    Ok(wanted.ok(&told))
}

/// The body is not read.
async fn close(
    State(app): State<App>,
    wanted: Wanted,
    Texts((session, modal)): Texts<(String, String)>,
) -> Answer {
    let told = json!({"success": true, "modalId": modal});
    app.close_modal(session, modal).await?;
    Ok(wanted.ok(&told))
}
