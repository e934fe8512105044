//! Records as phones see them. A field that is not named here does not leave the machine.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::{
    Answerer, Failure, Mail, Member, MemberStatus, Millis, NeedsInput, Project, Session, SessionHead, Task,
};

/// Longest free text that is sent along with a record, in bytes; the rest is cut off.
const TEXT: usize = 4 << 10;

/// A project.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectView<'a> {
    id: &'a str,
    name: &'a str,
    description: &'a str,
    created_at: Millis,
    updated_at: Millis,
}

impl<'a> ProjectView<'a> {
    /// What may be seen of `project`.
    pub fn of(project: &'a Project) -> Self {
        Self {
            id: project.id.as_str(),
            name: &project.name,
            description: cut(&project.description),
            created_at: project.created_at,
            updated_at: project.updated_at,
        }
    }
}

/// A task.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskView<'a> {
    id: &'a str,
    project_id: &'a str,
    parent_id: Option<&'a str>,
    title: &'a str,
    description: &'a str,
    status: &'a str,
    priority: &'a str,
    created_at: Millis,
    updated_at: Millis,
    started_at: Option<Millis>,
    completed_at: Option<Millis>,
    session_ids: &'a [String],
    task_session_statuses: Option<&'a Map<String, Value>>,
    pinned: bool,
    team_member_id: Option<&'a str>,
}

impl<'a> TaskView<'a> {
    /// What may be seen of `task`.
    pub fn of(task: &'a Task) -> Self {
        Self {
            id: task.id.as_str(),
            project_id: task.project_id.as_str(),
            parent_id: task.parent_id.as_ref().map(|id| id.as_str()),
            title: &task.title,
            description: cut(&task.description),
            status: &task.status,
            priority: &task.priority,
            created_at: task.created_at,
            updated_at: task.updated_at,
            started_at: task.started_at,
            completed_at: task.completed_at,
            session_ids: &task.session_ids,
            task_session_statuses: task.task_session_statuses.value(),
            pinned: task.pinned.value().copied().unwrap_or_default(),
            team_member_id: task.team_member_id.value().map(String::as_str),
        }
    }
}

/// A session: its state, and how much there is to be asked for page by page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView<'a> {
    id: &'a str,
    project_id: &'a str,
    task_ids: &'a [String],
    name: &'a str,
    status: &'a str,
    started_at: Millis,
    last_activity: Millis,
    completed_at: Option<Millis>,
    parent_session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<&'a str>,
    needs_input: Option<Question<'a>>,
    team_member_id: Option<&'a str>,
    team_members: Vec<Face<'a>>,
    failure: Option<Fall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline_length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    docs_length: Option<usize>,
}

/// What an agent asks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    active: bool,
    message: Option<&'a str>,
    since: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_by: Option<&'a Answerer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'a Value>,
}

/// Who somebody was when the session began.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Face<'a> {
    name: &'a str,
    avatar: &'a str,
    role: &'a str,
}

/// Why the hub failed it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Fall<'a> {
    reason: &'a str,
    at: Millis,
}

impl<'a> SessionView<'a> {
    /// What may be seen of `session`.
    pub fn of(session: &'a Session) -> Self {
        Self::with(&session.head, session.timeline.len(), session.docs.len())
    }

    /// The same of one whose histories are not at hand: how long they are is not said.
    pub fn brief(head: &'a SessionHead) -> Self {
        Self {
            timeline_length: None,
            docs_length: None,
            ..Self::with(head, 0, 0)
        }
    }

    /// The same of one whose histories are only counted.
    pub fn with(head: &'a SessionHead, timeline_length: usize, docs_length: usize) -> Self {
        Self {
            id: head.id.as_str(),
            project_id: head.project_id.as_str(),
            task_ids: &head.task_ids,
            name: &head.name,
            status: &head.status,
            started_at: head.started_at,
            last_activity: head.last_activity,
            completed_at: head.completed_at,
            parent_session_id: head.parent_session_id.as_deref(),
            agent_id: head.agent_id.value().map(|id| cut(id)),
            needs_input: head.needs_input.value().map(|needs| Question::of(needs, head)),
            team_member_id: head.team_member_id.value().map(String::as_str),
            team_members: faces(head),
            failure: head.failure.value().map(Fall::of),
            timeline_length: Some(timeline_length),
            docs_length: Some(docs_length),
        }
    }
}

impl<'a> Question<'a> {
    fn of(needs: &'a NeedsInput, head: &SessionHead) -> Self {
        Self {
            active: head.is_waiting(),
            message: needs.message.value().map(|text| cut(text)),
            since: needs.since.value().copied(),
            request_id: needs.request_id.as_ref().map(|id| id.as_str()),
            answered_by: needs.answered_by.as_ref(),
            answered_at: needs.answered_at,
            options: needs.extra.get("options"),
        }
    }
}

impl<'a> Fall<'a> {
    fn of(failure: &'a Failure) -> Self {
        Self {
            reason: &failure.reason,
            at: failure.at,
        }
    }
}

fn faces(head: &SessionHead) -> Vec<Face<'_>> {
    let many = head.team_member_snapshots.value();
    let one = head.team_member_snapshot.value();
    let snapshots = many.map_or_else(
        || one.map(std::slice::from_ref).unwrap_or_default(),
        Vec::as_slice,
    );
    snapshots
        .iter()
        .map(|snapshot| Face {
            name: &snapshot.name,
            avatar: &snapshot.avatar,
            role: &snapshot.role,
        })
        .collect()
}

/// A mail. All of it is meant to be read by people.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct MailView<'a>(&'a Mail);

impl<'a> MailView<'a> {
    /// What may be seen of `mail`.
    pub fn of(mail: &'a Mail) -> Self {
        Self(mail)
    }
}

/// A team member.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberView<'a> {
    id: &'a str,
    project_id: &'a str,
    name: &'a str,
    role: &'a str,
    avatar: &'a str,
    model: Option<&'a str>,
    agent_tool: Option<&'a str>,
    is_default: bool,
    status: MemberStatus,
}

impl<'a> MemberView<'a> {
    /// What may be seen of `member`.
    pub fn of(member: &'a Member) -> Self {
        Self {
            id: member.id.as_str(),
            project_id: member.project_id.as_str(),
            name: &member.name,
            role: &member.role,
            avatar: &member.avatar,
            model: member.model.value().map(String::as_str),
            agent_tool: member.agent_tool.value().map(String::as_str),
            is_default: member.is_default,
            status: member.status,
        }
    }
}

pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT)]
}
