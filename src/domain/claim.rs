//! A claim: one session says that a task is its to do, for as long as it keeps saying so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Millis, SessionId, TaskId};

/// Who holds a task. The fencing number grows with every new holder of any task: work done under a smaller number
/// than the newest one seen is too late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// The task.
    pub task_id: TaskId,
    /// Who holds it.
    pub session_id: SessionId,
    /// The fencing number.
    pub fence: u64,
    /// When it lapses unless renewed.
    pub expires_at: Millis,
}
