//! Events as phones see them: which scope they need, and what of them leaves the machine. Both are lists of everything
//! there is, so that a new event does not compile until somebody has decided.

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::{Map, Value, json};

use crate::domain::{Event, Mail, Member, Project, Remote, Scope, Session, SessionHead, Task};

use super::{MailView, MemberView, ProjectView, SessionView, TaskView, timeline::Entries, view::cut};

/// A mail whose text is longer than this (bytes) is announced without its body.
const MAIL: usize = 16 << 10;

/// What a device must be allowed to do to hear of this.
pub fn scope(event: &Event) -> Scope {
    match event {
        Event::MailReceived(_) | Event::MailDeleted { .. } => Scope::Mail,
        Event::Remote(remote) if remote.name.starts_with("mail:") => Scope::Mail,
        Event::ProjectCreated(_)
        | Event::ProjectUpdated(_)
        | Event::ProjectDeleted(_)
        | Event::TaskCreated(_)
        | Event::TaskUpdated(_)
        | Event::TaskDeleted { .. }
        | Event::TaskSessionAdded { .. }
        | Event::TaskSessionRemoved { .. }
        | Event::SessionCreated(_)
        | Event::SessionUpdated(_)
        | Event::SessionDeleted { .. }
        | Event::SessionSpawn(_)
        | Event::SessionTaskAdded { .. }
        | Event::SessionTaskRemoved { .. }
        | Event::SessionModal { .. }
        | Event::SessionModalAction(_)
        | Event::SessionModalClosed(_)
        | Event::SessionPromptSend { .. }
        | Event::SessionInputAnswered { .. }
        | Event::NotifyTaskCompleted(_)
        | Event::NotifyTaskFailed(_)
        | Event::NotifyTaskBlocked(_)
        | Event::NotifyTaskSessionCompleted { .. }
        | Event::NotifyTaskSessionFailed { .. }
        | Event::NotifySessionCompleted(_)
        | Event::NotifySessionFailed(_)
        | Event::NotifyNeedsInput { .. }
        | Event::NotifyProgress { .. }
        | Event::MemberCreated(_)
        | Event::MemberUpdated(_)
        | Event::MemberArchived(_)
        | Event::MemberDeleted { .. }
        | Event::Remote(_) => Scope::View,
    }
}

/// The payload a phone gets; `None` if it is not told at all.
pub fn data(event: &Event) -> Option<Value> {
    match event {
        Event::ProjectCreated(project) | Event::ProjectUpdated(project) => shown(&ProjectView::of(project)),
        Event::ProjectDeleted(id) => Some(json!({"id": id})),
        Event::TaskCreated(task) | Event::TaskUpdated(task) => shown(&TaskView::of(task)),
        Event::TaskDeleted { id, .. } => Some(json!({"id": id})),
        Event::TaskSessionAdded { task, session, .. } | Event::TaskSessionRemoved { task, session, .. } => {
            Some(json!({"taskId": task, "sessionId": session}))
        }
        Event::SessionCreated(session) | Event::SessionUpdated(session) => told(session),
        Event::SessionDeleted { id, .. } => Some(json!({"id": id})),
        Event::SessionSpawn(spawn) => Some(json!({
            "sessionId": spawn.session.head.id,
            "projectId": spawn.session.head.project_id,
            "taskIds": spawn.task_ids,
            "spawnSource": spawn.spawn_source,
            "parentSessionId": spawn.parent_session_id,
            "session": shown(&SessionView::of(&spawn.session))?,
        })),
        Event::SessionTaskAdded { session, task, .. } | Event::SessionTaskRemoved { session, task, .. } => {
            Some(json!({"sessionId": session, "taskId": task}))
        }
        // The page itself is for a desktop: agents put into it what they like.
        Event::SessionModal { modal, .. } => Some(json!({
            "sessionId": modal.session_id, "modalId": modal.modal_id, "title": cut(&modal.title),
            "timestamp": modal.timestamp,
        })),
        Event::SessionModalAction(action) => Some(json!({
            "sessionId": action.session_id, "modalId": action.modal_id, "timestamp": action.timestamp,
        })),
        Event::SessionModalClosed(closed) => Some(json!({
            "sessionId": closed.session_id, "modalId": closed.modal_id, "timestamp": closed.timestamp,
        })),
        Event::SessionPromptSend { prompt, .. } => Some(json!({
            "sessionId": prompt.session_id, "mode": prompt.mode,
            "senderSessionId": prompt.sender_session_id, "timestamp": prompt.timestamp,
        })),
        Event::SessionInputAnswered { answered, .. } => shown(&**answered),
        Event::NotifyTaskCompleted(task) | Event::NotifyTaskFailed(task) | Event::NotifyTaskBlocked(task) => {
            Some(json!({"taskId": task.id, "title": cut(&task.title)}))
        }
        Event::NotifyTaskSessionCompleted { task, session }
        | Event::NotifyTaskSessionFailed { task, session } => {
            Some(json!({"taskId": task.id, "sessionId": session, "title": cut(&task.title)}))
        }
        Event::NotifySessionCompleted(session) | Event::NotifySessionFailed(session) => {
            Some(json!({"sessionId": session.head.id, "name": cut(&session.head.name)}))
        }
        Event::NotifyNeedsInput {
            session,
            message,
            request,
        } => {
            let mut data = json!({"sessionId": session.head.id, "name": cut(&session.head.name)});
            if let Some(message) = message {
                data["message"] = cut(message).into();
            }
            if let Some(request) = request {
                data["requestId"] = request.as_str().into();
            }
            Some(data)
        }
        Event::NotifyProgress {
            session,
            task,
            message,
        } => {
            let mut data = json!({"sessionId": session.head.id});
            if let Some(task) = task {
                data["taskId"] = task.as_str().into();
            }
            data["message"] = cut(message).into();
            Some(data)
        }
        Event::MemberCreated(member) | Event::MemberUpdated(member) | Event::MemberArchived(member) => {
            shown(&MemberView::of(member))
        }
        Event::MemberDeleted { id, .. } => Some(json!({"id": id})),
        Event::MailReceived(mail) => letter(mail),
        Event::MailDeleted { id, .. } => Some(json!({"id": id})),
        Event::Remote(remote) => from_elsewhere(remote),
    }
}

