//! Every fact that leaves a rule. Names, payloads and the raw protocol's filter are the contract's (EVENTS.md).

mod travel;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Answerer, How, Mail, MailId, Member, MemberId, Millis, Project, ProjectId, RequestId, Sender, Session,
    SessionId, Task, TaskId,
};

/// A fact. Each knows its name, its payload, and whom it concerns.
#[derive(Clone, Debug)]
pub enum Event {
    /// `project:created`
    ProjectCreated(Arc<Project>),
    /// `project:updated`
    ProjectUpdated(Arc<Project>),
    /// `project:deleted`
    ProjectDeleted(ProjectId),
    /// `task:created`
    TaskCreated(Arc<Task>),
    /// `task:updated`
    TaskUpdated(Arc<Task>),
    /// `task:deleted`
    TaskDeleted { id: TaskId, project: ProjectId },
    /// `task:session_added`
    TaskSessionAdded {
        task: String,
        session: SessionId,
        project: ProjectId,
    },
    /// `task:session_removed`
    TaskSessionRemoved {
        task: String,
        session: SessionId,
        project: ProjectId,
    },
    /// `session:created`
    SessionCreated(Session),
    /// `session:updated`
    SessionUpdated(Session),
    /// `session:deleted`
    SessionDeleted { id: SessionId, project: ProjectId },
    /// `session:spawn`
    SessionSpawn(Arc<SpawnAnnouncement>),
    /// `session:task_added`
    SessionTaskAdded {
        session: SessionId,
        task: String,
        project: ProjectId,
    },
    /// `session:task_removed`
    SessionTaskRemoved {
        session: SessionId,
        task: String,
        project: ProjectId,
    },
    /// `session:modal`
    SessionModal {
        modal: Arc<ModalShown>,
        project: ProjectId,
    },
    /// `session:modal_action`: the session need not exist.
    SessionModalAction(Arc<ModalAction>),
    /// `session:modal_closed`: the session need not exist.
    SessionModalClosed(Arc<ModalClosed>),
    /// `session:prompt_send`
    SessionPromptSend {
        prompt: Arc<PromptSend>,
        project: ProjectId,
    },
    /// `session:input_answered`; not in the replaced server
    SessionInputAnswered {
        answered: Arc<InputAnswered>,
        project: ProjectId,
    },
    /// `notify:task_completed`
    NotifyTaskCompleted(Arc<Task>),
    /// `notify:task_failed`
    NotifyTaskFailed(Arc<Task>),
    /// `notify:task_blocked`
    NotifyTaskBlocked(Arc<Task>),
    /// `notify:task_session_completed`
    NotifyTaskSessionCompleted { task: Arc<Task>, session: String },
    /// `notify:task_session_failed`
    NotifyTaskSessionFailed { task: Arc<Task>, session: String },
    /// `notify:session_completed`
    NotifySessionCompleted(Session),
    /// `notify:session_failed`
    NotifySessionFailed(Session),
    /// `notify:needs_input`
    NotifyNeedsInput {
        session: Session,
        message: Option<String>,
        request: Option<RequestId>,
    },
    /// `notify:progress`
    NotifyProgress {
        session: Session,
        task: Option<String>,
        message: String,
    },
    /// `team_member:created`
    MemberCreated(Arc<Member>),
    /// `team_member:updated`
    MemberUpdated(Arc<Member>),
    /// `team_member:archived`
    MemberArchived(Arc<Member>),
    /// `team_member:deleted`
    MemberDeleted { id: MemberId, project: ProjectId },
    /// `mail:received`
    MailReceived(Arc<Mail>),
    /// `mail:deleted`
    MailDeleted { id: MailId, project: ProjectId },
    /// A fact of another hub, already in the contract's shape.
    Remote(Arc<Remote>),
    /// `hub:resync` (ours): facts of other hubs were missed and cannot be had again. Whoever follows events by their
    /// numbers reads everything anew: Socket.IO clients are told `state:reset`. The raw protocol knows no such thing, so
    /// it is not sent there.
    Resync {
        /// For people.
        reason: &'static str,
    },
}

