//! The mail of people: what agents wrote to them, conversations, and what a phone writes. Its sender is set here, never
//! by the phone (SECURITY rule 16).

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};

use crate::domain::{
    HUMAN, Id, InboxQuery, Mail, MailId, Millis, NewMail, ProjectId, ProjectKind, SendKey, SessionId,
};
use crate::hub::{
    body::Texts,
    deed::About,
    phone::{
        MailView,
        refusal::{Answer, Refused},
    },
    query::Params,
    reply,
    routes::{Routes, get, post},
};

use super::super::Phone;
use super::{
    actions::{Said, noted},
    page::{self, Page},
    who::Who,
};

pub(super) fn routes() -> Routes<Phone> {
    Routes::new()
        .route("/api/mail", post(send))
        .route("/api/mail/inbox", get(inbox))
        .route("/api/mail/thread/{id}", get(thread))
        .route("/api/mail/{id}", get(show))
}

fn person() -> Result<SessionId, Refused> {
    // Letters only, so this is always an id.
    Id::parse(HUMAN).map_err(|error| Refused::invalid(error.to_string()))
}

/// `?projectId=&since=`: what came for people in a project, most urgent first.
async fn inbox(State(phone): State<Phone>, who: Who, query: Params) -> Answer {
    let page = Page::read(&query)?;
    let project: ProjectId = who.project(query.text("projectId"))?;
    let since = page::number(&query, "since")?.unwrap_or(0);
    let query = InboxQuery {
        project: Some(project),
        mail_type: None,
        since: Millis(i64::try_from(since).unwrap_or(i64::MAX)),
    };
    let mails = phone.hub.app().inbox(&person()?, query).await?;
    let page = page.of(mails);
    Ok(reply::ok(&page.map(MailView::of)))
}

/// A conversation, oldest first, as far as it lies in projects that the device may see.
async fn thread(State(phone): State<Phone>, who: Who, Texts(id): Texts<String>, query: Params) -> Answer {
    let page = Page::read(&query)?;
    let id = mail_id(&id)?;
    let mut mails = phone.hub.app().mail_thread(&id).await?;
    mails.retain(|mail| who.0.reaches(Some(mail.project_id.as_str())));
    if mails.is_empty() {
        return Err(Refused::missing("conversation"));
    }
    let page = page.of(mails);
    Ok(reply::ok(&page.map(MailView::of)))
}

async fn show(State(phone): State<Phone>, who: Who, Texts(id): Texts<String>) -> Answer {
    let mail = readable(&phone, &who, &mail_id(&id)?).await?;
    Ok(reply::ok(&MailView::of(&mail)))
}

async fn readable(phone: &Phone, who: &Who, id: &MailId) -> Result<Mail, Refused> {
    let missing = || Refused::missing("mail");
    let mail = phone
        .hub
        .app()
        .mail(id)
        .await
        .map_err(|error| match Refused::from(error) {
            refused if refused.status == StatusCode::NOT_FOUND => missing(),
            refused => refused,
        })?;
    let project = mail.project_id.clone();
    who.reaches(project.as_str(), mail).ok_or_else(missing)
}

fn mail_id(text: &str) -> Result<MailId, Refused> {
    Id::parse(text).map_err(|_| Refused::missing("mail"))
}

async fn send(
    State(phone): State<Phone>,
    who: Who,
    headers: HeaderMap,
    Said(mut said): Said<Value>,
) -> Answer {
    let Some(fields) = said.as_object_mut() else {
        return Err(Refused::invalid("The request body must be a JSON object"));
    };
    if fields.contains_key("fromSessionId") {
        return Err(Refused::invalid(
            "fromSessionId is set by the hub: a phone writes as a person",
        ));
    }
    fields.insert("fromSessionId".to_owned(), HUMAN.into());
    let wish = NewMail::read(Some(said))?;
    let letter = &wish.letter;
    who.project::<ProjectKind>(Some(letter.project_id.as_str()))?;
    if let Some(answered) = &letter.reply_to_mail_id {
        readable(&phone, &who, answered).await?;
    }
    if let Some(to) = wish.to.value() {
        // A mailbox takes mail for anybody; a phone's mail must not leave what it may see.
        if let Some(head) = phone.hub.app().view().session_head(to) {
            who.session(&phone, head.id.as_str())?;
        }
    }
    let key = key_of(&headers)?;
    let about = About {
        session: wish.to.value().cloned(),
        project: Some(wish.letter.project_id.clone()),
        text: Some(format!(
            "{}\n{}",
            wish.letter.subject,
            Value::from(wish.letter.body.clone())
        )),
    };
    let mails = phone.hub.app().send_mail(&who.caller(), wish, key).await?;
    let views: Vec<MailView<'_>> = mails.iter().map(|mail| MailView::of(mail)).collect();
    let told = reply::json(StatusCode::CREATED, &json!({"mails": views}));
    Ok(noted(told, about))
}

/// The device's own: the application keeps those of different devices apart.
fn key_of(headers: &HeaderMap) -> Result<Option<SendKey>, Refused> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = SendKey::parse(value.to_str().unwrap_or_default());
    Ok(Some(key.map_err(|error| Refused::invalid(error.to_string()))?))
}
