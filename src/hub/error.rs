//! What HTTP makes of a refusal: status, code and one of the contract's error forms (API.md section 2). The only such
//! mapping. Causes go to the log; the client gets what it can act on.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tracing::error;

use crate::app::{AppError, SpawnError};
use crate::domain::{Id, Kind, Late, Problem, Refusal, SpawnRefusal, TooLate};
use crate::ports::{LockError, MailError, PresenceError, StoreError};

use super::reply;

/// Seconds after which a client may try again when we cannot say better.
const RETRY_AFTER_S: u32 = 1;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub enum RouteError {
    /// The application refused or failed: form A, or form E for what is our fault.
    App(AppError),
    /// A check of the route itself: form B, 400 `VALIDATION_ERROR`.
    Check(String),
    /// The route itself knows of no such thing: form B, 404 `NOT_FOUND`.
    Missing(String),
    /// Form D: `{error: "text"}`, with `message` beside it because clients print only that.
    Text(StatusCode, String),
    /// Form F: no code.
    Plain(StatusCode, String),
    /// Form G: a code in lower case, with free details.
    Coded {
        /// HTTP status.
        status: StatusCode,
        /// In lower case.
        code: &'static str,
        /// For people.
        message: String,
        /// Extra facts.
        details: Option<Value>,
    },
    /// The request itself cannot be read: form A with this status and code.
    Request(StatusCode, &'static str, String),
    /// Not now: 503 with `Retry-After` (seconds), form A.
    Unavailable(String, u32),
}

impl RouteError {
    /// Form B, 400.
    pub fn check(message: impl Into<String>) -> Self {
        Self::Check(message.into())
    }

    /// The hub is on its way out.
    pub fn stopping() -> Self {
        Self::Unavailable(StoreError::Stopping.to_string(), RETRY_AFTER_S)
    }
}

impl<E: Into<AppError>> From<E> for RouteError {
    fn from(error: E) -> Self {
        Self::App(error.into())
    }
}

/// Form G for what is about the spawn; what is about the hub itself is as everywhere.
impl From<SpawnError> for RouteError {
    fn from(error: SpawnError) -> Self {
        let failed = |code, message: &str| Self::Coded {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code,
            message: message.to_owned(),
            details: None,
        };
        match error {
            SpawnError::Refused(refusal) => {
                let (status, code) = spawn_status(&refusal);
                let details = match &refusal {
                    SpawnRefusal::TaskNotFound(id) => Some(json!({"taskId": id})),
                    _ => None,
                };
                Self::Coded {
                    status,
                    code,
                    message: refusal.to_string(),
                    details,
                }
            }
            SpawnError::Failed(e @ AppError::Manifest(_)) => {
                failed("manifest_generation_failed", &e.to_string())
            }
            SpawnError::Failed(AppError::Store(e @ StoreError::Engine(_))) => {
                error!("a spawn failed: {e}");
                failed("spawn_error", "The store failed. The hub's log says why.")
            }
            SpawnError::Failed(error) => Self::App(error),
        }
    }
}

fn spawn_status(refusal: &SpawnRefusal) -> (StatusCode, &'static str) {
    match refusal {
        SpawnRefusal::MissingProjectId => (StatusCode::BAD_REQUEST, "missing_project_id"),
        SpawnRefusal::InvalidTaskIds => (StatusCode::BAD_REQUEST, "invalid_task_ids"),
        SpawnRefusal::InvalidSpawnSource => (StatusCode::BAD_REQUEST, "invalid_spawn_source"),
        SpawnRefusal::MissingSessionId => (StatusCode::BAD_REQUEST, "missing_session_id"),
        SpawnRefusal::ParentNotFound(_) => (StatusCode::NOT_FOUND, "parent_session_not_found"),
        SpawnRefusal::TaskNotFound(_) => (StatusCode::NOT_FOUND, "task_not_found"),
        SpawnRefusal::InvalidMode => (StatusCode::BAD_REQUEST, "invalid_mode"),
        SpawnRefusal::ProjectNotFound(_) => (StatusCode::NOT_FOUND, "project_not_found"),
    }
}

/// The id written in a path. What is no id names nothing: 404, form A.
pub fn id<K: Kind>(text: &str) -> Result<Id<K>, RouteError> {
    Id::parse(text).map_err(|_| {
        RouteError::from(Refusal::Unknown {
            kind: K::NAME,
            id: text.to_owned(),
        })
    })
}

impl IntoResponse for RouteError {
    fn into_response(self) -> Response {
        match self {
            Self::App(error) => app_error(error),
            Self::Check(message) => form_b(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", &message),
            Self::Missing(message) => form_b(StatusCode::NOT_FOUND, "NOT_FOUND", &message),
            Self::Text(status, text) => answer(status, &json!({"error": text, "message": text})),
            Self::Plain(status, message) => answer(status, &json!({"error": true, "message": message})),
            Self::Coded {
                status,
                code,
                message,
                details,
            } => {
                let mut body = json!({"error": true, "code": code, "message": message});
                if let Some(details) = details {
                    body["details"] = details;
                }
                answer(status, &body)
            }
            Self::Request(status, code, message) => form_a(status, code, &message),
            Self::Unavailable(message, after) => unavailable(&message, after),
        }
    }
}

fn app_error(error: AppError) -> Response {
    match error {
        AppError::Refused(Refusal::Malformed { message, details }) => form_c(message, &details),
        AppError::Refused(Refusal::TooLate(late)) => too_late(&late),
        AppError::Refused(refusal) => {
            let (status, code) = refusal_status(&refusal);
            form_a(status, code, &refusal.to_string())
        }
        AppError::Store(e @ (StoreError::Stopping | StoreError::Overloaded)) => {
            unavailable(&e.to_string(), RETRY_AFTER_S)
        }
        AppError::Store(e @ StoreError::DiskFull) => {
            error!("a change could not be stored: {e}");
            form_a(StatusCode::INSUFFICIENT_STORAGE, "DISK_FULL", &e.to_string())
        }
        AppError::Mail(
            ref e @ MailError::Unavailable {
                retry_after_s: after, ..
            },
        ) => unavailable(&e.to_string(), after),
        AppError::Mail(e @ MailError::DiskFull) => {
            error!("a mail could not be stored: {e}");
            form_a(StatusCode::INSUFFICIENT_STORAGE, "DISK_FULL", &e.to_string())
        }
        AppError::Mail(e @ MailError::KeyReused) => form_a(
            StatusCode::UNPROCESSABLE_ENTITY,
            "BUSINESS_RULE_ERROR",
            &e.to_string(),
        ),
        AppError::Locks(e) => lock_error(&e),
        AppError::Presence(e @ PresenceError::Unwatchable(_)) => {
            form_a(StatusCode::CONFLICT, "CONFLICT", &e.to_string())
        }
        AppError::Presence(e) => unavailable(&e.to_string(), RETRY_AFTER_S),
        AppError::Manifest(e) => internal_error(&format!("Failed to generate manifest: {e}")),
        AppError::Store(e @ StoreError::Engine(_)) => {
            error!("a request failed: {e}");
            internal_error("The store failed. The hub's log says why.")
        }
        AppError::Mail(e @ MailError::Engine(_)) => {
            error!("a request failed: {e}");
            internal_error("The mailbox failed. The hub's log says why.")
        }
    }
}

/// Code, in lower case, and words of a failed request of a phone: the same decisions as for HTTP, without a status.
pub fn acknowledged(error: &AppError) -> (&'static str, String) {
    let code = match error {
        AppError::Refused(refusal) => match refusal {
            Refusal::Unknown { .. } => "not_found",
            Refusal::Invalid(_) => "invalid",
            Refusal::Malformed { message, details } => {
                let wrong = details.iter().map(|problem| match problem.path {
                    "" => problem.message.clone(),
                    path => format!("{path}: {}", problem.message),
                });
                let wrong = wrong.collect::<Vec<_>>().join("; ");
                return ("invalid", format!("{message}: {wrong}"));
            }
            Refusal::Forbidden(_) => "forbidden",
            Refusal::Rule(_) => "rule",
            Refusal::Conflict(_) => "conflict",
            Refusal::TooLate(late) => late_code(late.why),
        },
        AppError::Store(StoreError::DiskFull) | AppError::Mail(MailError::DiskFull) => {
            error!("a change could not be stored: {error}");
            "disk_full"
        }
        AppError::Store(StoreError::Engine(_)) | AppError::Mail(MailError::Engine(_)) => {
            error!("a request failed: {error}");
            return ("internal", "The hub failed. Its log says why.".into());
        }
        AppError::Store(StoreError::Stopping | StoreError::Overloaded)
        | AppError::Mail(MailError::Unavailable { .. })
        | AppError::Locks(LockError::Full | LockError::Unavailable(_)) => "unavailable",
        AppError::Mail(MailError::KeyReused)
        | AppError::Locks(LockError::Held(_) | LockError::Lost)
        | AppError::Presence(PresenceError::Unwatchable(_)) => "conflict",
        AppError::Presence(_) => "unavailable",
        AppError::Manifest(e) => {
            error!("a spawn failed: {e}");
            return (
                "failed",
                "The manifest could not be made. The hub's log says why.".into(),
            );
        }
    };
    (code, error.to_string())
}

/// The same of a spawn.
pub fn spawn_acknowledged(error: &SpawnError) -> (&'static str, String) {
    match error {
        SpawnError::Refused(refusal) => (spawn_status(refusal).1, refusal.to_string()),
        SpawnError::Failed(error) => acknowledged(error),
    }
}

/// Somebody else's claim is told with its holder, so that the loser knows whom to ask.
fn lock_error(error: &LockError) -> Response {
    match error {
        LockError::Held(lease) => answer(
            StatusCode::CONFLICT,
            &json!({
                "error": true, "statusCode": 409, "code": "CLAIMED", "message": error.to_string(),
                "holder": {"sessionId": lease.owner, "fence": lease.fence, "leftMs": lease.left.as_millis() as u64},
            }),
        ),
        LockError::Lost => form_a(StatusCode::CONFLICT, "CONFLICT", &error.to_string()),
        LockError::Full | LockError::Unavailable(_) => unavailable(&error.to_string(), RETRY_AFTER_S),
    }
}

/// An answer that came too late is told who was first, when, and what they said.
fn too_late(late: &TooLate) -> Response {
    let mut body = json!({
        "error": true, "statusCode": 409, "code": late_code(late.why), "message": late.to_string(),
        "sessionId": late.session, "requestId": late.current, "answeredBy": late.by, "at": late.at,
    });
    if let Some(said) = &late.said {
        body["answer"] = said.as_str().into();
    }
    answer(StatusCode::CONFLICT, &body)
}

fn late_code(why: Late) -> &'static str {
    match why {
        Late::AlreadyAnswered => "already_answered",
        Late::StaleRequest => "stale_request",
        Late::NotWaiting => "not_waiting",
    }
}

/// Status and code of a rule's no.
pub fn refusal_status(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::Unknown { .. } => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Refusal::Invalid(_) | Refusal::Malformed { .. } => (StatusCode::BAD_REQUEST, "VALIDATION_ERROR"),
        Refusal::Forbidden(_) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
        Refusal::Rule(_) => (StatusCode::UNPROCESSABLE_ENTITY, "BUSINESS_RULE_ERROR"),
        Refusal::Conflict(_) => (StatusCode::CONFLICT, "CONFLICT"),
        Refusal::TooLate(late) => (StatusCode::CONFLICT, late_code(late.why)),
    }
}

