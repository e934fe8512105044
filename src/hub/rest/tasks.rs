//! `/api/tasks` (API.md section 6).

use axum::{extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::App;
use crate::domain::{
    Maybe, NewEntry, NewTask, ProjectId, Task, TaskDoc, TaskEdit, TaskId, TaskKind, TaskReport, TaskWish,
};

use super::super::{
    body::{Body, One, TextMap, falsy, given},
    describe::{does, get, post, text},
    error::RouteError,
    query::{Filter, Param, Params},
    reply::{self, Answer, Gone, Wanted},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/api/tasks",
            get(
                list,
                does("All tasks, in order of creation")
                    .query("projectId", "Only of this project", text())
                    .query("status", "Only with this status", text())
                    .query(
                        "parentId",
                        "Only parts of this task; `null`: only those that are part of none",
                        text(),
                    )
                    .ok::<Vec<Task>>(),
            )
            .post(
                create,
                does("Makes a task")
                    .body::<Create>()
                    .created::<Task>()
                    .may(StatusCode::NOT_FOUND, "There is no such project or parent"),
            ),
        )
        .route(
            "/api/tasks/{id}",
            get(show, does("One task").ok::<Task>())
                .patch(
                    update,
                    does("Changes a task, or says how a session does with it")
                        .body::<Update>()
                        .ok::<Task>(),
                )
                .delete(remove, does("Deletes a task and its parts").ok::<Gone>()),
        )
        .route(
            "/api/tasks/{id}/children",
            get(children, does("The parts of a task").ok::<Vec<Task>>()),
        )
        .route(
            "/api/tasks/{id}/timeline",
            post(
                add_entry,
                does("Adds an entry about a task to a session's timeline")
                    .body::<Entry>()
                    .ok::<Noted>(),
            ),
        )
        .route(
            "/api/tasks/{id}/docs",
            get(
                docs,
                does("Documents of a task's sessions, oldest first, each with `sessionId` and `sessionName`")
                    .ok::<Vec<TaskDoc>>(),
            ),
        )
}

/// The one project a filter leaves, if it names one.
pub(super) fn project_of(filter: Filter<'_>) -> Option<ProjectId> {
    match filter {
        Filter::Is(text) => ProjectId::parse(text).ok(),
        Filter::Any | Filter::Nothing => None,
    }
}

async fn list(State(app): State<App>, query: Params) -> Answer {
    let (project, status) = (query.filter("projectId"), query.filter("status"));
    let of_parent = |task: &Task| match query.get("parentId") {
        Param::Absent => true,
        Param::One("null") => task.parent_id.is_none(),
        Param::One(id) => task
            .parent_id
            .as_ref()
            .is_some_and(|parent| parent.as_str() == id),
        Param::Many => false,
    };
    let keep = |task: &Task| {
        project.passes(task.project_id.as_str()) && status.passes(&task.status) && of_parent(task)
    };
    Ok(reply::ok(&app.tasks(project_of(project).as_ref(), keep)))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["projectId", "title"]))]
struct Create {
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    project_id: Option<String>,
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    title: Option<String>,
    #[serde(deserialize_with = "falsy")]
    parent_id: Option<String>,
    #[serde(deserialize_with = "falsy")]
    description: Option<String>,
    #[serde(deserialize_with = "falsy")]
    initial_prompt: Option<String>,
    #[serde(deserialize_with = "falsy")]
    priority: Option<String>,
    #[serde(deserialize_with = "falsy")]
    skill_ids: Option<Vec<String>>,
    #[serde(deserialize_with = "falsy")]
    reference_task_ids: Option<Vec<String>>,
    team_member_id: Maybe<String>,
    team_member_ids: Maybe<Vec<String>>,
}

impl From<Create> for NewTask {
    fn from(body: Create) -> Self {
        Self {
            project_id: body.project_id.unwrap_or_default(),
            title: body.title.unwrap_or_default(),
            parent_id: body.parent_id,
            description: body.description.unwrap_or_default(),
            initial_prompt: body.initial_prompt.unwrap_or_default(),
            priority: body.priority,
            skill_ids: body.skill_ids.unwrap_or_default(),
            reference_task_ids: body.reference_task_ids.unwrap_or_default(),
            team_member_id: body.team_member_id,
            team_member_ids: body.team_member_ids,
        }
    }
}

