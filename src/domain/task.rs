//! A task: something to be done in a project.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Maybe, Millis, ProjectId, TaskId};

/// A task as the contract shows it (API.md section 3). Status and priority are open texts (quirk 11).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its name among all tasks.
    pub id: TaskId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// The task it is a part of.
    #[serde(default)]
    pub parent_id: Option<TaskId>,
    /// Shown to people.
    pub title: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// `todo in_progress in_review completed cancelled blocked archived`, or any other text.
    pub status: String,
    /// `low medium high`, or any other text.
    pub priority: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
    /// When it was first in progress.
    #[serde(default)]
    pub started_at: Option<Millis>,
    /// When it was first completed.
    #[serde(default)]
    pub completed_at: Option<Millis>,
    /// First prompt for an agent.
    #[serde(default)]
    pub initial_prompt: String,
    /// Sessions working on it. Texts, because a user may store anything here.
    #[serde(default)]
    pub session_ids: Vec<String>,
    /// Skills for it.
    #[serde(default)]
    pub skill_ids: Vec<String>,
    /// Agents for it.
    #[serde(default)]
    pub agent_ids: Vec<String>,
    /// Never filled through the API.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Tasks to read first.
    #[serde(default)]
    pub reference_task_ids: Vec<String>,
    /// What each session says of it: session id → `working blocked completed failed skipped`. In order of insertion.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub task_session_statuses: Maybe<Map<String, Value>>,
    /// Kept on top of lists.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub pinned: Maybe<bool>,
    /// The team member meant to do it.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub team_member_id: Maybe<String>,
    /// The team members meant to do it.
    #[serde(default, skip_serializing_if = "Maybe::is_absent")]
    pub team_member_ids: Maybe<Vec<String>>,
}