/// Form E: what went wrong is our fault.
pub fn internal_error(message: &str) -> Response {
    form_b(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", message)
}

fn form_a(status: StatusCode, code: &str, message: &str) -> Response {
    answer(
        status,
        &json!({"error": true, "statusCode": status.as_u16(), "code": code, "message": message}),
    )
}

/// Forms B and E.
fn form_b(status: StatusCode, code: &str, message: &str) -> Response {
    answer(status, &json!({"error": true, "message": message, "code": code}))
}

/// Strict validation: one detail per problem.
fn form_c(message: &str, details: &[Problem]) -> Response {
    answer(
        StatusCode::BAD_REQUEST,
        &json!({"error": true, "code": "VALIDATION_ERROR", "message": message, "details": details}),
    )
}

fn unavailable(message: &str, after: u32) -> Response {
    let mut response = form_a(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(after));
    response
}

fn answer(status: StatusCode, body: &Value) -> Response {
    reply::bytes(status, body.to_string())
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use crate::domain::ProjectId;

    use super::*;

    async fn told(error: impl Into<RouteError>) -> (u16, Value) {
        let response = error.into().into_response();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_refusal_becomes_form_a_with_the_contracts_status_and_code() {
        let unknown = Refusal::unknown(&ProjectId::parse("proj_1").unwrap());
        assert_eq!(
            told(unknown).await,
            (
                404,
                json!({"error": true, "statusCode": 404, "code": "NOT_FOUND",
                       "message": "Project with id 'proj_1' not found"})
            )
        );
        for (refusal, status, code) in [
            (Refusal::invalid("x"), 400, "VALIDATION_ERROR"),
            (Refusal::Forbidden("x".into()), 403, "FORBIDDEN"),
            (Refusal::Rule("x".into()), 422, "BUSINESS_RULE_ERROR"),
            (Refusal::Conflict("x".into()), 409, "CONFLICT"),
        ] {
            assert_eq!(
                told(refusal).await,
                (
                    status,
                    json!({"error": true, "statusCode": status, "code": code, "message": "x"})
                )
            );
        }
    }

    #[tokio::test]
    async fn each_other_form_has_exactly_its_keys() {
        let code = "VALIDATION_ERROR";
        assert_eq!(
            told(RouteError::check("x")).await,
            (400, json!({"error": true, "message": "x", "code": code}))
        );
        let refusal = Refusal::Malformed {
            message: "x",
            details: vec![Problem {
                path: "subject",
                message: "y".into(),
            }],
        };
        assert_eq!(
            told(refusal).await,
            (
                400,
                json!({"error": true, "code": code, "message": "x",
                            "details": [{"path": "subject", "message": "y"}]})
            )
        );
        assert_eq!(
            told(RouteError::Text(StatusCode::CONFLICT, "x".into())).await,
            (409, json!({"error": "x", "message": "x"}))
        );
        assert_eq!(
            told(RouteError::Plain(StatusCode::BAD_REQUEST, "x".into())).await,
            (400, json!({"error": true, "message": "x"}))
        );
        let coded = RouteError::Coded {
            status: StatusCode::NOT_FOUND,
            code: "task_not_found",
            message: "x".into(),
            details: Some(json!({"taskId": "t"})),
        };
        assert_eq!(
            told(coded).await,
            (
                404,
                json!({"error": true, "code": "task_not_found", "message": "x", "details": {"taskId": "t"}})
            )
        );
    }

    #[tokio::test]
    async fn what_is_over_soon_is_503_and_says_when_to_come_back() {
        for error in [
            RouteError::from(StoreError::Stopping),
            RouteError::from(MailError::Unavailable {
                reason: "redis is away".into(),
                retry_after_s: 7,
            }),
        ] {
            let response = error.into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(response.headers().contains_key(header::RETRY_AFTER));
        }
    }

    #[tokio::test]
    async fn the_engines_words_stay_in_the_log() {
        let (status, body) = told(StoreError::Engine("/home/me/secret.db".into())).await;
        assert_eq!((status, body["code"].as_str()), (500, Some("INTERNAL_ERROR")));
        assert!(!body.to_string().contains("secret"));
    }
}
