//! A team member: an identity that sessions take on.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Maybe, MemberId, ProjectId};

/// A team member as the contract shows it (API.md section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Its name; `tm_<projectId>_<type>` for the five defaults.
    pub id: MemberId,
    /// The project it belongs to, which need not exist.
    pub project_id: ProjectId,
    /// Shown to people.
    pub name: String,
    /// What it is for.
    pub role: String,
    /// Who it is, as text for the model.
    #[serde(default)]
    pub identity: String,
    /// A picture character.
    pub avatar: String,
    /// Model to run.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub model: Maybe<String>,
    /// Agent program to run.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub agent_tool: Maybe<String>,
    /// `execute` or `coordinate`.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub mode: Maybe<String>,
    /// Skills it brings.
    #[serde(default)]
    pub skill_ids: Vec<String>,
    /// True for the five built-in members.
    #[serde(default)]
    pub is_default: bool,
    /// Whether it is in use.
    pub status: MemberStatus,
    /// Map of bool.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub capabilities: Maybe<Value>,
    /// `{groups?, commands?}`: maps of bool.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub command_permissions: Maybe<Value>,
    /// A workflow template's id.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub workflow_template_id: Maybe<String>,
    /// A workflow of its own.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub custom_workflow: Maybe<String>,
    /// ISO 8601 text.
    pub created_at: String,
    /// ISO 8601 text.
    pub updated_at: String,
}

/// Whether a member is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberStatus {
    /// In use.
    Active,
    /// Put away; can be deleted.
    Archived,
}
