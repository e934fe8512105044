//! One function per kind of record: from the fields of a file, of whatever age, to the record.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::domain::{
    Answer, Answerer, DefaultMember, Log, Mail, MailKind, Member, MemberId, Millis, Ordering, OrderingKind,
    Project, ProjectId, ProjectKind, RequestId, Session, SessionHead, SessionKind, Task, TaskKind,
    is_provider_key,
};

use super::{
    fields::{Fields, instant_in},
    files::Found,
    report::Notes,
};

const TASK: &[&str] = &[
    "id",
    "projectId",
    "parentId",
    "title",
    "description",
    "status",
    "priority",
    "createdAt",
    "updatedAt",
    "startedAt",
    "completedAt",
    "initialPrompt",
    "sessionIds",
    "skillIds",
    "agentIds",
    "dependencies",
    "referenceTaskIds",
    "taskSessionStatuses",
    "pinned",
    "teamMemberId",
    "teamMemberIds",
];
const SESSION: &[&str] = &[
    "id",
    "projectId",
    "taskIds",
    "name",
    "agentId",
    "env",
    "status",
    "startedAt",
    "lastActivity",
    "completedAt",
    "hostname",
    "platform",
    "metadata",
    "parentSessionId",
    "needsInput",
    "answers",
    "teamMemberId",
    "teamMemberSnapshot",
    "teamMemberIds",
    "teamMemberSnapshots",
];
const MEMBER: &[&str] = &[
    "id",
    "projectId",
    "name",
    "role",
    "identity",
    "avatar",
    "model",
    "agentTool",
    "mode",
    "skillIds",
    "isDefault",
    "status",
    "capabilities",
    "commandPermissions",
    "workflowTemplateId",
    "customWorkflow",
    "createdAt",
    "updatedAt",
];
const MAIL: &[&str] = &[
    "id",
    "projectId",
    "fromSessionId",
    "toSessionId",
    "replyToMailId",
    "type",
    "subject",
    "body",
    "createdAt",
    "priority",
    "threadId",
];

/// A record, or why there is none.
type Read<R> = Result<R, String>;

pub(super) fn project(found: Found) -> Read<Project> {
    let mut fields = Fields::new(found.map);
    let id = fields.id::<ProjectKind>("id", &found.stem)?;
    fields.text("name", id.as_str());
    fields.text("workingDir", "");
    fields.text("description", "");
    let created = fields.millis("createdAt", instant_in(id.as_str()));
    fields.millis("updatedAt", created);
    fields.into_record()
}

/// `None`: a member of old times, kept as a task; the Node server removes those at its start.
pub(super) fn task(found: Found, folder: &str, notes: &mut Notes) -> Read<Option<Task>> {
    let mut fields = Fields::new(found.map);
    if fields.get("taskType").and_then(Value::as_str) == Some("team-member") {
        return Ok(None);
    }
    let id = fields.id::<TaskKind>("id", &found.stem)?;
    fields.id::<ProjectKind>("projectId", folder)?;
    fields.id_or_null::<TaskKind>("parentId");
    for (key, otherwise) in [
        ("title", ""),
        ("description", ""),
        ("status", "todo"),
        ("priority", "medium"),
        ("initialPrompt", ""),
    ] {
        fields.text(key, otherwise);
    }
    let created = fields.millis("createdAt", instant_in(id.as_str()));
    fields.millis("updatedAt", created);
    fields.millis_or_null("startedAt");
    fields.millis_or_null("completedAt");
    for key in [
        "sessionIds",
        "skillIds",
        "agentIds",
        "dependencies",
        "referenceTaskIds",
    ] {
        fields.texts(key);
    }
    old_session_status(&mut fields);
    fields.keep_if("taskSessionStatuses", Value::is_object);
    fields.keep_if("pinned", Value::is_boolean);
    fields.keep_if("teamMemberId", Value::is_string);
    fields.keep_if("teamMemberIds", is_texts);
    fields.drop_unknown("tasks", TASK, &mut notes.unknown);
    fields.into_record().map(Some)
}