/// `session:spawn`: whoever owns terminals starts this program (EVENTS.md section 6).
#[derive(Clone, Debug)]
pub struct SpawnAnnouncement {
    /// The new session, as stored.
    pub session: Session,
    /// Program and arguments.
    pub command: &'static str,
    /// The project's directory; may be empty.
    pub cwd: String,
    /// The whole spawn environment, the providers' keys included: this event alone carries them.
    pub env_vars: Map<String, Value>,
    /// MANIFEST.md section 4.
    pub manifest: Value,
    /// Tasks of the session.
    pub task_ids: Vec<String>,
    /// `ui` or `session`.
    pub spawn_source: &'static str,
    /// Who spawned it.
    pub parent_session_id: Option<String>,
}

/// Payload of `session:modal`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModalShown {
    /// For whom.
    pub session_id: SessionId,
    /// Chosen by the client.
    pub modal_id: String,
    /// Shown above it.
    pub title: String,
    /// The page.
    pub html: String,
    /// Where it lies.
    pub file_path: String,
    /// When it was sent.
    pub timestamp: Millis,
}

/// Payload of `session:modal_action`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModalAction {
    /// As named in the path.
    pub session_id: String,
    /// As named in the path.
    pub modal_id: String,
    /// What the person did.
    pub action: String,
    /// With what.
    pub data: Value,
    /// When.
    pub timestamp: Millis,
}

/// Payload of `session:modal_closed`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModalClosed {
    /// As named in the path.
    pub session_id: String,
    /// As named in the path.
    pub modal_id: String,
    /// When.
    pub timestamp: Millis,
}

/// Payload of `session:prompt_send`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptSend {
    /// Whose terminal gets it.
    pub session_id: SessionId,
    /// The text.
    pub content: String,
    /// `send` or `paste`.
    pub mode: &'static str,
    /// Who asked.
    pub sender_session_id: Option<String>,
    /// When.
    pub timestamp: Millis,
    /// Who asked, if that is proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender>,
}

/// Payload of `session:input_answered`: what was said is on the session, and not for everybody who hears this.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputAnswered {
    /// Whose question.
    pub session_id: SessionId,
    /// Which question.
    pub request_id: RequestId,
    /// By whom.
    pub answered_by: Answerer,
    /// How it goes to the agent.
    pub how: How,
    /// When.
    pub timestamp: Millis,
}

/// An event of another hub, as it came over the bus.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// Its payload, one JSON value.
    pub data: Bytes,
    /// By the raw protocol's filtering rule.
    pub session: Option<String>,
    /// The project, if the other hub said so.
    pub project: Option<String>,
}

/// An event that is committed: numbered, timed, and rendered at most once for all receivers.
#[derive(Debug)]
pub struct Published {
    /// Counts up by one within an epoch of this hub.
    pub seq: u64,
    /// When it was sent.
    pub at: Millis,
    /// The fact.
    pub event: Event,
    data: OnceLock<Bytes>,
    raw_frame: OnceLock<Bytes>,
}

impl Published {
    /// Numbers a fact.
    pub fn new(seq: u64, at: Millis, event: Event) -> Self {
        Self {
            seq,
            at,
            event,
            data: OnceLock::new(),
            raw_frame: OnceLock::new(),
        }
    }

    /// The payload as JSON.
    pub fn data(&self) -> &Bytes {
        self.data.get_or_init(|| self.event.data_json())
    }

    /// The frame of the raw WebSocket protocol: `{"type","event","data","timestamp"}`.
    pub fn raw_frame(&self) -> &Bytes {
        self.raw_frame.get_or_init(|| {
            let (name, data) = (self.event.name(), self.data());
            let mut frame = Vec::with_capacity(data.len() + 2 * name.len() + 64);
            frame.extend_from_slice(
                format!("{{\"type\":\"{name}\",\"event\":\"{name}\",\"data\":").as_bytes(),
            );
            frame.extend_from_slice(data);
            frame.extend_from_slice(format!(",\"timestamp\":{}}}", self.at.0).as_bytes());
            frame.into()
        })
    }
}

