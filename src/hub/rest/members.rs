//! `/api/team-members` (API.md section 9).

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::app::{App, AppError};
use crate::domain::{Maybe, Member, MemberId, MemberKind, MemberStatus, MemberWish, NewMember, ProjectId};

use super::super::{
    body::{Body, One, falsy},
    describe::{Operation, does, get, id, post},
    error::RouteError,
    query::Params,
    reply::{self, Answer, Gone, Wanted},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    const DEFAULT: &str = "One of the five that nobody makes";
    let of_project = |says: Operation| says.needs("projectId", "The project, which need not exist", id());
    let move_to = |summary| does(summary).body::<Which>().ok::<Member>();
    Routes::new()
        .route(
            "/api/team-members",
            get(
                list,
                of_project(does("The five defaults of a project, and its own members")).ok::<Vec<Member>>(),
            )
            .post(
                create,
                does("Makes a member").body::<Create>().created::<Member>(),
            ),
        )
        .route(
            "/api/team-members/{id}",
            get(show, of_project(does("One member")).ok::<Member>())
                .patch(update, does("Changes a member").body::<Update>().ok::<Member>())
                .delete(
                    remove,
                    of_project(does("Deletes an archived member"))
                        .ok::<Gone>()
                        .may(StatusCode::FORBIDDEN, DEFAULT)
                        .may(StatusCode::UNPROCESSABLE_ENTITY, "It is not archived"),
                ),
        )
        .route(
            "/api/team-members/{id}/archive",
            post(
                archive,
                move_to("Puts a member away").may(StatusCode::FORBIDDEN, DEFAULT),
            ),
        )
        .route(
            "/api/team-members/{id}/unarchive",
            post(
                unarchive,
                move_to("Takes a member back").may(StatusCode::FORBIDDEN, DEFAULT),
            ),
        )
        .route(
            "/api/team-members/{id}/reset",
            post(reset, move_to("Makes a default member what it was")),
        )
}

/// The project named in the query. It need not exist, but must have a name that can never become a path (quirk 16).
fn asked_project(query: &Params) -> Result<ProjectId, RouteError> {
    project(query.text("projectId"), "projectId query parameter is required")
}

fn project(text: Option<&str>, missing: &str) -> Result<ProjectId, RouteError> {
    let text = text.ok_or_else(|| RouteError::check(missing))?;
    ProjectId::parse(text).map_err(|error| RouteError::check(format!("projectId is invalid: {error}")))
}

async fn list(State(app): State<App>, query: Params) -> Answer {
    Ok(reply::ok(&app.members(&asked_project(&query)?)))
}

async fn show(State(app): State<App>, query: Params, One(id): One<MemberKind>) -> Answer {
    Ok(reply::ok(&app.member(&asked_project(&query)?, &id)?))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["projectId", "name", "role", "avatar"]))]
struct Create {
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    project_id: Option<String>,
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    name: Option<String>,
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    role: Option<String>,
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    avatar: Option<String>,
    #[serde(deserialize_with = "falsy")]
    identity: Option<String>,
    model: Maybe<String>,
    agent_tool: Maybe<String>,
    mode: Maybe<String>,
    #[serde(deserialize_with = "falsy")]
    skill_ids: Option<Vec<String>>,
    #[serde(deserialize_with = "falsy")]
    capabilities: Option<Map<String, Value>>,
    #[serde(deserialize_with = "falsy")]
    command_permissions: Option<Map<String, Value>>,
    #[serde(deserialize_with = "falsy")]
    workflow_template_id: Option<String>,
    #[serde(deserialize_with = "falsy")]
    custom_workflow: Option<String>,
}

impl From<Create> for NewMember {
    fn from(body: Create) -> Self {
        Self {
            project_id: body.project_id.unwrap_or_default(),
            name: body.name.unwrap_or_default(),
            role: body.role.unwrap_or_default(),
            avatar: body.avatar.unwrap_or_default(),
            identity: body.identity.unwrap_or_default(),
            model: body.model,
            agent_tool: body.agent_tool,
            mode: body.mode,
            skill_ids: body.skill_ids.unwrap_or_default(),
            capabilities: body.capabilities.map(Value::Object),
            command_permissions: body.command_permissions.map(Value::Object),
            workflow_template_id: body.workflow_template_id,
            custom_workflow: body.custom_workflow,
        }
    }
}