/// Old files say one status for all sessions: it belongs to the first of them.
fn old_session_status(fields: &mut Fields) {
    let Some(Value::String(status)) = fields.take("sessionStatus") else {
        return;
    };
    let first = fields
        .get("sessionIds")
        .and_then(|ids| ids.get(0))
        .and_then(Value::as_str);
    if let (Some(first), None) = (first, fields.get("taskSessionStatuses")) {
        let statuses = Map::from_iter([(first.to_owned(), status.into())]);
        fields.set("taskSessionStatuses", statuses);
    }
}

pub(super) fn session(found: Found, notes: &mut Notes) -> Read<Session> {
    let mut fields = Fields::new(found.map);
    let id = fields.id::<SessionKind>("id", &found.stem)?;
    fields.id::<ProjectKind>("projectId", "")?;
    if let (Some(task), None) = (fields.take("taskId"), fields.get("taskIds")) {
        fields.set("taskIds", vec![task]);
    }
    fields.texts("taskIds");
    fields.text("name", &format!("Session {id}"));
    fields.text("status", "idle");
    fields.text("hostname", "");
    fields.text("platform", "");
    let started = fields.millis("startedAt", instant_in(id.as_str()));
    fields.millis("lastActivity", started);
    fields.millis_or_null("completedAt");
    fields.text_or_null("parentSessionId");
    fields.keep_if("agentId", Value::is_string);
    fields.keep_if("needsInput", Value::is_object);
    fields.keep_if("teamMemberId", Value::is_string);
    fields.keep_if("teamMemberIds", is_texts);
    fields.keep_if("teamMemberSnapshot", is_snapshot);
    fields.keep_if("teamMemberSnapshots", |value| {
        value.as_array().is_some_and(|list| list.iter().all(is_snapshot))
    });
    if !fields.get("answers").is_some_and(reads_as::<Vec<Answer>>) {
        fields.take("answers");
    }
    repair_question(&mut fields);
    fields.take("strategy"); // the Node server drops it, too
    leave_out_keys(&mut fields, notes);
    let logs = ["events", "timeline", "docs"].map(|key| log(fields.take_list(key)));
    fields.drop_unknown("sessions", SESSION, &mut notes.unknown);
    let head = Arc::new(fields.into_record::<SessionHead>()?.into());
    let [events, timeline, docs] = logs;
    Ok(Session {
        head,
        events: events?,
        timeline: timeline?,
        docs: docs?,
    })
}

/// When a session began, for sorting: without the cost of its histories.
pub(super) fn session_start(found: &Found) -> Millis {
    let mut fields = Fields::new(Map::new());
    let get = |key| found.map.get(key).cloned().unwrap_or_default();
    let id = get("id");
    fields.set("startedAt", get("startedAt"));
    fields.millis("startedAt", instant_in(id.as_str().unwrap_or(&found.stem)))
}

fn leave_out_keys(fields: &mut Fields, notes: &mut Notes) {
    fields.object("env");
    if let Some(Value::Object(mut env)) = fields.take("env") {
        let all = env.len();
        env.retain(|name, _| !is_provider_key(name));
        notes.keys += (all - env.len()) as u64;
        fields.set("env", env);
    }
}

fn repair_question(fields: &mut Fields) {
    if let Some(Value::Object(question)) = fields.take("needsInput") {
        let mut question = Fields::new(question);
        question.keep_if("active", Value::is_boolean);
        question.keep_if("message", Value::is_string);
        question.keep_if("since", Value::is_i64);
        question.keep_if("requestId", reads_as::<RequestId>);
        question.keep_if("answeredBy", reads_as::<Answerer>);
        question.keep_if("answeredAt", Value::is_i64);
        if question.get("active").is_none_or(Value::is_null) {
            question.set("active", false);
        }
        fields.set("needsInput", question.into_map());
    }
}

fn reads_as<T: DeserializeOwned>(value: &Value) -> bool {
    T::deserialize(value).is_ok()
}

fn log(entries: Vec<Value>) -> Read<Log> {
    let mut log = Log::default();
    for entry in entries {
        log.append(&entry).map_err(|error| error.to_string())?;
    }
    Ok(log)
}

