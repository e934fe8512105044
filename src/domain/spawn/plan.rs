//! A spawn that has passed every check: everything resolved, nothing done yet.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::domain::{
    Change, Event, Machine, ManifestOrder, Maybe, Member, MemberId, Mint, Mode, NewSession, Project,
    ProjectId, Session, SessionId, Snapshot, SpawnAnnouncement, Task,
};

use super::{SpawnPlace, SpawnRefusal, SpawnScene, SpawnWish};

/// What is going to be spawned.
#[derive(Clone, Debug)]
pub struct SpawnPlan {
    project: Arc<Project>,
    task_ids: Vec<String>,
    tasks: Vec<Arc<Task>>,
    source: Source,
    parent: Option<String>,
    mode: Mode,
    name: String,
    skills: Vec<String>,
    model: Option<String>,
    agent_tool: Option<String>,
    identity_ids: Vec<String>,
    identities: Vec<Arc<Member>>,
    delegate_ids: Vec<String>,
    delegates: Vec<Arc<Member>>,
    context: Value,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Ui,
    Session,
}

impl Source {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ui => "ui",
            Self::Session => "session",
        }
    }
}

impl SpawnPlan {
    /// Checks `wish` in the contract's order and resolves what it leaves open.
    pub fn make(wish: SpawnWish, scene: &dyn SpawnScene) -> Result<Self, SpawnRefusal> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        if wish.project_id.is_empty() {
            return Err(SpawnRefusal::MissingProjectId);
        }
        let task_ids = wish.task_ids.filter(|ids| !ids.is_empty());
        let task_ids = task_ids.ok_or(SpawnRefusal::InvalidTaskIds)?;
        let source = match given(wish.spawn_source).as_deref() {
            None | Some("ui") => Source::Ui,
            Some("session") => Source::Session,
            Some(_) => return Err(SpawnRefusal::InvalidSpawnSource),
        };
        let parent = given(wish.session_id);
        check_parent(source, parent.as_deref(), scene)?;
        let tasks = find_tasks(&task_ids, scene)?;
        let identity_ids = match wish.team_member_ids.is_empty() {
            true => members_of(&tasks),
            false => wish.team_member_ids,
        };
        let identities = find_members(&wish.project_id, &identity_ids, scene);
        let mode = given(wish.mode).or_else(|| first(&identities, |member| &member.mode));
        let mode = mode.map_or(Some(Mode::Execute), |name| Mode::parse(&name));
        let mode = mode.ok_or(SpawnRefusal::InvalidMode)?;
        let project = find_project(&wish.project_id, scene)?;
        let name = given(wish.session_name).unwrap_or_else(|| match mode {
            Mode::Execute => format!("Execute for {}", task_ids[0]),
            Mode::Coordinate => format!("Coordinate for {}", task_ids[0]),
        });
        Ok(Self {
            delegates: find_members(&wish.project_id, &wish.delegate_ids, scene),
            model: given(wish.model).or_else(|| strongest_model(&identities)),
            agent_tool: given(wish.agent_tool).or_else(|| first(&identities, |member| &member.agent_tool)),
            context: wish.context.unwrap_or_else(|| json!({})),
            skills: wish.skills,
            delegate_ids: wish.delegate_ids,
            project,
            task_ids,
            tasks,
            source,
            parent,
            mode,
            name,
            identity_ids,
            identities,
        })
    }

    /// What the manifest is to say.
    pub fn manifest(&self) -> ManifestOrder {
        let mut reference_task_ids: Vec<String> = Vec::new();
        for id in self.tasks.iter().flat_map(|task| &task.reference_task_ids) {
            if !reference_task_ids.contains(id) {
                reference_task_ids.push(id.clone());
            }
        }
        ManifestOrder {
            mode: self.mode,
            project: self.project.clone(),
            tasks: self.tasks.clone(),
            skills: self.skills.clone(),
            model: self.model.clone(),
            agent_tool: self.agent_tool.clone(),
            reference_task_ids,
            identity_ids: self.identity_ids.clone(),
            delegate_ids: self.delegate_ids.clone(),
            members: self.identities.iter().chain(&self.delegates).cloned().collect(),
        }
    }

    /// The same plan on what is there now: making a manifest takes time, in which anything may have gone.
    pub fn refresh(self, scene: &dyn SpawnScene) -> Result<Self, SpawnRefusal> {
        check_parent(self.source, self.parent.as_deref(), scene)?;
        Ok(Self {
            tasks: find_tasks(&self.task_ids, scene)?,
            project: find_project(self.project.id.as_str(), scene)?,
            ..self
        })
    }

    /// Makes the session `id`, links its tasks, and announces it, now that there is a `manifest`. The change holds the
    /// session once more.
    pub fn carry_out(
        self,
        id: SessionId,
        manifest: Value,
        place: &SpawnPlace,
        machine: &Machine,
        mint: &mut Mint,
    ) -> (Session, Change) {
        let project = &self.project;
        let env_vars = place.environment(&id, mint.now(), self.mode, self.parent.as_deref());
        let wish = NewSession {
            id: Some(id.clone()),
            task_ids: self.task_ids.clone(),
            name: Some(self.name.clone()),
            status: Some("spawning".into()),
            env: place.masked(env_vars.clone()), // the session itself leaves the providers' keys out
            metadata: Maybe::Value(self.metadata()),
            parent_session_id: self.parent.clone(),
            quiet: true, // there is no `session:created` for a spawned session
            ..NewSession::default()
        };
        let (mut session, mut change) = Session::create(wish, project.id.clone(), &self.tasks, machine, mint);
        if !self.identity_ids.is_empty() {
            let snapshots = self.identities.iter().map(|member| Snapshot::of(member));
            session
                .head_mut()
                .take_on(self.identity_ids.clone(), snapshots.collect());
        }
        change.session = Some(session.clone());
        change.events.push(Event::SessionUpdated(session.clone()));
        let announcement = SpawnAnnouncement {
            session: session.clone(),
            command: match self.mode {
                Mode::Execute => "maestro worker init",
                Mode::Coordinate => "maestro orchestrator init",
            },
            cwd: project.working_dir.clone(),
            env_vars,
            manifest,
            task_ids: self.task_ids.clone(),
            spawn_source: self.source.as_str(),
            parent_session_id: self.parent,
        };
        change.events.push(Event::SessionSpawn(Arc::new(announcement)));
        change
            .events
            .extend(self.task_ids.into_iter().map(|task| Event::TaskSessionAdded {
                task,
                session: id.clone(),
                project: project.id.clone(),
            }));
        (session, change)
    }

    fn metadata(&self) -> Value {
        let sole = match self.identity_ids.as_slice() {
            [id] => Some(id),
            _ => None,
        };
        let all = (!self.identity_ids.is_empty()).then_some(&self.identity_ids);
        json!({
            "skills": self.skills,
            "spawnedBy": self.parent,
            "spawnSource": self.source.as_str(),
            "mode": self.mode.as_str(),
            "teamMemberId": sole,
            "teamMemberIds": all,
            "context": self.context,
        })
    }
}