async fn create(State(app): State<App>, wanted: Wanted, Body(body): Body<Create>) -> Answer {
    Ok(wanted.created(&app.create_member(body.into()).await?))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["projectId"]))]
struct Update {
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    project_id: Option<String>,
    name: Maybe<String>,
    role: Maybe<String>,
    identity: Maybe<String>,
    avatar: Maybe<String>,
    model: Maybe<String>,
    agent_tool: Maybe<String>,
    mode: Maybe<String>,
    skill_ids: Maybe<Vec<String>>,
    status: Option<MemberStatus>,
    capabilities: Maybe<Map<String, Value>>,
    command_permissions: Maybe<Map<String, Value>>,
    workflow_template_id: Maybe<String>,
    custom_workflow: Maybe<String>,
}

impl From<Update> for MemberWish {
    fn from(body: Update) -> Self {
        // What a member always has is emptied by null: a name, role or avatar is then refused as blank.
        fn emptied<T: Default>(field: Maybe<T>) -> Option<T> {
            match field {
                Maybe::Absent => None,
                Maybe::Null => Some(T::default()),
                Maybe::Value(value) => Some(value),
            }
        }
        fn object(field: Maybe<Map<String, Value>>) -> Maybe<Value> {
            match field {
                Maybe::Absent => Maybe::Absent,
                Maybe::Null => Maybe::Null,
                Maybe::Value(map) => Maybe::Value(map.into()),
            }
        }
        Self {
            name: emptied(body.name),
            role: emptied(body.role),
            identity: emptied(body.identity),
            avatar: emptied(body.avatar),
            model: body.model,
            agent_tool: body.agent_tool,
            mode: body.mode,
            skill_ids: emptied(body.skill_ids),
            status: body.status,
            capabilities: object(body.capabilities),
            command_permissions: object(body.command_permissions),
            workflow_template_id: body.workflow_template_id,
            custom_workflow: body.custom_workflow,
        }
    }
}

/// The project named in the body.
fn told_project(text: Option<&str>) -> Result<ProjectId, RouteError> {
    project(text, "projectId is required in request body")
}

async fn update(
    State(app): State<App>,
    wanted: Wanted,
    One(id): One<MemberKind>,
    Body(body): Body<Update>,
) -> Answer {
    let project = told_project(body.project_id.as_deref())?;
    Ok(wanted.ok(&app.update_member(project, id, body.into()).await?))
}

async fn remove(State(app): State<App>, wanted: Wanted, query: Params, One(id): One<MemberKind>) -> Answer {
    app.delete_member(asked_project(&query)?, id.clone()).await?;
    Ok(wanted.ok(&Gone::of(&id)))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["projectId"]))]
struct Which {
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    project_id: Option<String>,
}

/// The three moves differ in the use case only.
async fn moved<F>(
    wanted: Wanted,
    id: MemberId,
    body: Which,
    use_case: impl FnOnce(ProjectId, MemberId) -> F,
) -> Answer
where
    F: Future<Output = Result<Arc<Member>, AppError>>,
{
    let project = told_project(body.project_id.as_deref())?;
    Ok(wanted.ok(&use_case(project, id).await?))
}

async fn archive(
    State(app): State<App>,
    wanted: Wanted,
    One(id): One<MemberKind>,
    Body(body): Body<Which>,
) -> Answer {
    moved(wanted, id, body, |project, id| app.archive_member(project, id)).await
}

async fn unarchive(
    State(app): State<App>,
    wanted: Wanted,
    One(id): One<MemberKind>,
    Body(body): Body<Which>,
) -> Answer {
    moved(wanted, id, body, |project, id| app.unarchive_member(project, id)).await
}

async fn reset(
    State(app): State<App>,
    wanted: Wanted,
    One(id): One<MemberKind>,
    Body(body): Body<Which>,
) -> Answer {
    moved(wanted, id, body, |project, id| app.reset_member(project, id)).await
}
