//! Tasks of a project, or of all that the device may see; the newest first.

use axum::extract::State;

use crate::domain::ProjectId;
use crate::hub::{
    body::Texts,
    phone::{TaskView, refusal::Answer},
    query::Params,
    reply,
    routes::{Routes, get},
};

use super::super::Phone;
use super::{page::Page, who::Who};

pub(super) fn routes() -> Routes<Phone> {
    Routes::new()
        .route("/api/tasks", get(list))
        .route("/api/tasks/{id}", get(show))
}

async fn list(State(phone): State<Phone>, who: Who, query: Params) -> Answer {
    let page = Page::read(&query)?;
    let project: Option<ProjectId> = match query.text("projectId") {
        Some(text) => Some(who.project(Some(text))?),
        None => None,
    };
    let status = query.filter("status");
    let mut tasks = phone.hub.app().tasks(project.as_ref(), |task| {
        who.0.reaches(Some(task.project_id.as_str())) && status.passes(&task.status)
    });
    tasks.reverse();
    let page = page.of(tasks);
    Ok(reply::ok(&page.map(|task| TaskView::of(task))))
}

async fn show(State(phone): State<Phone>, who: Who, Texts(id): Texts<String>) -> Answer {
    let task = who.task(&phone, &id)?;
    Ok(reply::ok(&TaskView::of(&task)))
}
