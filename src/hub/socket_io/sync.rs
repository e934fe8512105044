//! What a phone asks to know: what it missed, how things stand, what a session's timeline holds.
//!
//! A phone is subscribed before its CONNECT is answered, so whatever it asks for here leaves no gap to what it hears;
//! what it gets twice has the same number.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use crate::app::AppError;
use crate::bus::{Missed, Portion};
use crate::domain::{Caller, Mail, Millis, ProjectId, Scope, SessionHead, SessionId};
use crate::hub::{
    Hub,
    phone::{self, ProjectView, SessionView, TaskView},
};
use crate::ports::{StoreError, View};

use super::{
    fanout,
    peer::{About, Audience, Peer, Wants},
    verbs::{Refusal, object, reached},
};

/// Events in one answer.
const EVENTS: usize = 200;
/// Bytes of one answer; one event always fits.
const BYTES: usize = 64 << 10;
/// Sessions a phone can ask for besides those of its project.
const SUBSCRIBED: usize = 100;
/// Entries of one page.
const PAGE: usize = 100;
/// Of a snapshot: projects, sessions, tasks, mails; the newest of each.
const PROJECTS: usize = 100;
const SESSIONS: usize = 200;
const TASKS: usize = 300;
const MAILS: usize = 50;

/// What `session:subscribe` asks for: a list of ids, or an object that holds one. Each is looked at when it is looked up.
pub fn listed(data: Value) -> Result<Vec<Value>, Refusal> {
    let list = match data {
        Value::Object(mut object) => object.remove("sessionIds"),
        other => Some(other),
    };
    let Some(Value::Array(list)) = list else {
        return Err(Refusal::invalid("a list of session ids is expected"));
    };
    if list.len() > SUBSCRIBED {
        return Err(Refusal::invalid(format!("at most {SUBSCRIBED} sessions")));
    }
    Ok(list)
}

/// Chooses the sessions a phone hears of besides those of its project.
pub fn subscribe(hub: &Hub, peer: &Peer, list: Vec<Value>) -> Result<Value, Refusal> {
    let caller = peer.caller();
    let (mut taken, mut unknown) = (Vec::new(), Vec::new());
    for id in list {
        let head = id.as_str().and_then(|id| reached(hub, &caller, id));
        match head {
            Some(head) => taken.push(head.id.to_string()),
            None => unknown.push(id),
        }
    }
    let ids = taken.iter().cloned().collect();
    peer.choose(
        |wants| {
            if let Wants::Phone { sessions, .. } = wants {
                *sessions = ids;
            }
        },
        [],
    );
    Ok(json!({"sessionIds": taken, "unknown": unknown}))
}

/// What `session:timeline` asks for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Page {
    session_id: String,
    /// The place (from 0) the page ends before; the end if it is not said.
    before: Option<usize>,
    limit: Option<usize>,
}

/// One page of a session's timeline, newest first.
pub async fn timeline(hub: &Hub, peer: &Peer, page: Page) -> Result<Value, Refusal> {
    let unknown = || {
        Refusal::new(
            "not_found",
            format!("Session with id '{}' not found", page.session_id),
        )
    };
    let caller = peer.caller();
    let head = reached(hub, &caller, &page.session_id).ok_or_else(unknown)?;
    may(&caller, Scope::View, &head.project_id)?;
    let view = hub.app().view();
    let id = head.id.clone();
    let session = off_the_runtime(move || view.session(&id)).await?;
    let timeline = session.ok_or_else(unknown)?.timeline;
    let mut text = Vec::new();
    timeline.write_json(&mut text);
    let broken = |error: serde_json::Error| AppError::from(StoreError::Engine(error.to_string().into()));
    let all: Vec<&RawValue> = serde_json::from_slice(&text).map_err(broken)?;
    let before = page.before.unwrap_or(all.len()).min(all.len());
    let first = before.saturating_sub(page.limit.unwrap_or(PAGE).clamp(1, PAGE));
    let (mut entries, mut bytes, mut at) = (Vec::new(), 0, before);
    while at > first {
        let view = phone::timeline::view(all[at - 1].get());
        let length = view.as_ref().map_or(0, |(_, length)| *length);
        if bytes + length > BYTES && !entries.is_empty() {
            break;
        }
        bytes += length;
        entries.extend(view.map(|(entry, _)| entry));
        at -= 1;
    }
    Ok(json!({
        "sessionId": head.id, "entries": entries, "total": all.len(),
        "before": (at > 0).then_some(at),
    }))
}

