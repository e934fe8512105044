//! Spawning: what a request for a new agent comes to, checked in the contract's order (API.md section 8). The session
//! is made here, its manifest elsewhere; who starts the program is whoever hears of it.

mod environment;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use super::{Caller, Member, Project, ProjectId, Speaker, Speaks, Task};

pub use environment::{PROVIDER_VARIABLES, SpawnPlace};
pub use plan::SpawnPlan;

/// What a caller asks for. Texts that are empty count as not given.
#[derive(Clone, Debug, Default)]
pub struct SpawnWish {
    /// Required.
    pub project_id: String,
    /// At least one; `None` if what was sent is no list of texts.
    pub task_ids: Option<Vec<String>>,
    /// `ui` or `session`.
    pub spawn_source: Option<String>,
    /// The session that asks; the parent of the new one.
    pub session_id: Option<String>,
    /// `execute` or `coordinate`.
    pub mode: Option<String>,
    /// Name of the new session.
    pub session_name: Option<String>,
    /// Skills for the agent.
    pub skills: Vec<String>,
    /// Its identities; if empty, those of the tasks.
    pub team_member_ids: Vec<String>,
    /// Members it may hand work to.
    pub delegate_ids: Vec<String>,
    /// Instead of the members' model.
    pub model: Option<String>,
    /// Instead of the members' agent program.
    pub agent_tool: Option<String>,
    /// Stored in the metadata; an empty object if none is given.
    pub context: Option<Value>,
}

impl SpawnWish {
    /// The wish as `caller` may have it: the parent is the session it has proved to be the agent of. A device has none,
    /// and is no other than the UI.
    pub fn signed(mut self, caller: &Caller) -> Result<Self, SpawnRefusal> {
        let said = self.session_id.as_deref().filter(|said| !said.is_empty());
        let speaker = caller.speaks(Speaks::Spawn, said);
        match speaker.map_err(|refusal| SpawnRefusal::NotYourself(refusal.to_string()))? {
            Speaker::AsSaid => {}
            Speaker::Session(session) => {
                let source = self.spawn_source.get_or_insert_default();
                match source.as_str() {
                    "" => *source = "session".to_owned(),
                    "ui" => {
                        let agent = "an agent spawns with spawnSource \"session\": it is not the UI";
                        return Err(SpawnRefusal::NotYourself(agent.to_owned()));
                    }
                    _ => {}
                }
                self.session_id = Some(session.to_string());
            }
            Speaker::Human | Speaker::Nobody => {
                self.spawn_source = None;
                self.session_id = None;
            }
        }
        Ok(self)
    }
}

/// Why nothing is spawned. The contract has a code for each (error form G).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SpawnRefusal {
    /// The caller has proved to be somebody else.
    #[error("{0}")]
    NotYourself(String),
    /// There is no project id.
    #[error("projectId is required")]
    MissingProjectId,
    /// There is no task.
    #[error("taskIds must be a list of at least one task id")]
    InvalidTaskIds,
    /// Neither `ui` nor `session`.
    #[error("spawnSource must be \"ui\" or \"session\"")]
    InvalidSpawnSource,
    /// A session asks without saying which.
    #[error("sessionId is required when spawnSource is \"session\"")]
    MissingSessionId,
    /// The session that asks is unknown.
    #[error("Parent session {0} not found")]
    ParentNotFound(String),
    /// A task is unknown.
    #[error("Task {0} not found")]
    TaskNotFound(String),
    /// Neither `execute` nor `coordinate`.
    #[error("mode must be \"execute\" or \"coordinate\"")]
    InvalidMode,
    /// The project is unknown.
    #[error("Project {0} not found")]
    ProjectNotFound(String),
}

/// What a spawn looks up. Ids are as the caller wrote them.
pub trait SpawnScene {
    /// The project of this id.
    fn project(&self, id: &str) -> Option<Arc<Project>>;
    /// The task of this id, whatever its project.
    fn task(&self, id: &str) -> Option<Arc<Task>>;
    /// Whether there is a session of this id.
    fn has_session(&self, id: &str) -> bool;
    /// The member of this id in a project, which need not exist.
    fn member(&self, project: &ProjectId, id: &str) -> Option<Arc<Member>>;
}
