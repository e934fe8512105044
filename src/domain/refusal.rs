//! Why a rule said no, in the domain's words. `hub/error.rs` knows what HTTP makes of it.

use std::fmt;

use thiserror::Error;

use super::{Answerer, Id, Kind, Millis, Problem, RequestId, SessionId};

/// A rule's no. The texts are the contract's (API.md section 2).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such thing.
    #[error("{kind} with id '{id}' not found")]
    Unknown {
        /// The contract's word for it.
        kind: &'static str,
        /// As the caller wrote it.
        id: String,
    },
    /// The wish itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The wish itself is wrong, field by field (form C of the contract: mail routes only).
    #[error("{message}")]
    Malformed {
        /// Which part of the request.
        message: &'static str,
        /// What is wrong with it, in the order of the fields; never empty.
        details: Vec<Problem>,
    },
    /// Nobody may do this.
    #[error("{0}")]
    Forbidden(String),
    /// Not as things stand.
    #[error("{0}")]
    Rule(String),
    /// Somebody else was there first.
    #[error("{0}")]
    Conflict(String),
    /// An answer to a question that is not open, or not any more.
    #[error("{0}")]
    TooLate(Box<TooLate>),
}

/// Why an answer was not taken, and how things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLate {
    /// Why.
    pub why: Late,
    /// Whose question it was.
    pub session: SessionId,
    /// The question that is open now.
    pub current: Option<RequestId>,
    /// Who was first.
    pub by: Option<Answerer>,
    /// When they were.
    pub at: Option<Millis>,
    /// The beginning of what they said.
    pub said: Option<String>,
}

/// The three ways to be too late with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Somebody answered this question before.
    AlreadyAnswered,
    /// The question was replaced by another.
    StaleRequest,
    /// No question is open: it was withdrawn, answered at the terminal, or the session is over.
    NotWaiting,
}

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.why, &self.by) {
            (Late::AlreadyAnswered, Some(by)) => write!(f, "{} has answered already", by.name)?,
            (Late::AlreadyAnswered, None) => f.write_str("This was answered already")?,
            (Late::StaleRequest, _) => f.write_str("The agent asks something else by now")?,
            (Late::NotWaiting, Some(by)) => write!(
                f,
                "The session does not wait for input any more: it went on at {}",
                by.name
            )?,
            (Late::NotWaiting, None) => f.write_str("The session does not wait for input")?,
        }
        match &self.said {
            Some(said) => write!(f, ": {said}"),
            None => Ok(()),
        }
    }
}

impl Refusal {
    /// There is nothing of this kind with this id.
    pub fn unknown<K: Kind>(id: &Id<K>) -> Self {
        Self::Unknown {
            kind: K::NAME,
            id: id.to_string(),
        }
    }

    /// The wish itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}
