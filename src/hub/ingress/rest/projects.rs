//! Projects that the device may see.

use axum::extract::State;

use crate::domain::ProjectKind;
use crate::hub::{
    body::Texts,
    phone::{ProjectView, refusal::Answer},
    query::Params,
    reply,
    routes::{Routes, get},
};

use super::super::Phone;
use super::{page::Page, who::Who};

pub(super) fn routes() -> Routes<Phone> {
    Routes::new()
        .route("/api/projects", get(list))
        .route("/api/projects/{id}", get(show))
}

async fn list(State(phone): State<Phone>, who: Who, query: Params) -> Answer {
    let page = Page::read(&query)?;
    let mut projects = phone.hub.app().projects();
    projects.retain(|project| who.0.reaches(Some(project.id.as_str())));
    let page = page.of(projects);
    Ok(reply::ok(&page.map(|project| ProjectView::of(project))))
}

async fn show(State(phone): State<Phone>, who: Who, Texts(id): Texts<String>) -> Answer {
    let id = who.project::<ProjectKind>(Some(&id))?;
    let project = phone.hub.app().project(&id)?;
    Ok(reply::ok(&ProjectView::of(&project)))
}
