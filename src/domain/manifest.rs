//! Manifests: what an agent is told when it starts (MANIFEST.md sections 3 and 4). Says what is in one; nobody writes
//! a file here.
//!
//! The program that reads a manifest refuses it whole for one unknown key or one value of a wrong kind. Texts that
//! users may choose freely (a priority, a member's tool) are therefore left out where they mean nothing to it.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::{Maybe, Member, Project, Task};

/// Agent programs that the client knows how to start.
const TOOLS: [&str; 3] = ["claude-code", "codex", "gemini"];
const PRIORITIES: [&str; 4] = ["low", "medium", "high", "critical"];
/// Tasks have no acceptance criteria of their own, but the list may not be empty; the prompt leaves this entry out.
const NO_CRITERIA: &str = "n/a";

/// Whether an agent works itself or leads others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Does the tasks.
    Execute,
    /// Hands them out.
    Coordinate,
}

impl Mode {
    /// The mode of this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "execute" => Some(Self::Execute),
            "coordinate" => Some(Self::Coordinate),
            _ => None,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Coordinate => "coordinate",
        }
    }
}

/// What a manifest is to say.
#[derive(Clone, Debug)]
pub struct ManifestOrder {
    /// How the agent works.
    pub mode: Mode,
    /// Where it works.
    pub project: Arc<Project>,
    /// What it works on, in order; at least one.
    pub tasks: Vec<Arc<Task>>,
    /// Skill names.
    pub skills: Vec<String>,
    /// Model, if one was resolved.
    pub model: Option<String>,
    /// Agent program, if one was resolved.
    pub agent_tool: Option<String>,
    /// Tasks to read first.
    pub reference_task_ids: Vec<String>,
    /// Ids of the identities of the session, unknown ones included.
    pub identity_ids: Vec<String>,
    /// Ids of the members to delegate to.
    pub delegate_ids: Vec<String>,
    /// Every member named above that exists, defaults and overrides applied.
    pub members: Vec<Arc<Member>>,
}

/// An agent program nobody knows how to start.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("agent tool `{0}` is unknown: claude-code, codex and gemini can be started")]
pub struct UnknownTool(pub String);

impl ManifestOrder {
    /// The members whose profiles the agent takes on together: its identities if it has several, else those it
    /// delegates to. If there are any, a sole identity does not count.
    pub fn profile_ids(&self) -> &[String] {
        match self.identity_ids.len() {
            2.. => &self.identity_ids,
            _ => &self.delegate_ids,
        }
    }

    /// The one identity, if there is exactly one.
    pub fn sole_identity(&self) -> Option<&str> {
        match self.identity_ids.as_slice() {
            [id] => Some(id),
            _ => None,
        }
    }

    /// The tool to name: `claude-code` is what is started if none is named.
    pub fn named_tool(&self) -> Option<&str> {
        self.agent_tool.as_deref().filter(|tool| *tool != "claude-code")
    }

    /// The manifest.
    pub fn build(&self) -> Result<Value, UnknownTool> {
        let mut manifest = Map::new();
        manifest.insert("manifestVersion".into(), "1.0".into());
        manifest.insert("mode".into(), self.mode.as_str().into());
        let tasks: Vec<Value> = self.tasks.iter().map(|task| task_part(task)).collect();
        manifest.insert("tasks".into(), tasks.into());
        manifest.insert("session".into(), self.session_part());
        let ids: Vec<&str> = self.tasks.iter().map(|task| task.id.as_str()).collect();
        manifest.insert("context".into(), json!({"custom": {"taskIds": ids}}));
        manifest.insert("skills".into(), self.skills_part());
        if let Some(tool) = self.named_tool() {
            let tool = known_tool(tool).ok_or_else(|| UnknownTool(tool.to_owned()))?;
            manifest.insert("agentTool".into(), tool.into());
        }
        if !self.reference_task_ids.is_empty() {
            manifest.insert("referenceTaskIds".into(), self.reference_task_ids.clone().into());
        }
        if self.profile_ids().is_empty() {
            if let Some(member) = self.sole_identity().and_then(|id| self.member(id)) {
                identity_part(member, &mut manifest);
            }
        } else {
            let members = self.profile_ids().iter().filter_map(|id| self.member(id));
            team_part(&members.collect::<Vec<_>>(), &mut manifest);
        }
        Ok(manifest.into())
    }

    fn member(&self, id: &str) -> Option<&Member> {
        let found = self.members.iter().find(|member| member.id.as_str() == id);
        found.map(|member| &**member)
    }

    fn session_part(&self) -> Value {
        let mut session = json!({
            "model": self.model.as_deref().unwrap_or("sonnet"),
            "permissionMode": "acceptEdits",
            "thinkingMode": "auto",
        });
        if !self.project.working_dir.is_empty() {
            session["workingDirectory"] = self.project.working_dir.as_str().into();
        }
        session
    }

    /// As the client program splits its option: no skills give one empty name, and a comma separates.
    fn skills_part(&self) -> Value {
        let joined = self.skills.join(",");
        joined.split(',').collect::<Vec<_>>().into()
    }
}

fn known_tool(name: &str) -> Option<&str> {
    TOOLS.contains(&name).then_some(name)
}