/// What `state:sync` asks for. Who knows nothing yet says nothing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Since {
    epoch: Option<String>,
    since: Option<u64>,
}

/// What was missed, or how things stand.
pub async fn state(hub: &Hub, peer: &Peer, since: Since) -> Result<Value, Refusal> {
    let caller = peer.caller();
    let audience = peer.audience().ok_or_else(|| Refusal::invalid("no project"))?;
    let (Some(epoch), Some(since)) = (since.epoch, since.since) else {
        return snapshot(hub, &caller, &audience, "nothing is known yet").await;
    };
    let portion = Portion {
        events: EVENTS,
        bytes: usize::MAX, // whole histories count there; what is really sent is counted below
    };
    let missed = hub.bus().replay().missed(&epoch, since, portion, |event| {
        let place = fanout::place(event, hub.app());
        let about = About {
            filter: event.filter_id(),
            project: place.as_deref(),
            scope: phone::events::scope(event),
        };
        peer.wants(about)
    });
    let (epoch, mut seq, events, mut more) = match missed {
        Missed::Events {
            epoch,
            seq,
            events,
            more,
        } => (epoch, seq, events, more),
        Missed::Reset { reason, .. } => return snapshot(hub, &caller, &audience, &reason.to_string()).await,
    };
    let (mut told, mut bytes) = (Vec::new(), 0);
    for event in events {
        let Some(rendered) = fanout::for_phones(&event, &epoch) else {
            continue;
        };
        if bytes + rendered.body.get().len() > BYTES && !told.is_empty() {
            (seq, more) = (event.seq - 1, true);
            break;
        }
        bytes += rendered.body.get().len();
        // It was rendered as JSON just now.
        told.extend(serde_json::from_str::<Value>(rendered.body.get()).ok());
    }
    Ok(json!({"epoch": &*epoch, "seq": seq, "events": told, "more": more}))
}

/// How things stand as far as the phone may see it, and the number of the last event that is in it.
async fn snapshot(
    hub: &Hub,
    caller: &Arc<Caller>,
    audience: &Audience,
    reason: &str,
) -> Result<Value, Refusal> {
    let project = match audience {
        Audience::Project(project) => Some(project.clone()),
        Audience::All => None,
    };
    let named = project.as_ref().map(|project| project.as_str());
    let (epoch, _) = hub.bus().replay().now();
    let view = hub.app().view();
    let cursor = view.seq();
    let mut answer = object([
        ("reset", true.into()),
        ("reason", reason.into()),
        ("epoch", (*epoch).into()),
        ("seq", cursor.into()),
        ("cursor", cursor.into()),
        ("more", false.into()),
    ]);
    if caller.may(Scope::View, named) {
        let presence = presence(hub);
        let (caller, project) = (caller.clone(), project.clone());
        let state =
            off_the_runtime(move || Ok(state_of(&*view, &caller, project.as_ref(), &presence))).await?;
        answer.extend(state);
    }
    if caller.may(Scope::Mail, named) {
        match mails(hub, caller, project).await {
            Ok((mails, truncated)) => {
                answer.insert("mail".into(), mails.into());
                answer.insert("mailTruncated".into(), truncated.into());
            }
            // Everything else is there: what cannot be read is asked for again by who wants to see it.
            Err(refusal) => {
                answer.insert("mailUnavailable".into(), refusal.message.into());
            }
        }
    }
    Ok(answer.into())
}

/// What is known of each agent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Presence {
    verdict: crate::domain::Verdict,
    last_seen: Option<Millis>,
}

fn presence(hub: &Hub) -> HashMap<SessionId, Value> {
    let agents = hub.app().agents().into_iter();
    let known = agents.filter_map(|agent| {
        let presence = Presence {
            verdict: agent.sighting.verdict,
            last_seen: agent.sighting.last_seen,
        };
        Some((agent.sighting.session_id, serde_json::to_value(presence).ok()?))
    });
    known.collect()
}