/// Only a session that asks itself must exist; a parent named by the UI is taken at its word.
fn check_parent(source: Source, parent: Option<&str>, scene: &dyn SpawnScene) -> Result<(), SpawnRefusal> {
    match (source, parent) {
        (Source::Ui, _) => Ok(()),
        (Source::Session, None) => Err(SpawnRefusal::MissingSessionId),
        (Source::Session, Some(id)) if !scene.has_session(id) => {
            Err(SpawnRefusal::ParentNotFound(id.to_owned()))
        }
        (Source::Session, Some(_)) => Ok(()),
    }
}

fn find_tasks(ids: &[String], scene: &dyn SpawnScene) -> Result<Vec<Arc<Task>>, SpawnRefusal> {
    let found = ids.iter().map(|id| {
        let task = scene.task(id);
        task.ok_or_else(|| SpawnRefusal::TaskNotFound(id.clone()))
    });
    found.collect()
}

fn find_project(id: &str, scene: &dyn SpawnScene) -> Result<Arc<Project>, SpawnRefusal> {
    let project = scene.project(id);
    project.ok_or_else(|| SpawnRefusal::ProjectNotFound(id.to_owned()))
}

/// The members meant to do these tasks, in task order and without repeats.
fn members_of(tasks: &[Arc<Task>]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for task in tasks {
        let several = task.team_member_ids.value().filter(|ids| !ids.is_empty());
        let named = match several {
            Some(several) => several.as_slice(),
            None => task.team_member_id.value().map_or(&[][..], std::slice::from_ref),
        };
        for id in named {
            if !id.is_empty() && !ids.contains(id) {
                ids.push(id.clone());
            }
        }
    }
    ids
}

fn find_members(project: &str, ids: &[String], scene: &dyn SpawnScene) -> Vec<Arc<Member>> {
    let Ok(project) = ProjectId::parse(project) else {
        return Vec::new();
    };
    let known = ids.iter().filter(|id| MemberId::parse(id).is_ok());
    known.filter_map(|id| scene.member(&project, id)).collect()
}

fn first(members: &[Arc<Member>], field: fn(&Member) -> &Maybe<String>) -> Option<String> {
    let mut given = members.iter().filter_map(|member| field(member).value());
    given.find(|text| !text.is_empty()).cloned()
}

/// `opus` before `sonnet` before `haiku`; other names never win.
fn strongest_model(members: &[Arc<Member>]) -> Option<String> {
    let has = |model: &str| {
        members
            .iter()
            .any(|member| member.model.value().is_some_and(|m| m == model))
    };
    let strongest = ["opus", "sonnet", "haiku"].into_iter().find(|model| has(model));
    strongest.map(str::to_owned)
}
