//! Who can be started: the members of a project that are at work.

use axum::extract::State;

use crate::domain::{MemberStatus, ProjectId};
use crate::hub::{
    phone::{MemberView, refusal::Answer},
    query::Params,
    reply,
    routes::{Routes, get},
};

use super::super::Phone;
use super::{page::Page, who::Who};

pub(super) fn routes() -> Routes<Phone> {
    Routes::new().route("/api/team-members", get(list))
}

async fn list(State(phone): State<Phone>, who: Who, query: Params) -> Answer {
    let page = Page::read(&query)?;
    let project: ProjectId = who.project(query.text("projectId"))?;
    let mut members = phone.hub.app().members(&project);
    members.retain(|member| member.status == MemberStatus::Active);
    let page = page.of(members);
    Ok(reply::ok(&page.map(|member| MemberView::of(member))))
}
