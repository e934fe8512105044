//! A task: something to be done in a project. How one comes into being is here; how it changes is in `update`.

mod delete;
mod docs;
mod update;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Maybe, Millis, Mint, ProjectId, Refusal, TaskId};

pub use delete::deletion_order;
pub use docs::{TaskDoc, docs_of_task};
pub use update::{TaskEdit, TaskReport, TaskWish};

/// A task as the contract shows it (API.md section 3). Status and priority are open texts (quirk 11).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// What a caller says of a new task. Ids are texts: whether they name anything is asked in the transaction.
#[derive(Clone, Debug, Default)]
pub struct NewTask {
    /// Required.
    pub project_id: String,
    /// Required, trimmed.
    pub title: String,
    /// The task it is to be a part of, in any project.
    pub parent_id: Option<String>,
    /// May be empty.
    pub description: String,
    /// May be empty.
    pub initial_prompt: String,
    /// `medium` if none is given.
    pub priority: Option<String>,
    /// May be empty.
    pub skill_ids: Vec<String>,
    /// May be empty.
    pub reference_task_ids: Vec<String>,
    /// As given.
    pub team_member_id: Maybe<String>,
    /// As given.
    pub team_member_ids: Maybe<Vec<String>>,
}

impl NewTask {
    /// What is wrong with the wish whatever is stored.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.project_id.is_empty() {
            return Err(Refusal::invalid("Project ID is required"));
        }
        if self.title.trim().is_empty() {
            return Err(Refusal::invalid("Task title is required"));
        }
        Ok(())
    }
}

impl Task {
    /// Makes a task of `project`, as a part of `parent`.
    pub fn create(wish: NewTask, project: ProjectId, parent: Option<TaskId>, mint: &mut Mint) -> Self {
        Self {
            id: mint.id(),
            project_id: project,
            parent_id: parent,
            title: wish.title.trim().to_owned(),
            description: wish.description,
            status: "todo".to_owned(),
            priority: wish.priority.unwrap_or_else(|| "medium".to_owned()),
            created_at: mint.now(),
            updated_at: mint.now(),
            started_at: None,
            completed_at: None,
            initial_prompt: wish.initial_prompt,
            session_ids: Vec::new(),
            skill_ids: wish.skill_ids,
            agent_ids: Vec::new(),
            dependencies: Vec::new(),
            reference_task_ids: wish.reference_task_ids,
            task_session_statuses: Maybe::Absent,
            pinned: Maybe::Absent,
            team_member_id: wish.team_member_id,
            team_member_ids: wish.team_member_ids,
        }
    }

    /// True if `session` works on it.
    pub fn has_session(&self, session: &str) -> bool {
        self.session_ids.iter().any(|id| id == session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(project: &str, title: &str) -> NewTask {
        NewTask {
            project_id: project.into(),
            title: title.into(),
            ..NewTask::default()
        }
    }

    #[test]
    fn a_task_needs_a_project_and_then_a_title() {
        assert_eq!(
            wish("", "").check(),
            Err(Refusal::invalid("Project ID is required"))
        );
        assert_eq!(
            wish("p", " \n").check(),
            Err(Refusal::invalid("Task title is required"))
        );
        assert_eq!(wish("p", "x").check(), Ok(()));
    }

    #[test]
    fn a_new_task_is_to_do_has_a_trimmed_title_and_shows_no_field_nobody_gave() {
        let project = ProjectId::parse("p").unwrap();
        let mut mint = Mint::new(Millis(7), 0, 0);
        let task = Task::create(wish("p", "  Build it \n"), project, None, &mut mint);
        let json = serde_json::to_value(&task).unwrap();
        assert_eq!(json["title"], "Build it");
        assert_eq!(
            (&json["status"], &json["priority"]),
            (&"todo".into(), &"medium".into())
        );
        assert_eq!((&json["createdAt"], &json["updatedAt"]), (&7.into(), &7.into()));
        for field in ["parentId", "startedAt", "completedAt"] {
            assert_eq!(json.get(field), Some(&Value::Null), "{field} is null, not absent");
        }
        for field in ["taskSessionStatuses", "pinned", "teamMemberId", "teamMemberIds"] {
            assert_eq!(json.get(field), None, "{field} is absent, not null");
        }
    }
}
