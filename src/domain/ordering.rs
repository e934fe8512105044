//! The order in which a person arranged tasks or sessions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Millis, ProjectId};

/// A saved arrangement (API.md section 11).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ordering {
    /// The project, which need not exist.
    pub project_id: ProjectId,
    /// What is arranged.
    pub entity_type: OrderingKind,
    /// Stored as given, not checked.
    pub ordered_ids: Vec<serde_json::Value>,
    /// When it was saved; 0 if never.
    pub updated_at: Millis,
}

/// What can be arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrderingKind {
    /// Tasks.
    Task,
    /// Sessions.
    Session,
}
