//! `/api/mail` (API.md section 10): the only routes that validate strictly.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::domain::{
    Caller, InboxQuery, Mail, MailId, MailPriority, MailScope, MailType, MemberId, NewMail, ProjectId,
    Refusal, SendKey, SessionId, WaitQuery, mail_path_id,
};

use super::super::{
    Hub,
    body::{AnyBody, Texts},
    describe::{does, get, id, number, post, shape_of},
    error::RouteError,
    query::Params,
    reply::{self, Answer, Wanted},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(
            "/api/mail",
            post(
                send,
                does("Sends mail, to each recipient one; with several the answer is a list")
                    .body::<Sent>()
                    .repeatable()
                    .created::<OneOrMore>()
                    .may(StatusCode::FORBIDDEN, "This agent is not who it says")
                    .may(StatusCode::NOT_FOUND, "Nobody is active under that team member")
                    .may(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        "The key was used for something else",
                    ),
            ),
        )
        .route(
            "/api/mail/inbox/{id}",
            get(
                inbox,
                does("Mail for a session: most urgent first, then as sent")
                    .query("projectId", "Of this project; none without it", id())
                    .query("type", "Only of this type", shape_of::<MailType>())
                    .query(
                        "since",
                        "Only after this instant, in milliseconds since the epoch",
                        instant(),
                    )
                    .ok::<Vec<Mail>>(),
            ),
        )
        .route(
            "/api/mail/wait/{id}",
            get(
                wait,
                does("Waits for mail for a session; an empty list if none came")
                    .query("projectId", "Of this project; none comes without it", id())
                    .query("timeout", "How long, in milliseconds", number(1000, 120_000))
                    .query(
                        "since",
                        "What was sent after this instant is an answer already",
                        instant(),
                    )
                    .ok::<Vec<Mail>>(),
            ),
        )
        .route(
            "/api/mail/thread/{id}",
            get(thread, does("A conversation, as it was sent").ok::<Vec<Mail>>()),
        )
        .route(
            "/api/mail/{id}",
            get(show, does("One mail").ok::<Mail>()).delete(remove, does("Deletes a mail").ok::<Deleted>()),
        )
}

/// What `NewMail` reads: nothing else may be there.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(
    dead_code,
    reason = "only its shape is wanted: the form that reads it names every problem at once"
)]
struct Sent {
    project_id: ProjectId,
    from_session_id: SessionId,
    #[serde(rename = "type")]
    mail_type: MailType,
    #[schemars(length(min = 1, max = 500))]
    subject: String,
    /// Absent and null differ: `scope` counts only if it is absent.
    to_session_id: Option<SessionId>,
    #[schemars(with = "MemberId")]
    #[serde(default)]
    to_team_member_id: Option<MemberId>,
    reply_to_mail_id: Option<MailId>,
    #[schemars(with = "Map<String, Value>")]
    #[serde(default)]
    body: Option<Map<String, Value>>,
    #[schemars(with = "MailPriority")]
    #[serde(default)]
    priority: Option<MailPriority>,
    #[schemars(with = "MailScope")]
    #[serde(default)]
    scope: Option<MailScope>,
}

/// The mail, or all of them if there are several recipients.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its shape is wanted")]
enum OneOrMore {
    One(Box<Mail>),
    More(Vec<Mail>),
}

/// It is gone, for everybody.
#[derive(Serialize, JsonSchema)]
struct Deleted {
    deleted: bool,
    id: MailId,
}

/// Milliseconds since the epoch.
fn instant() -> Schema {
    number(0, (1 << 53) - 1)
}

async fn send(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    wanted: Wanted,
    headers: HeaderMap,
    AnyBody(body): AnyBody,
) -> Answer {
    let key = idempotency_key(&headers)?;
    let wish = NewMail::read_from(&caller, Some(body))?;
    let mails = app.send_mail(&caller, wish, key).await?;
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
    let id: MailId = mail_path_id(&id)?;
    app.delete_mail(id.clone()).await?;
    Ok(wanted.ok(&Deleted { deleted: true, id }))
}
