//! `/api/projects` (API.md section 5).

use axum::{extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::app::App;
use crate::domain::{Maybe, NewProject, Project, ProjectKind, ProjectWish};

use super::super::{
    body::{Body, One, falsy},
    describe::{does, get},
    reply::{self, Answer, Gone, Wanted},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/api/projects",
            get(
                list,
                does("All projects, in order of creation").ok::<Vec<Project>>(),
            )
            .post(
                create,
                does("Makes a project").body::<Create>().created::<Project>(),
            ),
        )
        .route(
            "/api/projects/{id}",
            get(show, does("One project").ok::<Project>())
                .put(
                    update,
                    does("Changes a project; fields it does not know are kept")
                        .body::<Update>()
                        .ok::<Project>(),
                )
                .delete(
                    remove,
                    does("Deletes a project without tasks and sessions")
                        .ok::<Gone>()
                        .may(StatusCode::UNPROCESSABLE_ENTITY, "It still has tasks or sessions"),
                ),
        )
}

async fn list(State(app): State<App>) -> Answer {
    Ok(reply::ok(&app.projects()))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["name"]))]
struct Create {
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    name: Option<String>,
    #[serde(deserialize_with = "falsy")]
    working_dir: Option<String>,
    #[serde(deserialize_with = "falsy")]
    description: Option<String>,
}

async fn create(State(app): State<App>, wanted: Wanted, Body(body): Body<Create>) -> Answer {
    let project = app
        .create_project(NewProject {
            name: body.name.unwrap_or_default(),
            working_dir: body.working_dir.unwrap_or_default(),
            description: body.description.unwrap_or_default(),
        })
        .await?;
    Ok(wanted.created(&project))
}

async fn show(State(app): State<App>, One(id): One<ProjectKind>) -> Answer {
    Ok(reply::ok(&app.project(&id)?))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct Update {
    name: Maybe<String>,
    working_dir: Option<String>,
    description: Option<String>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl From<Update> for ProjectWish {
    fn from(mut body: Update) -> Self {
        // The UI sends the whole project back; these are not the client's to change.
        for ours in ["id", "createdAt", "updatedAt"] {
            body.extra.remove(ours);
        }
        Self {
            name: match body.name {
                Maybe::Absent => None,
                Maybe::Null => Some(String::new()), // present and blank: refused
                Maybe::Value(name) => Some(name),
            },
            working_dir: body.working_dir,
            description: body.description,
            extra: body.extra,
        }
    }
}

async fn update(
    State(app): State<App>,
    wanted: Wanted,
    One(id): One<ProjectKind>,
    Body(body): Body<Update>,
) -> Answer {
    Ok(wanted.ok(&app.update_project(id, body.into()).await?))
}

async fn remove(State(app): State<App>, wanted: Wanted, One(id): One<ProjectKind>) -> Answer {
    app.delete_project(id.clone()).await?;
    Ok(wanted.ok(&Gone::of(&id)))
}
