//! A project: a directory that agents work in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Millis, Mint, ProjectId, Refusal};

/// A project as the contract shows it (API.md section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// Its name among all projects.
    pub id: ProjectId,
    /// Shown to people.
    pub name: String,
    /// Absolute directory, or empty.
    #[serde(default)]
    pub working_dir: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it last changed.
    pub updated_at: Millis,
    /// Fields that clients stored beside ours (quirk 12): kept and returned.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What a caller says of a new project.
#[derive(Clone, Debug, Default)]
pub struct NewProject {
    /// Required, trimmed.
    pub name: String,
    /// May be empty.
    pub working_dir: String,
    /// May be empty.
    pub description: String,
}

/// What a caller wants changed.
#[derive(Clone, Debug, Default)]
pub struct ProjectWish {
    /// Stored untrimmed; must not be blank.
    pub name: Option<String>,
    /// Replaced.
    pub working_dir: Option<String>,
    /// Replaced.
    pub description: Option<String>,
    /// Merged key by key.
    pub extra: Map<String, Value>,
}

impl Project {
    /// Makes a project.
    pub fn create(wish: NewProject, mint: &mut Mint) -> Result<Self, Refusal> {
        let name = wish.name.trim();
        if name.is_empty() {
            return Err(Refusal::invalid("Project name is required"));
        }
        Ok(Self {
            id: mint.id(),
            name: name.to_owned(),
            working_dir: wish.working_dir,
            description: wish.description,
            created_at: mint.now(),
            updated_at: mint.now(),
            extra: Map::new(),
        })
    }

    /// The project after `wish`.
    pub fn update(&self, wish: ProjectWish, now: Millis) -> Self {
        let mut next = self.clone();
        next.name = wish.name.unwrap_or(next.name);
        next.working_dir = wish.working_dir.unwrap_or(next.working_dir);
        next.description = wish.description.unwrap_or(next.description);
        next.extra.extend(wish.extra);
        next.updated_at = now;
        next
    }
}

impl ProjectWish {
    /// What is wrong with the wish whatever project it is for.
    pub fn check(&self) -> Result<(), Refusal> {
        match &self.name {
            Some(name) if name.trim().is_empty() => Err(Refusal::invalid("Project name cannot be empty")),
            _ => Ok(()),
        }
    }
}