fn task_part(task: &Task) -> Value {
    let mut part = json!({
        "id": task.id,
        "title": task.title,
        "description": task.description,
        "acceptanceCriteria": [NO_CRITERIA],
        "projectId": task.project_id,
        "createdAt": task.created_at.iso(),
        "parentId": task.parent_id,
        "dependencies": task.dependencies,
    });
    if PRIORITIES.contains(&task.priority.as_str()) {
        part["priority"] = task.priority.as_str().into();
    }
    part
}

fn identity_part(member: &Member, manifest: &mut Map<String, Value>) {
    manifest.insert("teamMemberId".into(), member.id.as_str().into());
    manifest.insert("teamMemberName".into(), member.name.as_str().into());
    manifest.insert("teamMemberAvatar".into(), member.avatar.as_str().into());
    manifest.insert("teamMemberIdentity".into(), member.identity.as_str().into());
    for (key, value) in abilities(member) {
        let mut letters = key.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        let key = first.into_iter().chain(letters).collect::<String>();
        manifest.insert(format!("teamMember{key}"), value);
    }
}

fn team_part(members: &[&Member], manifest: &mut Map<String, Value>) {
    if members.is_empty() {
        return;
    }
    let profiles: Vec<Value> = members.iter().map(|member| profile(member)).collect();
    manifest.insert("teamMemberProfiles".into(), profiles.into());
    if !manifest.contains_key("agentTool")
        && let Some(tool) = members.iter().find_map(|member| tool_of(member))
    {
        manifest.insert("agentTool".into(), tool.into());
    }
    let capabilities = union(members.iter().filter_map(|member| capabilities(member)));
    if !capabilities.is_empty() {
        manifest.insert("teamMemberCapabilities".into(), capabilities.into());
    }
    let mut permissions = Map::new();
    for key in ["groups", "commands"] {
        let united = union(members.iter().filter_map(|member| permission(member, key)));
        if !united.is_empty() {
            permissions.insert(key.into(), united.into());
        }
    }
    if !permissions.is_empty() {
        manifest.insert("teamMemberCommandPermissions".into(), permissions.into());
    }
    let team: Vec<Value> = members.iter().map(|member| team_entry(member)).collect();
    manifest.insert("teamMembers".into(), team.into());
}

fn profile(member: &Member) -> Value {
    let mut profile = Map::new();
    profile.insert("id".into(), member.id.as_str().into());
    profile.insert("name".into(), member.name.as_str().into());
    profile.insert("avatar".into(), member.avatar.as_str().into());
    profile.insert("identity".into(), member.identity.as_str().into());
    profile.extend(abilities(member).map(|(key, value)| (key.to_owned(), value)));
    add_runtime(member, &mut profile);
    profile.into()
}

fn team_entry(member: &Member) -> Value {
    let mut entry = Map::new();
    entry.insert("id".into(), member.id.as_str().into());
    entry.insert("name".into(), member.name.as_str().into());
    entry.insert("role".into(), member.role.as_str().into());
    entry.insert("identity".into(), member.identity.as_str().into());
    entry.insert("avatar".into(), member.avatar.as_str().into());
    entry.insert("mailId".into(), format!("mail_{}", member.id).into());
    entry.insert("skillIds".into(), member.skill_ids.clone().into());
    add_runtime(member, &mut entry);
    entry.into()
}

fn add_runtime(member: &Member, part: &mut Map<String, Value>) {
    if let Some(model) = text(&member.model) {
        part.insert("model".into(), model.into());
    }
    if let Some(tool) = tool_of(member) {
        part.insert("agentTool".into(), tool.into());
    }
}

/// What a member may and how it works, as far as it says so.
fn abilities(member: &Member) -> impl Iterator<Item = (&'static str, Value)> {
    let permissions = member.command_permissions.value().map(|_| {
        let parts = ["groups", "commands"].into_iter();
        let said = parts.filter_map(|key| Some((key.to_owned(), permission(member, key)?.into())));
        Value::Object(said.collect())
    });
    [
        ("capabilities", capabilities(member).map(Value::Object)),
        ("commandPermissions", permissions),
        (
            "workflowTemplateId",
            text(&member.workflow_template_id).map(Value::from),
        ),
        ("customWorkflow", text(&member.custom_workflow).map(Value::from)),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
}

fn text(field: &Maybe<String>) -> Option<&str> {
    field.value().map(String::as_str).filter(|text| !text.is_empty())
}

fn tool_of(member: &Member) -> Option<&str> {
    text(&member.agent_tool).and_then(known_tool)
}

fn capabilities(member: &Member) -> Option<Map<String, Value>> {
    member.capabilities.value().and_then(flags)
}

fn permission(member: &Member, key: &str) -> Option<Map<String, Value>> {
    member.command_permissions.value()?.get(key).and_then(flags)
}

/// The entries of a map of bool; anything else in it is left out.
fn flags(value: &Value) -> Option<Map<String, Value>> {
    let entries = value.as_object()?.iter().filter(|(_, flag)| flag.is_boolean());
    Some(entries.map(|(key, flag)| (key.clone(), flag.clone())).collect())
}

/// Who may do something with one member's identity may do it with all of them.
fn union(maps: impl Iterator<Item = Map<String, Value>>) -> Map<String, Value> {
    let mut united = Map::new();
    for (key, flag) in maps.flatten() {
        let known = united.entry(key).or_insert(Value::Bool(false));
        if flag == Value::Bool(true) {
            *known = flag;
        }
    }
    united
}