fn shown(view: &impl Serialize) -> Option<Value> {
    // Views hold texts, numbers and JSON values: these can always be written.
    serde_json::to_value(view).ok()
}

/// What a session is now, and what is new in its timeline.
fn told(session: &Session) -> Option<Value> {
    let new = Entries::new_in(&session.timeline);
    let mut data = json!({"session": shown(&SessionView::of(session))?, "newTimeline": new.entries});
    if new.truncated {
        data["truncated"] = true.into();
    }
    Some(data)
}

/// A mail, or its head alone if it is long.
pub fn letter(mail: &Mail) -> Option<Value> {
    let mut data = shown(&MailView::of(mail))?;
    if serde_json::to_vec(&mail.body).map_or(0, |text| text.len()) > MAIL {
        data["body"] = json!({});
        data["truncated"] = true.into();
    }
    Some(data)
}

/// What another hub said is in the contract's shape: it is read as the record it is, and seen like one of ours.
fn from_elsewhere(remote: &Remote) -> Option<Value> {
    match remote.name.as_str() {
        "project:created" | "project:updated" => shown(&ProjectView::of(&read::<Project>(remote)?)),
        "task:created" | "task:updated" => shown(&TaskView::of(&read::<Task>(remote)?)),
        "session:created" | "session:updated" => {
            let (head, lengths) = (read::<SessionHead>(remote)?, read::<Lengths>(remote)?);
            let view = SessionView::with(&head, lengths.timeline.len(), lengths.docs.len());
            // What is new is not told: the length says whether to ask for it.
            Some(json!({"session": shown(&view)?, "newTimeline": []}))
        }
        "team_member:created" | "team_member:updated" | "team_member:archived" => {
            shown(&MemberView::of(&read::<Member>(remote)?))
        }
        "mail:received" => letter(&read::<Mail>(remote)?),
        "project:deleted" | "task:deleted" | "session:deleted" | "team_member:deleted" | "mail:deleted" => {
            pick(remote, &["id"])
        }
        "task:session_added" | "task:session_removed" | "session:task_added" | "session:task_removed" => {
            pick(remote, &["taskId", "sessionId"])
        }
        "session:modal" => pick(remote, &["sessionId", "modalId", "title", "timestamp"]),
        "session:modal_action" | "session:modal_closed" => {
            pick(remote, &["sessionId", "modalId", "timestamp"])
        }
        "session:prompt_send" => pick(remote, &["sessionId", "mode", "senderSessionId", "timestamp"]),
        "session:input_answered" => pick(remote, &["sessionId", "requestId", "how", "timestamp"]),
        "session:spawn" => pick(
            remote,
            &["projectId", "taskIds", "spawnSource", "parentSessionId"],
        ),
        "notify:task_completed" | "notify:task_failed" | "notify:task_blocked" => {
            pick(remote, &["taskId", "title"])
        }
        "notify:task_session_completed" | "notify:task_session_failed" => {
            pick(remote, &["taskId", "sessionId", "title"])
        }
        "notify:session_completed" | "notify:session_failed" => pick(remote, &["sessionId", "name"]),
        "notify:needs_input" => pick(remote, &["sessionId", "name", "message", "requestId"]),
        "notify:progress" => pick(remote, &["sessionId", "taskId", "message"]),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Lengths {
    #[serde(default)]
    timeline: Vec<IgnoredAny>,
    #[serde(default)]
    docs: Vec<IgnoredAny>,
}

fn read<T: for<'de> Deserialize<'de>>(remote: &Remote) -> Option<T> {
    serde_json::from_slice(&remote.data).ok()
}

/// These fields, texts shortened; what is an object is not one of them.
fn pick(remote: &Remote, fields: &[&str]) -> Option<Value> {
    let mut data: Map<String, Value> = read(remote)?;
    let mut picked = Map::new();
    for name in fields {
        match data.remove(*name) {
            Some(Value::String(text)) => picked.insert((*name).to_owned(), cut(&text).into()),
            Some(value @ (Value::Number(_) | Value::Null | Value::Bool(_))) => {
                picked.insert((*name).to_owned(), value)
            }
            Some(Value::Array(list)) => {
                let texts = list.into_iter().filter(Value::is_string).take(100).collect();
                picked.insert((*name).to_owned(), Value::Array(texts))
            }
            Some(Value::Object(_)) | None => None,
        };
    }
    Some(picked.into())
}
