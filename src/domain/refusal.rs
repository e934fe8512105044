//! Why a rule said no, in the domain's words. `hub/error.rs` knows what HTTP makes of it.

use thiserror::Error;

use super::{Id, Kind, Problem};

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