async fn create(State(app): State<App>, wanted: Wanted, Body(body): Body<Create>) -> Answer {
    Ok(wanted.created(&app.create_task(body.into()).await?))
}

async fn show(State(app): State<App>, One(id): One<TaskKind>) -> Answer {
    Ok(reply::ok(&app.task(&id)?))
}

/// A field that a task always has cannot become null: a text or list is emptied, a status or priority is refused.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct Update {
    update_source: Value,
    #[serde(deserialize_with = "falsy")]
    session_id: Option<String>,
    #[serde(deserialize_with = "falsy")]
    session_status: Option<String>,
    title: Maybe<String>,
    description: Maybe<String>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    status: Option<String>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    priority: Option<String>,
    session_ids: Maybe<Vec<String>>,
    skill_ids: Maybe<Vec<String>>,
    agent_ids: Maybe<Vec<String>>,
    reference_task_ids: Maybe<Vec<String>>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "TextMap")]
    task_session_statuses: Option<TextMap>,
    pinned: Maybe<bool>,
    team_member_id: Maybe<String>,
    team_member_ids: Maybe<Vec<String>>,
}

impl From<Update> for TaskWish {
    fn from(body: Update) -> Self {
        let report = (body.update_source == "session").then_some(TaskReport {
            session_id: body.session_id,
            status: body.session_status,
        });
        let edit = TaskEdit {
            title: body.title.emptied(),
            description: body.description.emptied(),
            status: body.status,
            priority: body.priority,
            session_ids: body.session_ids.emptied(),
            skill_ids: body.skill_ids.emptied(),
            agent_ids: body.agent_ids.emptied(),
            reference_task_ids: body.reference_task_ids.emptied(),
            task_session_statuses: body.task_session_statuses.map(|statuses| statuses.0),
            pinned: body.pinned,
            team_member_id: body.team_member_id,
            team_member_ids: body.team_member_ids,
        };
        Self { edit, report }
    }
}

async fn update(
    State(app): State<App>,
    wanted: Wanted,
    One(id): One<TaskKind>,
    Body(body): Body<Update>,
) -> Answer {
    Ok(wanted.ok(&app.update_task(id, body.into()).await?))
}

async fn remove(State(app): State<App>, wanted: Wanted, One(id): One<TaskKind>) -> Answer {
    app.delete_task(id.clone()).await?;
    Ok(wanted.ok(&Gone::of(&id)))
}

async fn children(State(app): State<App>, One(id): One<TaskKind>) -> Answer {
    Ok(reply::ok(&app.parts_of_task(&id)?))
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("required" = ["message", "sessionId"]))]
struct Entry {
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    message: Option<String>,
    #[schemars(required)]
    #[serde(deserialize_with = "falsy")]
    session_id: Option<String>,
    #[serde(rename = "type", deserialize_with = "falsy")]
    kind: Option<String>,
}

/// What was added.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Noted {
    success: bool,
    task_id: TaskId,
    session_id: String,
    message: String,
    #[serde(rename = "type")]
    kind: String,
}

async fn add_entry(
    State(app): State<App>,
    wanted: Wanted,
    One(task): One<TaskKind>,
    Body(body): Body<Entry>,
) -> Answer {
    let message = body
        .message
        .ok_or_else(|| RouteError::check("message is required"))?;
    let session = body
        .session_id
        .ok_or_else(|| RouteError::check("sessionId is required"))?;
    let kind = body.kind.unwrap_or_else(|| "progress".to_owned());
    let told = Noted {
        success: true,
        task_id: task.clone(),
        session_id: session.clone(),
        message: message.clone(),
        kind: kind.clone(),
    };
    let entry = NewEntry {
        kind,
        message,
        ..NewEntry::default()
    };
    app.add_entry_for_task(task, session, entry).await?;
    Ok(wanted.ok(&told))
}

async fn docs(State(app): State<App>, One(id): One<TaskKind>) -> Answer {
    Ok(reply::ok(&app.docs_of_task(&id)?))
}
