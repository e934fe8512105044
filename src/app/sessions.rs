//! Sessions: how they begin, are found, change, are linked to tasks, and go.

use std::sync::Arc;

use crate::domain::{
    Change, Ending, Machine, NewSession, ProjectId, Refusal, Session, SessionHead, SessionId, SessionWish,
    TaskId,
};
use crate::ports::{Tx, View};

use super::{App, AppError, apply::carry_out, disk::off_the_runtime, known};

/// Sessions taken out at once: what is in memory of a list of thousands with long histories stays small.
const BATCH: usize = 32;
/// Text of histories taken out at once if it is in memory already, in bytes.
const AT_HAND: usize = 1 << 20;

/// Sessions that were found in one state, to be taken out in batches.
pub struct FoundSessions {
    view: Arc<dyn View + Send + Sync>,
    ids: Vec<SessionId>,
    taken: usize,
}

impl FoundSessions {
    /// As many of the next ones as need no reading, a bounded amount of text at a time: a list that is in memory is
    /// answered whole, without leaving the runtime.
    pub fn take_at_hand(&mut self) -> Vec<Session> {
        let (mut sessions, mut bytes) = (Vec::new(), 0);
        while bytes < AT_HAND {
            let Some(session) = self
                .ids
                .get(self.taken)
                .and_then(|id| self.view.session_at_hand(id))
            else {
                break;
            };
            bytes += session.events.bytes() + session.timeline.bytes() + session.docs.bytes();
            sessions.push(session);
            self.taken += 1;
        }
        sessions
    }

    /// The next few, with their histories; none at the end.
    pub async fn take_some(&mut self) -> Result<Option<Vec<Session>>, AppError> {
        let end = self.ids.len().min(self.taken + BATCH);
        if self.taken == end {
            return Ok(None);
        }
        let (view, ids) = (self.view.clone(), self.ids[self.taken..end].to_vec());
        self.taken = end;
        Ok(Some(off_the_runtime(move || view.sessions(&ids)).await?))
    }

    /// True if nothing is left to be taken out.
    pub fn is_exhausted(&self) -> bool {
        self.taken == self.ids.len()
    }
}

impl App {
    /// One session, with its histories and what is known of its identities.
    pub async fn session(&self, id: &SessionId) -> Result<Session, AppError> {
        let head = known::session_head(&*self.view(), id)?;
        self.enrich(&[head]).await?;
        Ok(known::session(&*self.view(), id)?)
    }

    /// Sessions of a project, or of all, that `keep` keeps, in order of creation. Their histories are read as they are
    /// taken out.
    pub async fn sessions(
        &self,
        project: Option<&ProjectId>,
        keep: impl Fn(&SessionHead) -> bool + Send + Sync,
    ) -> Result<FoundSessions, AppError> {
        let select = |view: &dyn View| {
            let mut heads = view.session_heads(project);
            heads.retain(|head| keep(head));
            heads
        };
        let mut view = self.view();
        let mut heads = select(&*view);
        if self.enrich(&heads).await? {
            view = self.view();
            heads = select(&*view);
        }
        let ids = heads.iter().map(|head| head.id.clone()).collect();
        Ok(FoundSessions { view, ids, taken: 0 })
    }

    /// Makes a session and links it to its tasks.
    pub async fn create_session(&self, project: String, wish: NewSession) -> Result<Session, AppError> {
        if project.is_empty() {
            return Err(Refusal::invalid("Project ID is required").into());
        }
        let machine = self.machine();
        self.apply(move |tx| {
            let project = known::project(&*tx, &project)?.id.clone();
            let tasks = wish
                .task_ids
                .iter()
                .map(|id| known::task(&*tx, &TaskId::named(id)?));
            let tasks = tasks.collect::<Result<Vec<_>, _>>()?;
            if let Some(taken) = wish.id.as_ref().filter(|id| tx.session_head(id).is_some()) {
                return Err(Refusal::Conflict(format!("Session with id '{taken}' already exists")).into());
            }
            let (session, change) = Session::create(wish, project, &tasks, &machine, tx.mint());
            carry_out(tx, change);
            Ok(session)
        })
        .await
    }

    /// Changes a session; its end ends its open work on tasks, and its claims.
    pub async fn update_session(&self, id: SessionId, wish: SessionWish) -> Result<Session, AppError> {
        let session = self
            .change_session(id, move |session, tx| {
                let (request, now) = (tx.mint().id(), tx.now());
                Ok(session.update(wish, |task| known::task_named(&*tx, task), request, now))
            })
            .await?;
        if Ending::of(&session.head.status).is_some() {
            self.end_claims(&session.head.id).await;
        }
        Ok(session)
    }

    /// Deletes a session. Its mail and its manifest stay; its claims end.
    pub async fn delete_session(&self, id: SessionId) -> Result<(), AppError> {
        let ended = id.clone();
        self.apply(move |tx| {
            let session = known::session(&*tx, &id)?;
            let tasks: Vec<_> = session
                .head
                .task_ids
                .iter()
                .filter_map(|task| known::task_named(&*tx, task))
                .collect();
            let change = session.delete(&tasks, tx.now());
            tx.remove_session(&id);
            carry_out(tx, change);
            Ok(())
        })
        .await?;
        self.end_claims(&ended).await;
        Ok(())
    }

    /// Links a session and a task.
    pub async fn link_session(&self, id: SessionId, task: TaskId) -> Result<Session, AppError> {
        self.change_session(id, move |session, tx| {
            let task = known::task(&*tx, &task)?;
            Ok(session.link(&task, tx.mint()))
        })
        .await
    }

    /// Unlinks a session and a task.
    pub async fn unlink_session(&self, id: SessionId, task: TaskId) -> Result<Session, AppError> {
        self.change_session(id, move |session, tx| {
            let task = known::task(&*tx, &task)?;
            Ok(session.unlink(&task, tx.mint()))
        })
        .await
    }

    /// Applies a rule about one session that is there, and answers the session as it is then.
    pub(super) async fn change_session(
        &self,
        id: SessionId,
        rule: impl FnOnce(&Session, &mut dyn Tx) -> Result<Change, Refusal> + Send + 'static,
    ) -> Result<Session, AppError> {
        self.apply(move |tx| {
            let session = known::session(&*tx, &id)?;
            let change = rule(&session, tx)?;
            Ok(carry_out(tx, change).unwrap_or(session))
        })
        .await
    }

    /// Where sessions of this hub run.
    pub fn machine(&self) -> Machine {
        Machine {
            hostname: self.facts().hostname.clone(),
            platform: self.facts().platform.to_owned(),
        }
    }
}
