//! Spawning: manifest first, then the session with everything that belongs to it in one transaction. A manifest that
//! cannot be made leaves no session behind (quirk 7), and a session that is refused leaves no manifest behind.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use thiserror::Error;

use crate::crash;
use crate::domain::{
    Caller, Member, MemberId, Millis, Project, ProjectId, Scope, Session, SessionId, SpawnPlace, SpawnPlan,
    SpawnRefusal, SpawnScene, SpawnWish, Task, TaskId,
};
use crate::ports::{ManifestError, Manifests, View};

use super::{App, AppError, apply::carry_out, find_member};

/// A session that was spawned.
#[derive(Clone, Debug)]
pub struct Spawned {
    /// As stored: without the providers' keys.
    pub session: Session,
    /// Absolute path of its manifest.
    pub manifest_path: String,
}

/// Why nothing was spawned.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// A check said no.
    #[error(transparent)]
    Refused(#[from] SpawnRefusal),
    /// There is no manifest, or the store failed.
    #[error(transparent)]
    Failed(#[from] AppError),
}

impl From<ManifestError> for SpawnError {
    fn from(error: ManifestError) -> Self {
        Self::Failed(error.into())
    }
}

impl App {
    /// Makes a session that is to be started, and announces it to whoever opens terminals. Its parent is who `caller` has
    /// proved to be.
    pub async fn spawn_session(&self, caller: &Caller, wish: SpawnWish) -> Result<Spawned, SpawnError> {
        let permitted = caller.permit(Scope::Spawn, Some(&wish.project_id));
        permitted.map_err(|refusal| SpawnRefusal::NotYourself(refusal.to_string()))?;
        let wish = wish.signed(caller)?;
        let (plan, id) = self.plan_spawn(wish).await?;
        crash::point("session.planned");
        let path = self.facts().session_dir.join(id.as_str()).join("manifest.json");
        let place = self.spawn_place(&path);
        let manifest = self.manifests().generate(plan.manifest(), path.clone()).await?;
        crash::point("session.manifest");
        let draft = Arc::new(Draft::of(path, self.manifests.clone()));
        let (made, machine) = (draft.clone(), self.machine());
        let manifest_path = place.manifest_path.clone();
        let outcome = self
            .apply(move |tx| {
                let plan = match plan.refresh(&Scene::of(&*tx, tx.now())) {
                    Ok(plan) => plan,
                    Err(refusal) => return Ok(Err(refusal)),
                };
                let (session, change) = plan.carry_out(id, manifest, &place, &machine, tx.mint());
                carry_out(tx, change);
                made.keep(true);
                Ok(Ok(session))
            })
            .await;
        crash::point("session.committed");
        draft.keep(matches!(outcome, Ok(Ok(_))));
        Ok(Spawned {
            session: outcome.map_err(SpawnError::Failed)??,
            manifest_path,
        })
    }

    /// Checks the wish and takes an id for the session, as the manifest's path has it. Changes nothing.
    async fn plan_spawn(&self, wish: SpawnWish) -> Result<(SpawnPlan, SessionId), SpawnError> {
        let planned = self
            .apply(move |tx| {
                let plan = SpawnPlan::make(wish, &Scene::of(&*tx, tx.now()));
                Ok(plan.map(|plan| (plan, tx.mint().id())))
            })
            .await;
        Ok(planned.map_err(SpawnError::Failed)??)
    }

    fn spawn_place(&self, manifest: &Path) -> SpawnPlace {
        let facts = self.facts();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        SpawnPlace {
            manifest_path: text(manifest),
            server_url: facts.server_url.clone(),
            agent_key: facts.agent_key.clone(),
            data_dir: text(&facts.data_dir),
            session_dir: text(&facts.session_dir),
            provider_env: facts.provider_env.clone(),
        }
    }
}

/// A manifest whose session is not made yet: removed on drop unless it is kept. Whoever asked may hang up at any
/// moment, and the transaction then goes on or not without us; the last to let go decides.
struct Draft {
    path: PathBuf,
    manifests: Arc<dyn Manifests>,
    kept: AtomicBool,
}

impl Draft {
    fn of(path: PathBuf, manifests: Arc<dyn Manifests>) -> Self {
        Self {
            path,
            manifests,
            kept: AtomicBool::new(false),
        }
    }

    fn keep(&self, keep: bool) {
        self.kept.store(keep, Ordering::Release);
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !*self.kept.get_mut() {
            self.manifests.discard(&self.path);
        }
    }
}

/// What a spawn looks up, in one consistent state.
struct Scene<'a> {
    view: &'a dyn View,
    now: Millis,
}

impl<'a> Scene<'a> {
    fn of(view: &'a dyn View, now: Millis) -> Self {
        Self { view, now }
    }
}

impl SpawnScene for Scene<'_> {
    fn project(&self, id: &str) -> Option<Arc<Project>> {
        self.view.project(&ProjectId::parse(id).ok()?)
    }

    fn task(&self, id: &str) -> Option<Arc<Task>> {
        self.view.task(&TaskId::parse(id).ok()?)
    }

    fn has_session(&self, id: &str) -> bool {
        SessionId::parse(id).is_ok_and(|id| self.view.session_head(&id).is_some())
    }

    fn member(&self, project: &ProjectId, id: &str) -> Option<Arc<Member>> {
        find_member(self.view, project, &MemberId::parse(id).ok()?, self.now)
    }
}
