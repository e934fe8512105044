//! `/api/sessions/:id/modal`: pages that agents show to people (API.md section 7).

use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::{App, NewModal};
use crate::domain::{ModalId, SessionId, SessionKind};

use super::super::{
    body::{Body, One, Texts, falsy},
    describe::{Operation, does, post, text},
    error::RouteError,
    reply::{Answer, Wanted},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    // Neither the session nor the modal need exist for the last two.
    let any = |says: Operation| {
        says.path("id", "The session", text())
            .path("modal", "The page", text())
    };
    Routes::new()
        .route(
            "/api/sessions/{id}/modal",
            post(show, does("Shows a page to people").body::<Show>().ok::<Shown>()),
        )
        .route(
            "/api/sessions/{id}/modal/{modal}/actions",
            post(
                act,
                any(does("What a person did on a page").body::<Act>().ok::<Acted>()),
            ),
        )
        .route(
            "/api/sessions/{id}/modal/{modal}/close",
            post(close, any(does("A page was closed").ok::<Closed>())),
        )
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["modalId", "html"]))]
struct Show {
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    modal_id: Option<String>,
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    html: Option<String>,
    #[serde(deserialize_with = "falsy")]
    title: Option<String>,
    #[serde(deserialize_with = "falsy")]
    file_path: Option<String>,
}

/// It is on its way to desktops.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Shown {
    success: bool,
    modal_id: ModalId,
    session_id: SessionId,
    message: &'static str,
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
    let told = Shown {
        success: true,
        modal_id: id.clone(),
        session_id: session.clone(),
        message: "Modal sent to UI",
    };
    let modal = NewModal {
        id,
        title: body.title.unwrap_or_else(|| "Agent Modal".to_owned()),
        html,
        file_path: body.file_path,
    };
    app.show_modal(session, modal).await?;
    Ok(wanted.ok(&told))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["action"]))]
struct Act {
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    action: Option<String>,
    #[serde(deserialize_with = "falsy")]
    data: Option<Value>,
}

/// It is told to the agent.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Acted {
    success: bool,
    modal_id: String,
    action: String,
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
    let told = Acted {
        success: true,
        modal_id: modal.clone(),
        action: action.clone(),
    };
    app.act_on_modal(session, modal, action, data).await?;
    Ok(wanted.ok(&told))
}

/// It is told to the agent.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Closed {
    success: bool,
    modal_id: String,
}

/// The body is not read.
async fn close(
    State(app): State<App>,
    wanted: Wanted,
    Texts((session, modal)): Texts<(String, String)>,
) -> Answer {
    let told = Closed {
        success: true,
        modal_id: modal.clone(),
    };
    app.close_modal(session, modal).await?;
    Ok(wanted.ok(&told))
}
