//! Why a phone does not get what it asked for: a word for programs, a sentence for people, and nothing about the inside
//! of the hub. What is our own fault is told without a reason; the log has it.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::access::{AuditError, Denied, Refused as NotPaired};
use crate::app::{AppError, SpawnError};
use crate::domain::{Refusal, Scope};
use crate::hub::{
    error::{RouteError, refusal_status},
    reply,
};

/// A refusal as phones get to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status.
    pub status: StatusCode,
    /// For programs; lower case.
    pub code: String,
    /// For people.
    pub message: String,
    /// Seconds after which it is worth asking again.
    pub retry_after_s: Option<u32>,
    /// How things stand, if that helps.
    pub details: Option<Value>,
}

impl Refused {
    /// A refusal with a word and a sentence.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            retry_after_s: None,
            details: None,
        }
    }

    /// The request itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    /// There is nothing there, or nothing that this device may know of: the two look the same.
    pub fn missing(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("There is no such {what}"),
        )
    }

    /// The device is not allowed to do this.
    pub fn scope(scope: Scope) -> Self {
        let message = format!("This device may not do this: it was not paired with `{scope}`");
        Self::new(StatusCode::FORBIDDEN, "scope", message)
    }

    /// It was asked too often.
    pub fn too_often(retry_after_s: u32) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate",
                "Too many requests: slow down",
            )
        }
    }

    /// Not now.
    pub fn busy(message: impl Into<String>) -> Self {
        Self {
            retry_after_s: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
        }
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        let status = match denied {
            Denied::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Denied::LockedDown => StatusCode::FORBIDDEN,
            _ => StatusCode::UNAUTHORIZED,
        };
        Self {
            retry_after_s: match denied {
                Denied::TooMany { retry_after_s } => Some(retry_after_s),
                _ => None,
            },
            ..Self::new(status, denied.code(), denied.to_string())
        }
    }
}

/// What nobody could look up later is not done.
impl From<AuditError> for Refused {
    fn from(error: AuditError) -> Self {
        tracing::error!("something from outside was refused, because it could not be audited: {error}");
        Self::busy("The hub cannot write down what is done from outside, so it does nothing")
    }
}

impl From<NotPaired> for Refused {
    fn from(refused: NotPaired) -> Self {
        let status = match refused {
            NotPaired::Malformed => StatusCode::BAD_REQUEST,
            NotPaired::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            NotPaired::TooManyDevices => StatusCode::CONFLICT,
            NotPaired::Unwritten(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::FORBIDDEN,
        };
        let retry_after_s = match refused {
            NotPaired::TooMany { retry_after_s } => Some(retry_after_s),
            _ => None,
        };
        let message = match &refused {
            NotPaired::Unwritten(why) => {
                tracing::error!("a device was not paired: {why}");
                "the pairing could not be written down: try again".to_owned()
            }
            other => other.to_string(),
        };
        Self {
            retry_after_s,
            ..Self::new(status, refused.code(), message)
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = refusal_status(&refusal);
        let message = match &refusal {
            Refusal::Malformed { details, .. } => details.first().map_or_else(
                || refusal.to_string(),
                |problem| format!("{} {}", problem.path, problem.message).trim().to_owned(),
            ),
            _ => refusal.to_string(),
        };
        let code = match code {
            "VALIDATION_ERROR" => "invalid",
            "BUSINESS_RULE_ERROR" => "rule",
            other => other,
        };
        Self {
            details: match refusal {
                // Who was first, when, and what they said.
                Refusal::TooLate(late) => Some(json!({
                    "requestId": late.current, "answeredBy": late.by, "at": late.at, "answer": late.said,
                })),
                _ => None,
            },
            ..Self::new(status, &code.to_ascii_lowercase(), message)
        }
    }
}

impl From<AppError> for Refused {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Refused(refusal) => refusal.into(),
            // Logged where it becomes a response; of that, only what kind it was and when to come back are told.
            other => Self::withheld(&RouteError::App(other).into_response()),
        }
    }
}