/// `None`: an id of a default member, which is nobody's own.
pub(super) fn member(found: Found, folder: &str, notes: &mut Notes) -> Read<Option<Member>> {
    let mut fields = Fields::new(found.map);
    let id: MemberId = fields.id("id", &found.stem)?;
    let project: ProjectId = fields.id("projectId", folder)?;
    if DefaultMember::named(&project, &id).is_some() {
        return Ok(None);
    }
    for (key, otherwise) in [
        ("name", id.as_str()),
        ("role", ""),
        ("identity", ""),
        ("avatar", "🤖"),
    ] {
        fields.text(key, otherwise);
    }
    fields.texts("skillIds");
    fields.set("isDefault", false);
    fields.word("status", &["active", "archived"], "active");
    for key in [
        "model",
        "agentTool",
        "mode",
        "workflowTemplateId",
        "customWorkflow",
    ] {
        fields.keep_if(key, Value::is_string);
    }
    fields.keep_if("capabilities", Value::is_object);
    fields.keep_if("commandPermissions", Value::is_object);
    let made = instant_in(id.as_str()).iso();
    fields.text("createdAt", &made);
    let made = fields
        .get("createdAt")
        .and_then(Value::as_str)
        .unwrap_or(&made)
        .to_owned();
    fields.text("updatedAt", &made);
    fields.drop_unknown("members", MEMBER, &mut notes.unknown);
    fields.into_record().map(Some)
}

/// What a project changed in a default member.
pub(super) struct Override {
    pub(super) project: ProjectId,
    pub(super) member: MemberId,
    pub(super) changes: Arc<Map<String, Value>>,
}

/// `None`: of a default member that nobody knows.
pub(super) fn member_override(found: Found, folder: &str) -> Read<Option<Override>> {
    let mut fields = Fields::new(found.map);
    let project: ProjectId = fields.id("projectId", folder)?;
    let name = found.stem.strip_suffix(".override").unwrap_or(&found.stem);
    let member = MemberId::parse(name).map_err(|error| error.to_string())?;
    if DefaultMember::named(&project, &member).is_none() {
        return Ok(None);
    }
    fields.take("id");
    fields.take("isDefault");
    fields.text("updatedAt", &Millis(0).iso());
    Ok(Some(Override {
        project,
        member,
        changes: Arc::new(fields.into_map()),
    }))
}

pub(super) fn ordering(found: Found, kind: OrderingKind) -> Read<Ordering> {
    let mut fields = Fields::new(found.map);
    fields.id::<ProjectKind>("projectId", &found.stem)?;
    fields.set("entityType", json!(kind));
    let ids = fields.take_list("orderedIds");
    fields.set("orderedIds", ids);
    fields.millis("updatedAt", Millis(0));
    fields.into_record()
}

/// The second value is true if the file does not say to which conversation it belongs: it is its own then, until
/// somebody looks at what it answers.
pub(super) fn mail(found: Found, notes: &mut Notes) -> Read<(Mail, bool)> {
    let mut fields = Fields::new(found.map);
    let id = fields.id::<MailKind>("id", &found.stem)?;
    fields.id::<ProjectKind>("projectId", "")?;
    fields.id::<SessionKind>("fromSessionId", "")?;
    fields.id_or_null::<SessionKind>("toSessionId");
    fields.id_or_null::<MailKind>("replyToMailId");
    let types = [
        "assignment",
        "status_update",
        "query",
        "response",
        "directive",
        "notification",
    ];
    fields.word("type", &types, "notification");
    fields.text("subject", "");
    fields.object("body");
    fields.millis("createdAt", instant_in(id.as_str()));
    let priorities = ["critical", "high", "normal", "low"];
    fields.keep_if("priority", |value| {
        value.as_str().is_some_and(|word| priorities.contains(&word))
    });
    let threadless = fields.get("threadId").and_then(Value::as_str).is_none();
    fields.id::<MailKind>("threadId", id.as_str())?;
    fields.drop_unknown("mails", MAIL, &mut notes.unknown);
    Ok((fields.into_record()?, threadless))
}

fn is_texts(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|list| list.iter().all(Value::is_string))
}

fn is_snapshot(value: &Value) -> bool {
    ["name", "avatar", "role"]
        .iter()
        .all(|key| value.get(key).is_some_and(Value::is_string))
}
