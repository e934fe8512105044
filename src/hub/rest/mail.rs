//! `/api/mail` (API.md section 10): the only routes that validate strictly.

use axum::{extract::State, http::HeaderMap};
use serde_json::json;

use crate::app::App;
use crate::domain::{InboxQuery, NewMail, Refusal, SendKey, WaitQuery, mail_path_id};

use super::super::{
    Hub,
    body::{AnyBody, Texts},
    error::RouteError,
    query::Params,
    reply::{self, Answer, Wanted},
    routes::{Routes, get, post},
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/api/mail", post(send))
        .route("/api/mail/inbox/{id}", get(inbox))
        .route("/api/mail/wait/{id}", get(wait))
        .route("/api/mail/thread/{id}", get(thread))
        .route("/api/mail/{id}", get(show).delete(remove))
}

async fn send(State(app): State<App>, wanted: Wanted, headers: HeaderMap, AnyBody(body): AnyBody) -> Answer {
    let key = idempotency_key(&headers)?;
    let wish = NewMail::read(Some(body))?;
    let mails = app.send_mail(wish, key).await?;
    Ok(match &*mails {
        [mail] => wanted.created(mail),
        many => wanted.created(many),
    })
}

/// `Idempotency-Key`: a client that repeats a request after a lost answer is taken at its word once.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<SendKey>, RouteError> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    // What is no text is as wrong as an empty one.
    let key = SendKey::parse(value.to_str().unwrap_or_default());
    Ok(Some(key.map_err(|error| Refusal::invalid(error.to_string()))?))
}

async fn inbox(State(app): State<App>, Texts(id): Texts<String>, Params(query): Params) -> Answer {
    let session = mail_path_id(&id)?;
    Ok(reply::ok(&app.inbox(&session, InboxQuery::read(query)?).await?))
}

async fn wait(State(hub): State<Hub>, Texts(id): Texts<String>, Params(query): Params) -> Answer {
    let session = mail_path_id(&id)?;
    let query = WaitQuery::read(query)?;
    tokio::select! {
        mails = hub.app().wait_for_mail(&session, query) => Ok(reply::ok(&mails?)),
        // As if the time were up: the client asks again, and finds the next hub.
        () = hub.stopping().cancelled() => Ok(reply::ok(&json!([]))),
    }
}

async fn thread(State(app): State<App>, Texts(id): Texts<String>) -> Answer {
    Ok(reply::ok(&app.mail_thread(&mail_path_id(&id)?).await?))
}

async fn show(State(app): State<App>, Texts(id): Texts<String>) -> Answer {
    Ok(reply::ok(&app.mail(&mail_path_id(&id)?).await?))
}

async fn remove(State(app): State<App>, wanted: Wanted, Texts(id): Texts<String>) -> Answer {
    let id = mail_path_id(&id)?;
    app.delete_mail(id.clone()).await?;
    Ok(wanted.ok(&json!({"deleted": true, "id": id})))
}
