//! Sessions: their state in a list, the last to do something first; and their histories a page at a time, from the newest
//! end.

use std::cmp::Reverse;

use axum::extract::State;
use serde::Serialize;
use serde_json::json;

use crate::domain::{Ending, Log, ProjectId};
use crate::hub::{
    body::Texts,
    phone::{
        DocView, SessionView,
        refusal::{Answer, Refused},
        timeline,
    },
    query::{Param, Params},
    reply,
    routes::{Routes, get},
};

use super::super::Phone;
use super::{
    page::{self, Page},
    who::Who,
};

pub(super) fn routes() -> Routes<Phone> {
    Routes::new()
        .route("/api/sessions", get(list))
        .route("/api/sessions/{id}", get(show))
        .route("/api/sessions/{id}/timeline", get(entries))
        .route("/api/sessions/{id}/docs", get(docs))
}

async fn list(State(phone): State<Phone>, who: Who, query: Params) -> Answer {
    let page = Page::read(&query)?;
    let project: Option<ProjectId> = match query.text("projectId") {
        Some(text) => Some(who.project(Some(text))?),
        None => None,
    };
    let (status, active) = (query.filter("status"), query.get("active") == Param::One("true"));
    let mut heads = phone.hub.app().view().session_heads(project.as_ref());
    heads.retain(|head| {
        who.0.reaches(Some(head.project_id.as_str()))
            && status.passes(&head.status)
            && !(active && Ending::of(&head.status).is_some())
    });
    heads.sort_by_key(|head| Reverse((head.last_activity, head.started_at)));
    let page = page.of(heads);
    Ok(reply::ok(&page.map(|head| SessionView::brief(head))))
}

async fn show(State(phone): State<Phone>, who: Who, Texts(id): Texts<String>) -> Answer {
    let head = who.session(&phone, &id)?;
    let session = phone.hub.app().session(&head.id).await?;
    Ok(reply::ok(&SessionView::of(&session)))
}

async fn entries(State(phone): State<Phone>, who: Who, Texts(id): Texts<String>, query: Params) -> Answer {
    let head = who.session(&phone, &id)?;
    let session = phone.hub.app().session(&head.id).await?;
    turned(&session.timeline, &query, |text| {
        timeline::view(text).map(|(entry, _)| entry)
    })
}

async fn docs(State(phone): State<Phone>, who: Who, Texts(id): Texts<String>, query: Params) -> Answer {
    let head = who.session(&phone, &id)?;
    let session = phone.hub.app().session(&head.id).await?;
    turned(&session.docs, &query, DocView::read)
}

/// `?before=&limit=`: the newest entries before number `before`, oldest of them first. `before` of the answer is that of
/// the page of what is older; null at the beginning. What is no entry is left out: clients may have stored anything.
fn turned<V: Serialize>(log: &Log, query: &Params, view: impl Fn(&str) -> Option<V>) -> Answer {
    let before = page::number(query, "before")?.unwrap_or(usize::MAX);
    let (first, values) = log
        .newest(before, page::limit(query)?)
        .map_err(|error| damaged(&error))?;
    let items: Vec<V> = values.iter().filter_map(|value| view(value.get())).collect();
    Ok(reply::ok(&json!({
        "items": items,
        "before": (first > 0).then_some(first),
        "total": log.len(),
    })))
}

fn damaged(error: &serde_json::Error) -> Refused {
    tracing::error!("a history cannot be read: {error}");
    let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
    Refused::new(status, "internal", "The hub failed; its log says why")
}