fn state_of(
    view: &dyn View,
    caller: &Caller,
    project: Option<&ProjectId>,
    presence: &HashMap<SessionId, Value>,
) -> serde_json::Map<String, Value> {
    let reaches = |project: &ProjectId| {
        let device = caller.device();
        device.is_none_or(|device| device.reaches(Some(project.as_str())))
    };
    let mut projects = view.projects();
    projects.retain(|known| reaches(&known.id));
    let (projects, cut_projects) = newest(projects, PROJECTS, |project| project.updated_at);
    let mut heads = view.session_heads(project);
    heads.retain(|head| reaches(&head.project_id));
    let (sessions, cut_sessions) = newest(heads, SESSIONS, |head| head.last_activity);
    let mut tasks = view.tasks(project);
    tasks.retain(|task| reaches(&task.project_id));
    let (tasks, cut_tasks) = newest(tasks, TASKS, |task| task.updated_at);
    let sessions: Vec<Value> = sessions
        .iter()
        .filter_map(|head| session(view, head, presence))
        .collect();
    let projects = projects
        .iter()
        .filter_map(|project| shown(&ProjectView::of(project)));
    let tasks = tasks.iter().filter_map(|task| shown(&TaskView::of(task)));
    object([
        ("projects", projects.collect()),
        ("sessions", sessions.into()),
        ("tasks", tasks.collect()),
        ("truncated", (cut_projects || cut_sessions || cut_tasks).into()),
    ])
}

/// A session with what is known of its agent.
fn session(view: &dyn View, head: &SessionHead, presence: &HashMap<SessionId, Value>) -> Option<Value> {
    let whole = view.session_at_hand(&head.id);
    let whole = whole.or_else(|| view.session(&head.id).ok().flatten());
    let mut told = shown(&SessionView::of(&whole?))?;
    told["presence"] = presence.get(&head.id).cloned().unwrap_or_default();
    Some(told)
}

/// Heads of the newest mails to everybody, to people, and of people.
async fn mails(
    hub: &Hub,
    caller: &Caller,
    project: Option<ProjectId>,
) -> Result<(Vec<Value>, bool), Refusal> {
    let human = SessionId::human();
    let mut projects: Vec<ProjectId> = match project {
        Some(project) => vec![project],
        None => hub
            .app()
            .projects()
            .iter()
            .map(|known| known.id.clone())
            .collect(),
    };
    projects.retain(|project| caller.may(Scope::Mail, Some(project.as_str())));
    projects.truncate(PROJECTS);
    let (mut found, mut more) = (Vec::new(), false);
    for project in &projects {
        let mailbox = hub.app().mailbox();
        let here = mailbox.inbox(project, &human, Millis(0)).await;
        let (here, cut) = newest(here.map_err(AppError::from)?, MAILS, |mail| mail.created_at);
        let mine = mailbox.written(project, &human, MAILS).await;
        let mine = mine.map_err(AppError::from)?.into_iter();
        // What people wrote to everybody is in their inbox too.
        found.extend(mine.filter(|mail| here.iter().all(|known| known.id != mail.id)));
        found.extend(here);
        more |= cut;
    }
    let (found, truncated) = newest(found, MAILS, |mail| mail.created_at);
    Ok((found.iter().filter_map(head).collect(), truncated || more))
}

fn head(mail: &Mail) -> Option<Value> {
    let mut told = phone::events::letter(mail)?;
    told.as_object_mut()?.remove("body");
    Some(told)
}

fn shown(view: &impl Serialize) -> Option<Value> {
    // Views hold texts, numbers and JSON values: these can always be written.
    serde_json::to_value(view).ok()
}

/// The newest of them, newest first; true if there are more.
fn newest<T>(mut all: Vec<T>, most: usize, at: impl Fn(&T) -> Millis) -> (Vec<T>, bool) {
    let more = all.len() > most;
    all.sort_by_key(|one| std::cmp::Reverse(at(one)));
    all.truncate(most);
    (all, more)
}

fn may(caller: &Caller, scope: Scope, project: &ProjectId) -> Result<(), Refusal> {
    match caller.may(scope, Some(project.as_str())) {
        true => Ok(()),
        false => Err(Refusal::new(
            "scope",
            format!("this device lacks the scope {scope}"),
        )),
    }
}

/// Histories may have to be read from disk.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|error| Err(StoreError::Engine(error.to_string().into())));
    done.map_err(|error| AppError::from(error).into())
}