impl From<SpawnError> for Refused {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::Refused(refusal) => {
                Self::new(StatusCode::BAD_REQUEST, "invalid", refusal.to_string())
            }
            SpawnError::Failed(error) => error.into(),
        }
    }
}

impl Refused {
    /// What is wrong with the request itself, as the readers of bodies and paths say it.
    pub fn of_request(error: RouteError) -> Self {
        match error {
            RouteError::Request(status, _, message) => {
                let code = match status {
                    StatusCode::PAYLOAD_TOO_LARGE => "too_large",
                    StatusCode::REQUEST_TIMEOUT => "timeout",
                    _ => "invalid",
                };
                Self::new(status, code, message)
            }
            RouteError::Check(message) => Self::invalid(message),
            RouteError::App(error) => error.into(),
            other => Self::withheld(&other.into_response()),
        }
    }

    fn withheld(response: &Response) -> Self {
        let status = response.status();
        let after = response.headers().get(header::RETRY_AFTER);
        let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
        let (code, message) = match status {
            StatusCode::SERVICE_UNAVAILABLE => ("unavailable", "The hub cannot do this right now"),
            StatusCode::CONFLICT => ("conflict", "Something else holds what this needs"),
            StatusCode::UNPROCESSABLE_ENTITY => {
                ("key_reused", "This idempotency key was used for something else")
            }
            StatusCode::INSUFFICIENT_STORAGE => ("disk_full", "The hub's disk is full"),
            _ => ("internal", "The hub failed; its log says why"),
        };
        Self {
            retry_after_s: after,
            ..Self::new(status, code, message)
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut body = json!({"error": true, "code": self.code, "message": self.message});
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        let mut response = reply::bytes(self.status, body.to_string());
        if let Some(after) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(after));
        }
        // For whoever writes down what came of it.
        response.extensions_mut().insert(self);
        response
    }
}

/// What a handler for phones answers.
pub type Answer = Result<Response, Refused>;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::ports::{MailError, StoreError};

    use super::*;

    #[test]
    fn what_is_our_fault_is_told_without_a_word_about_the_inside() {
        let path = PathBuf::from("/home/anna/secret");
        for (error, status, code) in [
            (
                AppError::Store(StoreError::Engine(
                    format!("cannot open {}", path.display()).into(),
                )),
                500,
                "internal",
            ),
            (AppError::Store(StoreError::DiskFull), 507, "disk_full"),
            (AppError::Store(StoreError::Overloaded), 503, "unavailable"),
            (
                AppError::Mail(MailError::Unavailable {
                    reason: "cannot reach /home/anna/secret".into(),
                    retry_after_s: 7,
                }),
                503,
                "unavailable",
            ),
        ] {
            let refused = Refused::from(error);
            assert_eq!((refused.status.as_u16(), refused.code.as_str()), (status, code));
            assert!(!refused.message.contains("anna"), "{refused:?}");
        }
    }

    #[test]
    fn a_rule_s_no_is_told_in_its_own_words() {
        let refused = Refused::from(Refusal::Conflict("Session is not active".into()));
        assert_eq!(
            (
                refused.status.as_u16(),
                refused.code.as_str(),
                refused.message.as_str()
            ),
            (409, "conflict", "Session is not active")
        );
        assert_eq!(Refused::from(Refusal::invalid("x")).code, "invalid");
    }

    #[test]
    fn who_is_not_let_in_is_told_what_to_do_about_it() {
        let of = |denied: Denied| {
            let refused = Refused::from(denied);
            (refused.status.as_u16(), refused.code, refused.retry_after_s)
        };
        assert_eq!(of(Denied::Unpaired), (401, "unpaired".into(), None));
        assert_eq!(of(Denied::Revoked), (401, "revoked".into(), None));
        assert_eq!(of(Denied::LockedDown), (403, "locked_down".into(), None));
        assert_eq!(
            of(Denied::TooMany { retry_after_s: 9 }),
            (429, "rate".into(), Some(9))
        );
    }
}
