//! `/api/skills` (API.md section 12).

use std::path::PathBuf;

use axum::extract::State;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::skills::{Skill, Skills};

use super::super::{
    Hub,
    body::Texts,
    describe::{does, get, post, text, word},
    error::RouteError,
    query::Params,
    reply::{self, Answer, Wanted},
    routes::Routes,
};

pub(super) fn routes() -> Routes {
    let named = |summary| does(summary).path("id", "The name of its folder", text());
    Routes::new()
        .route(
            "/api/skills",
            get(
                list,
                does("Skills for all projects, and those of one")
                    .query("projectPath", "The directory of that project", text())
                    .ok::<Vec<Entry>>(),
            ),
        )
        .route(
            "/api/skills/{id}",
            get(show, named("One skill, with its text").ok::<Summary>()),
        )
        .route(
            "/api/skills/{id}/reload",
            post(reload, named("Reads all skills afresh").ok::<Summary>()),
        )
        .route(
            "/api/skills/mode/{mode}",
            get(
                of_mode,
                does("Skills for agents of a mode")
                    .path("mode", "The mode", word(&["execute", "coordinate"]))
                    .ok::<Vec<Summary>>(),
            ),
        )
}

/// Reads files where waiting for a disk holds nobody up.
async fn read<T: Send + 'static>(
    hub: &Hub,
    work: impl FnOnce(&Skills) -> T + Send + 'static,
) -> Result<T, RouteError> {
    let skills = hub.skills().clone();
    let done = tokio::task::spawn_blocking(move || work(&skills)).await;
    done.map_err(|_| RouteError::stopping()) // a panic is in the log; otherwise the runtime is at its end
}

/// A skill in the list, as [`entry`] writes it. What else its front matter says stands beside.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Skill")]
#[allow(dead_code, reason = "only its shape is wanted")]
struct Entry {
    id: String,
    name: String,
    /// As in the front matter, so possibly no text.
    description: Value,
    /// As in the front matter, so possibly a number.
    version: Value,
    skill_scope: String,
    skill_source: String,
    skill_path: String,
    content: String,
    has_references: bool,
    reference_count: u32,
}

/// A skill alone, as [`summary`] writes it.
#[derive(JsonSchema)]
#[schemars(rename = "SkillSummary")]
#[allow(dead_code, reason = "only its shape is wanted")]
struct Summary {
    id: String,
    name: String,
    /// As in the front matter, so possibly no text.
    description: Value,
    /// `mode` leads others, `custom` does not.
    #[serde(rename = "type")]
    kind: String,
    /// As in the front matter, so possibly a number.
    version: Value,
    /// Its text, where one skill is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    /// Where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    reloaded: Option<bool>,
}

async fn list(State(hub): State<Hub>, query: Params) -> Answer {
    let project = query.text("projectPath").map(PathBuf::from);
    let found = read(&hub, move |skills| skills.list(project.as_deref())).await?;
    let entries: Vec<Value> = found.iter().map(entry).collect();
    Ok(reply::ok(&entries))
}

/// Fields of the front matter that are shown if they are there, and what they are called.
const OPTIONAL: [(&str, &str); 8] = [
    ("triggers", "triggers"),
    ("role", "role"),
    ("output-format", "outputFormat"),
    ("language", "language"),
    ("framework", "framework"),
    ("tags", "tags"),
    ("category", "category"),
    ("license", "license"),
];

fn entry(skill: &Skill) -> Value {
    let file = &skill.file;
    let mut entry = Map::new();
    entry.insert("id".into(), name(skill).into());
    entry.insert("name".into(), name(skill).into());
    entry.insert("description".into(), description(skill));
    entry.insert("version".into(), version(skill));
    for (key, shown) in OPTIONAL {
        if let Some(value) = file.value(key) {
            entry.insert(shown.into(), value.clone());
        }
    }
    entry.insert("skillScope".into(), skill.scope.as_str().into());
    entry.insert("skillSource".into(), skill.source.as_str().into());
    entry.insert("skillPath".into(), skill.path.to_string_lossy().into());
    entry.insert("content".into(), file.content.as_str().into());
    entry.insert("hasReferences".into(), false.into());
    entry.insert("referenceCount".into(), 0.into());
    entry.into()
}

fn name(skill: &Skill) -> &str {
    skill.file.text("name").unwrap_or(&skill.folder)
}

fn description(skill: &Skill) -> Value {
    skill
        .file
        .value("description")
        .cloned()
        .unwrap_or_else(|| "".into())
}

/// As in the front matter, so possibly a number.
fn version(skill: &Skill) -> Value {
    skill
        .file
        .value("version")
        .cloned()
        .unwrap_or_else(|| "1.0.0".into())
}

fn leads(skill: &Skill) -> bool {
    skill.file.text("role") == Some("orchestrator")
}

/// A skill alone; its text is added by the one route that shows it.
fn summary(skill: &Skill) -> Value {
    json!({
        "id": name(skill),
        "name": name(skill),
        "description": description(skill),
        "type": if leads(skill) { "mode" } else { "custom" },
        "version": version(skill),
    })
}

async fn find(hub: &Hub, id: String) -> Result<Skill, RouteError> {
    let missing = RouteError::Missing(format!("Skill not found: {id}"));
    read(hub, move |skills| skills.find(&id)).await?.ok_or(missing)
}

async fn show(State(hub): State<Hub>, Texts(id): Texts<String>) -> Answer {
    let skill = find(&hub, id).await?;
    let mut shown = summary(&skill);
    shown["instructions"] = skill.file.content.as_str().into();
    Ok(reply::ok(&shown))
}

async fn of_mode(State(hub): State<Hub>, Texts(mode): Texts<String>) -> Answer {
    let leading = match mode.as_str() {
        "execute" => false,
        "coordinate" => true,
        _ => return Err(RouteError::check("Mode must be \"execute\" or \"coordinate\"")),
    };
    let found = read(&hub, |skills| skills.list(None)).await?;
    let found = found.iter().filter(|skill| leads(skill) == leading);
    Ok(reply::ok(&found.map(summary).collect::<Vec<_>>()))
}

async fn reload(State(hub): State<Hub>, wanted: Wanted, Texts(id): Texts<String>) -> Answer {
    hub.skills().forget();
    let mut shown = summary(&find(&hub, id).await?);
    shown["reloaded"] = true.into();
    Ok(wanted.ok(&shown))
}
