//! What a phone asks for when it opens a screen, and no event would tell: how the agents are, who can be started, a
//! conversation with its texts.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::{Caller, MailId, MemberStatus, ProjectId, Scope};
use crate::hub::{
    Hub,
    phone::{self, MemberView},
};

use super::verbs::Refusal;

/// Longest answer, in bytes of texts; the newest mail always fits.
const BYTES: usize = 256 << 10;
/// Agents of one answer: those that were heard of last.
const AGENTS: usize = 500;
/// Members of one answer.
const MEMBERS: usize = 200;

/// `agents:list` asks for nothing in particular.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Everybody {}

/// How the agents are that the caller may see.
pub fn agents(hub: &Hub, caller: &Caller, _: Everybody) -> Result<Value, Refusal> {
    may(caller, Scope::View, None)?;
    let app = hub.app();
    let view = app.view();
    let mut agents = app.agents();
    agents.retain(|agent| {
        let head = view.session_head(&agent.sighting.session_id);
        head.is_some_and(|head| caller.may(Scope::View, Some(head.project_id.as_str())))
    });
    agents.sort_by_key(|agent| std::cmp::Reverse(agent.sighting.last_seen));
    let told = agents.iter().take(AGENTS).map(|agent| {
        let sighting = &agent.sighting;
        json!({"sessionId": sighting.session_id, "verdict": sighting.verdict, "lastSeen": sighting.last_seen})
    });
    Ok(json!({"agents": told.collect::<Vec<_>>()}))
}

/// What `team:list` asks for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Team {
    project_id: String,
}

/// Who can be started in a project: its members that are at work.
pub fn team(hub: &Hub, caller: &Caller, team: Team) -> Result<Value, Refusal> {
    let unknown = || {
        Refusal::new(
            "not_found",
            format!("Project with id '{}' not found", team.project_id),
        )
    };
    let project = ProjectId::parse(&team.project_id).map_err(|_| unknown())?;
    let reached = caller
        .device()
        .is_none_or(|device| device.reaches(Some(project.as_str())));
    if !reached || hub.app().project(&project).is_err() {
        return Err(unknown());
    }
    may(caller, Scope::View, Some(&project))?;
    let mut members = hub.app().members(&project);
    members.retain(|member| member.status == MemberStatus::Active);
    members.truncate(MEMBERS);
    let views: Vec<_> = members.iter().map(|member| MemberView::of(member)).collect();
    Ok(json!({"members": views}))
}

/// What `mail:thread` asks for: the conversation of any mail in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thread {
    id: String,
}

/// A conversation, oldest first, as far as the caller may see it; what is too long is cut off at its old end.
pub async fn thread(hub: &Hub, caller: &Caller, thread: Thread) -> Result<Value, Refusal> {
    may(caller, Scope::Mail, None)?;
    let unknown = || Refusal::new("not_found", format!("Mail with id '{}' not found", thread.id));
    let id = MailId::parse(&thread.id).map_err(|_| unknown())?;
    let app = hub.app();
    let mut mails = app.mail_thread(&id).await?;
    if mails.is_empty() {
        // Not the first of its conversation.
        let mail = app.mail(&id).await?;
        mails = app.mail_thread(&mail.thread_id).await?;
    }
    mails.retain(|mail| caller.may(Scope::Mail, Some(mail.project_id.as_str())));
    if mails.is_empty() {
        return Err(unknown());
    }
    let (all, mut bytes, mut told) = (mails.len(), 0, Vec::new());
    for letter in mails.iter().rev().filter_map(phone::events::letter) {
        bytes += letter.to_string().len();
        if bytes > BYTES && !told.is_empty() {
            break;
        }
        told.push(letter);
    }
    told.reverse();
    Ok(json!({"truncated": told.len() < all, "mails": told}))
}

fn may(caller: &Caller, scope: Scope, project: Option<&ProjectId>) -> Result<(), Refusal> {
    match caller.may(scope, project.map(|project| project.as_str())) {
        true => Ok(()),
        false => Err(Refusal::scope(scope)),
    }
}