impl Event {
    /// The contract's name of the event.
    pub fn name(&self) -> &str {
        match self {
            Self::ProjectCreated(_) => "project:created",
            Self::ProjectUpdated(_) => "project:updated",
            Self::ProjectDeleted(_) => "project:deleted",
            Self::TaskCreated(_) => "task:created",
            Self::TaskUpdated(_) => "task:updated",
            Self::TaskDeleted { .. } => "task:deleted",
            Self::TaskSessionAdded { .. } => "task:session_added",
            Self::TaskSessionRemoved { .. } => "task:session_removed",
            Self::SessionCreated(_) => "session:created",
            Self::SessionUpdated(_) => "session:updated",
            Self::SessionDeleted { .. } => "session:deleted",
            Self::SessionSpawn(_) => "session:spawn",
            Self::SessionTaskAdded { .. } => "session:task_added",
            Self::SessionTaskRemoved { .. } => "session:task_removed",
            Self::SessionModal { .. } => "session:modal",
            Self::SessionModalAction(_) => "session:modal_action",
            Self::SessionModalClosed(_) => "session:modal_closed",
            Self::SessionPromptSend { .. } => "session:prompt_send",
            Self::SessionInputAnswered { .. } => "session:input_answered",
            Self::NotifyTaskCompleted(_) => "notify:task_completed",
            Self::NotifyTaskFailed(_) => "notify:task_failed",
            Self::NotifyTaskBlocked(_) => "notify:task_blocked",
            Self::NotifyTaskSessionCompleted { .. } => "notify:task_session_completed",
            Self::NotifyTaskSessionFailed { .. } => "notify:task_session_failed",
            Self::NotifySessionCompleted(_) => "notify:session_completed",
            Self::NotifySessionFailed(_) => "notify:session_failed",
            Self::NotifyNeedsInput { .. } => "notify:needs_input",
            Self::NotifyProgress { .. } => "notify:progress",
            Self::MemberCreated(_) => "team_member:created",
            Self::MemberUpdated(_) => "team_member:updated",
            Self::MemberArchived(_) => "team_member:archived",
            Self::MemberDeleted { .. } => "team_member:deleted",
            Self::MailReceived(_) => "mail:received",
            Self::MailDeleted { .. } => "mail:deleted",
            Self::Remote(remote) => &remote.name,
            Self::Resync { .. } => "hub:resync",
        }
    }

    /// The session id by the raw protocol's filtering rule (EVENTS.md section 3). A created or updated task is
    /// filtered by *its own* id there: the reference takes anything with an `id` and a text `status` for a session.
    pub fn filter_id(&self) -> Option<&str> {
        match self {
            Self::TaskCreated(task) | Self::TaskUpdated(task) => Some(task.id.as_str()),
            Self::TaskSessionAdded { session, .. }
            | Self::TaskSessionRemoved { session, .. }
            | Self::SessionTaskAdded { session, .. }
            | Self::SessionTaskRemoved { session, .. } => Some(session.as_str()),
            Self::SessionCreated(session)
            | Self::SessionUpdated(session)
            | Self::NotifySessionCompleted(session)
            | Self::NotifySessionFailed(session)
            | Self::NotifyNeedsInput { session, .. }
            | Self::NotifyProgress { session, .. } => Some(session.head.id.as_str()),
            Self::SessionSpawn(spawn) => Some(spawn.session.head.id.as_str()),
            Self::SessionModal { modal, .. } => Some(modal.session_id.as_str()),
            Self::SessionModalAction(action) => Some(&action.session_id),
            Self::SessionModalClosed(closed) => Some(&closed.session_id),
            Self::SessionPromptSend { prompt, .. } => Some(prompt.session_id.as_str()),
            Self::SessionInputAnswered { answered, .. } => Some(answered.session_id.as_str()),
            Self::NotifyTaskSessionCompleted { session, .. }
            | Self::NotifyTaskSessionFailed { session, .. } => Some(session),
            Self::Remote(remote) => remote.session.as_deref(),
            Self::ProjectCreated(_)
            | Self::ProjectUpdated(_)
            | Self::ProjectDeleted(_)
            | Self::TaskDeleted { .. }
            | Self::SessionDeleted { .. }
            | Self::NotifyTaskCompleted(_)
            | Self::NotifyTaskFailed(_)
            | Self::NotifyTaskBlocked(_)
            | Self::MemberCreated(_)
            | Self::MemberUpdated(_)
            | Self::MemberArchived(_)
            | Self::MemberDeleted { .. }
            | Self::MailReceived(_)
            | Self::MailDeleted { .. }
            | Self::Resync { .. } => None,
        }
    }

