//! `/api/workflow-templates` (API.md section 13).

use axum::http::StatusCode;

use crate::domain::WorkflowTemplate;

use super::super::{
    body::Texts,
    describe::{does, get, text},
    error::RouteError,
    query::{Param, Params},
    reply::{self, Answer},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/api/workflow-templates",
            get(
                list,
                does("How agents may go about their work")
                    .query("mode", "Only of this mode: `execute`, `coordinate`", text())
                    .ok::<Vec<WorkflowTemplate>>(),
            ),
        )
        .route(
            "/api/workflow-templates/{id}",
            get(show, does("One of them").ok::<WorkflowTemplate>()),
        )
}

async fn list(query: Params) -> Answer {
    let templates = WorkflowTemplate::all();
    let wanted: Vec<&WorkflowTemplate> = match query.get("mode") {
        Param::One(mode @ ("execute" | "coordinate")) => templates
            .iter()
            .filter(|template| template.mode == mode)
            .collect(),
        Param::Absent | Param::One(_) | Param::Many => templates.iter().collect(),
    };
    Ok(reply::ok(&wanted))
}

async fn show(Texts(id): Texts<String>) -> Answer {
    match WorkflowTemplate::all().iter().find(|template| template.id == id) {
        Some(template) => Ok(reply::ok(template)),
        None => Err(RouteError::Text(
            StatusCode::NOT_FOUND,
            format!("Template '{id}' not found"),
        )),
    }
}
