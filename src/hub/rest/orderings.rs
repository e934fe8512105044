//! `/api/ordering` (API.md section 11). Errors are form F.

use axum::{extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::app::App;
use crate::domain::{Ordering, OrderingKind, ProjectId};

use super::super::{
    body::{Body, Texts},
    describe::{Operation, does, get, word},
    error::RouteError,
    reply::{self, Answer, Wanted},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    let of = |says: Operation| {
        says.path("kind", "What is arranged", word(&["task", "session"]))
            .ok::<Ordering>()
    };
    Routes::new().route(
        "/api/ordering/{kind}/{project}",
        get(
            show,
            of(does("How people have arranged a project's tasks or sessions")),
        )
        .put(arrange, of(does("Arranges them").body::<Arrange>())),
    )
}

fn refused(message: impl Into<String>) -> RouteError {
    RouteError::Plain(StatusCode::BAD_REQUEST, message.into())
}

/// What is arranged, and in which project: it need not exist, but must have a name that can never become a path.
fn place(kind: &str, project: &str) -> Result<(OrderingKind, ProjectId), RouteError> {
    let kind = match kind {
        "task" => OrderingKind::Task,
        "session" => OrderingKind::Session,
        _ => return Err(refused("entityType must be \"task\" or \"session\"")),
    };
    let project =
        ProjectId::parse(project).map_err(|error| refused(format!("projectId is invalid: {error}")))?;
    Ok((kind, project))
}

async fn show(State(app): State<App>, Texts((kind, project)): Texts<(String, String)>) -> Answer {
    let (kind, project) = place(&kind, &project)?;
    Ok(reply::ok(&app.ordering(kind, &project)))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["orderedIds"]))]
struct Arrange {
    #[schemars(with = "Vec<Value>")]
    ordered_ids: Value,
}

async fn arrange(
    State(app): State<App>,
    wanted: Wanted,
    Texts((kind, project)): Texts<(String, String)>,
    Body(body): Body<Arrange>,
) -> Answer {
    let (kind, project) = place(&kind, &project)?;
    match body.ordered_ids {
        Value::Array(ids) => Ok(wanted.ok(&app.arrange(kind, project, ids).await?)),
        _ => Err(refused("orderedIds must be an array")),
    }
}