    /// The project the fact belongs to, if it belongs to one.
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::ProjectCreated(project) | Self::ProjectUpdated(project) => Some(project.id.as_str()),
            Self::TaskCreated(task)
            | Self::TaskUpdated(task)
            | Self::NotifyTaskCompleted(task)
            | Self::NotifyTaskFailed(task)
            | Self::NotifyTaskBlocked(task)
            | Self::NotifyTaskSessionCompleted { task, .. }
            | Self::NotifyTaskSessionFailed { task, .. } => Some(task.project_id.as_str()),
            Self::SessionCreated(session)
            | Self::SessionUpdated(session)
            | Self::NotifySessionCompleted(session)
            | Self::NotifySessionFailed(session)
            | Self::NotifyNeedsInput { session, .. }
            | Self::NotifyProgress { session, .. } => Some(session.head.project_id.as_str()),
            Self::SessionSpawn(spawn) => Some(spawn.session.head.project_id.as_str()),
            Self::ProjectDeleted(project)
            | Self::TaskDeleted { project, .. }
            | Self::TaskSessionAdded { project, .. }
            | Self::TaskSessionRemoved { project, .. }
            | Self::SessionDeleted { project, .. }
            | Self::SessionTaskAdded { project, .. }
            | Self::SessionTaskRemoved { project, .. }
            | Self::SessionModal { project, .. }
            | Self::SessionPromptSend { project, .. }
            | Self::SessionInputAnswered { project, .. }
            | Self::MemberDeleted { project, .. }
            | Self::MailDeleted { project, .. } => Some(project.as_str()),
            Self::MemberCreated(member) | Self::MemberUpdated(member) | Self::MemberArchived(member) => {
                Some(member.project_id.as_str())
            }
            Self::MailReceived(mail) => Some(mail.project_id.as_str()),
            Self::Remote(remote) => remote.project.as_deref(),
            Self::SessionModalAction(_) | Self::SessionModalClosed(_) | Self::Resync { .. } => None,
        }
    }

    fn data_json(&self) -> Bytes {
        let mut out = Vec::with_capacity(1024);
        self.append_data(&mut out);
        out.into()
    }

    /// Writes the payload as JSON behind what is there.
    pub fn append_data(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        if let Err(error) = self.write_data(out) {
            // Our records hold texts, numbers and JSON values only, all of which can be written; should that ever
            // change, a frame that says so beats a lost connection.
            out.truncate(begin);
            out.extend_from_slice(format!("{{\"error\":{:?}}}", error.to_string()).as_bytes());
        }
    }

    fn write_data(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        use serde_json::{json, to_writer};
        match self {
            Self::ProjectCreated(project) | Self::ProjectUpdated(project) => to_writer(out, &**project),
            Self::TaskCreated(task) | Self::TaskUpdated(task) => to_writer(out, &**task),
            Self::SessionCreated(session) | Self::SessionUpdated(session) => session.write_json(out),
            Self::ProjectDeleted(id) => to_writer(out, &json!({"id": id})),
            Self::TaskDeleted { id, .. } => to_writer(out, &json!({"id": id})),
            Self::SessionDeleted { id, .. } => to_writer(out, &json!({"id": id})),
            Self::MemberDeleted { id, .. } => to_writer(out, &json!({"id": id})),
            Self::MailDeleted { id, .. } => to_writer(out, &json!({"id": id})),
            Self::TaskSessionAdded { task, session, .. } | Self::TaskSessionRemoved { task, session, .. } => {
                to_writer(out, &json!({"taskId": task, "sessionId": session}))
            }
            Self::SessionTaskAdded { session, task, .. } | Self::SessionTaskRemoved { session, task, .. } => {
                to_writer(out, &json!({"sessionId": session, "taskId": task}))
            }
            Self::SessionSpawn(spawn) => spawn.write_json(out),
            Self::SessionModal { modal, .. } => to_writer(out, &**modal),
            Self::SessionModalAction(action) => to_writer(out, &**action),
            Self::SessionModalClosed(closed) => to_writer(out, &**closed),
            Self::SessionPromptSend { prompt, .. } => to_writer(out, &**prompt),
            Self::SessionInputAnswered { answered, .. } => to_writer(out, &**answered),
            Self::NotifyTaskCompleted(task)
            | Self::NotifyTaskFailed(task)
            | Self::NotifyTaskBlocked(task) => {
                to_writer(out, &json!({"taskId": task.id, "title": task.title}))
            }
            Self::NotifyTaskSessionCompleted { task, session }
            | Self::NotifyTaskSessionFailed { task, session } => to_writer(
                out,
                &json!({"taskId": task.id, "sessionId": session, "title": task.title}),
            ),
            Self::NotifySessionCompleted(session) | Self::NotifySessionFailed(session) => to_writer(
                out,
                &json!({"sessionId": session.head.id, "name": session.head.name}),
            ),
            Self::NotifyNeedsInput {
                session,
                message,
                request,
            } => {
                let mut data = json!({"sessionId": session.head.id, "name": session.head.name});
                if let Some(message) = message {
                    data["message"] = message.as_str().into();
                }
                if let Some(request) = request {
                    data["requestId"] = request.as_str().into();
                }
                to_writer(out, &data)
            }
            Self::NotifyProgress {
                session,
                task,
                message,
            } => {
                let mut data = json!({"sessionId": session.head.id});
                if let Some(task) = task {
                    data["taskId"] = task.as_str().into();
                }
                data["message"] = message.as_str().into();
                to_writer(out, &data)
            }
            Self::MemberCreated(member) | Self::MemberUpdated(member) | Self::MemberArchived(member) => {
                to_writer(out, &**member)
            }
            Self::MailReceived(mail) => to_writer(out, &**mail),
            Self::Remote(remote) => {
                out.extend_from_slice(&remote.data);
                Ok(())
            }
            Self::Resync { reason } => to_writer(out, &json!({"reason": reason})),
        }
    }
}

impl SpawnAnnouncement {
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Rest<'a> {
            command: &'a str,
            cwd: &'a str,
            env_vars: &'a Map<String, Value>,
            manifest: &'a Value,
            project_id: &'a ProjectId,
            task_ids: &'a [String],
            spawn_source: &'a str,
            parent_session_id: Option<&'a str>,
            #[serde(rename = "_isSpawnCreated")]
            is_spawn_created: bool,
        }
        let mut session = self.session.clone();
        session.head_mut().env = self.env_vars.clone();
        out.extend_from_slice(b"{\"session\":");
        session.write_json(out)?;
        out.push(b',');
        let rest = serde_json::to_vec(&Rest {
            command: self.command,
            cwd: &self.cwd,
            env_vars: &self.env_vars,
            manifest: &self.manifest,
            project_id: &self.session.head.project_id,
            task_ids: &self.task_ids,
            spawn_source: self.spawn_source,
            parent_session_id: self.parent_session_id.as_deref(),
            is_spawn_created: true,
        })?;
        out.extend_from_slice(&rest[1..]); // without its opening brace: the object is already open
        Ok(())
    }
}
