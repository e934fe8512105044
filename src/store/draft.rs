//! One transaction: a copy of the model that a rule changes, and the rows that follow from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rusqlite::Connection;

use crate::domain::{
    Event, Log, Member, MemberId, Millis, Mint, Ordering, OrderingKind, Project, ProjectId, Rendered,
    Session, SessionHead, SessionId, Task, TaskId,
};
use crate::ports::{StoreError, Tx, View};
use crate::sqlite::SqliteError;

use super::{
    histories::{Cache, Histories, Logs},
    index::Place,
    model::{Model, SessionEntry, view_of_model},
    rows,
};

/// A transaction while its rule runs.
pub(super) struct Draft<'a> {
    model: Model,
    mint: Mint,
    events: Vec<Event>,
    touched: Touched,
    /// Sessions that were put, as they are now: their newest entries have no rows yet.
    sessions: BTreeMap<SessionId, Session>,
    grown: Vec<Arc<Histories>>,
    past: Vec<Arc<Histories>>,
    db: &'a Connection,
    cache: &'a Cache,
}

/// What changed, by name: the model knows how it is now. Removed things are named by their places.
#[derive(Default)]
struct Touched {
    projects: BTreeSet<ProjectId>,
    tasks: BTreeSet<TaskId>,
    members: BTreeSet<(ProjectId, MemberId)>,
    overrides: BTreeSet<(ProjectId, MemberId)>,
    orderings: BTreeSet<(OrderingKind, ProjectId)>,
    removed: Vec<(&'static str, Place)>,
}

/// What a transaction led to, to be shown to the world once it is durable.
pub(super) struct Outcome {
    pub(super) model: Model,
    pub(super) now: Millis,
    /// The last of them has the number `model.seq`.
    pub(super) events: Vec<Event>,
    /// Histories as they are now, in memory.
    pub(super) grown: Vec<Arc<Histories>>,
    /// Histories as they were before, or of sessions that are gone.
    pub(super) past: Vec<Arc<Histories>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(model: Model, mint: Mint, db: &'a Connection, cache: &'a Cache) -> Self {
        Self {
            model,
            mint,
            events: Vec::new(),
            touched: Touched::default(),
            sessions: BTreeMap::new(),
            grown: Vec::new(),
            past: Vec::new(),
            db,
            cache,
        }
    }

    /// Where the next mint goes on.
    pub(super) fn serial(&self) -> u32 {
        self.mint.serial()
    }

    /// Writes the rows.
    pub(super) fn save(mut self) -> rusqlite::Result<Outcome> {
        // First what is gone: its name may have been given to something new.
        for (sql, place) in &self.touched.removed {
            rows::remove(self.db, sql, *place)?;
        }
        self.save_records()?;
        for (id, session) in std::mem::take(&mut self.sessions) {
            self.save_session(&id, session)?;
        }
        self.model.seq += self.events.len() as u64;
        Ok(Outcome {
            now: self.mint.now(),
            model: self.model,
            events: self.events,
            grown: self.grown,
            past: self.past,
        })
    }

    fn save_records(&self) -> rusqlite::Result<()> {
        let (db, model, touched) = (self.db, &self.model, &self.touched);
        for id in &touched.projects {
            if let (Some(place), Some(project)) = (model.projects.place(id), model.projects.get(id)) {
                rows::put(db, rows::PUT_PROJECT, place, id.as_str(), &**project)?;
            }
        }
        for id in &touched.tasks {
            if let (Some(place), Some(task)) = (model.tasks.place(id), model.tasks.get(id)) {
                rows::put(db, rows::PUT_TASK, place, id.as_str(), &**task)?;
            }
        }
        for key in &touched.members {
            if let (Some(place), Some(member)) = (model.members.place(key), model.members.get(key)) {
                rows::put_member(db, place, member)?;
            }
        }
        for key in &touched.overrides {
            rows::put_override(db, key, model.overrides.get(key))?;
        }
        for key in &touched.orderings {
            if let Some(ordering) = model.orderings.get(key) {
                rows::put_ordering(db, ordering)?;
            }
        }
        Ok(())
    }

    fn save_session(&mut self, id: &SessionId, session: Session) -> rusqlite::Result<()> {
        let (Some(place), Some(entry)) = (self.model.sessions.place(id), self.model.sessions.get(id)) else {
            return Ok(()); // cannot be: `remove_session` forgets the session here as well
        };
        let (db, old) = (self.db, entry.histories.clone());
        let mut logs = Logs::of(&session);
        let counts = logs.counts();
        let grown = logs.saved() == old.counts;
        let line = if grown { old.line } else { self.model.next_place() };
        if !grown {
            rows::remove(db, rows::REMOVE_SESSION, place)?; // to be made anew under its new line
        }
        rows::put_session(db, place, &session.head, line, counts)?;
        if grown && counts == old.counts {
            return Ok(()); // only the record changed
        }
        match grown {
            true => rows::extend_logs(db, line, old.counts, &logs)?,
            false => rows::write_logs(db, line, &logs)?,
        }
        logs.each_mut().into_iter().for_each(Log::mark_saved);
        let histories = Histories::new(line, counts, Some(logs));
        self.past.push(old);
        self.grown.push(histories.clone());
        let head = session.head;
        self.model
            .put_session(place, Arc::new(SessionEntry { head, histories }));
        Ok(())
    }
}

impl View for Draft<'_> {
    view_of_model!();

    fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        if let Some(session) = self.sessions.get(id) {
            return Ok(Some(session.clone()));
        }
        let Some(entry) = self.model.sessions.get(id) else {
            return Ok(None);
        };
        let logs = match entry.histories.cached() {
            Some(logs) => Some(logs),
            None => entry.histories.load(self.db).map_err(SqliteError::from)?,
        };
        self.cache.used(&entry.histories);
        let lost = || StoreError::Engine(format!("the histories of session '{id}' are incomplete").into());
        Ok(Some(logs.ok_or_else(lost)?.with(entry.head.clone())))
    }
}

impl Tx for Draft<'_> {
    fn mint(&mut self) -> &mut Mint {
        &mut self.mint
    }

    fn now(&self) -> Millis {
        self.mint.now()
    }

    fn put_project(&mut self, project: Arc<Project>) {
        self.touched.projects.insert(project.id.clone());
        let place = self.model.projects.place(&project.id);
        let place = place.unwrap_or_else(|| self.model.next_place());
        self.model.put_project(place, project);
    }

    fn remove_project(&mut self, id: &ProjectId) {
        if let Some(place) = self.model.remove_project(id) {
            self.remove("DELETE FROM projects WHERE place = ?1", place);
        }
    }

    fn put_task(&mut self, task: Arc<Task>) {
        self.touched.tasks.insert(task.id.clone());
        let place = self.model.tasks.place(&task.id);
        let place = place.unwrap_or_else(|| self.model.next_place());
        self.model.put_task(place, task);
    }

    fn remove_task(&mut self, id: &TaskId) {
        if let Some(place) = self.model.remove_task(id) {
            self.remove("DELETE FROM tasks WHERE place = ?1", place);
        }
    }

    fn put_session(&mut self, session: Session) {
        let id = session.head.id.clone();
        let place = self.model.sessions.place(&id);
        let place = place.unwrap_or_else(|| self.model.next_place());
        let histories = match self.model.sessions.get(&id) {
            Some(entry) => entry.histories.clone(),
            None => Histories::new(place, [0; 3], None),
        };
        let head = session.head.clone();
        self.model
            .put_session(place, Arc::new(SessionEntry { head, histories }));
        self.sessions.insert(id, session);
    }

    fn remove_session(&mut self, id: &SessionId) {
        self.sessions.remove(id);
        let entry = self.model.sessions.get(id);
        self.past.extend(entry.map(|entry| entry.histories.clone()));
        if let Some(place) = self.model.remove_session(id) {
            self.remove(rows::REMOVE_SESSION, place);
        }
    }

    fn put_member(&mut self, member: Arc<Member>) {
        let key = (member.project_id.clone(), member.id.clone());
        let place = self.model.members.place(&key);
        let place = place.unwrap_or_else(|| self.model.next_place());
        self.touched.members.insert(key);
        self.model.put_member(place, member);
    }

    fn remove_member(&mut self, project: &ProjectId, id: &MemberId) {
        if let Some(place) = self.model.remove_member(&(project.clone(), id.clone())) {
            self.remove("DELETE FROM members WHERE place = ?1", place);
        }
    }

    fn put_member_override(
        &mut self,
        project: &ProjectId,
        id: &MemberId,
        changes: Option<Arc<serde_json::Map<String, serde_json::Value>>>,
    ) {
        let key = (project.clone(), id.clone());
        match changes {
            Some(changes) => self.model.overrides.insert_mut(key.clone(), changes),
            None => drop(self.model.overrides.remove_mut(&key)),
        }
        self.touched.overrides.insert(key);
    }

    fn put_ordering(&mut self, ordering: Arc<Ordering>) {
        let key = (ordering.entity_type, ordering.project_id.clone());
        self.touched.orderings.insert(key.clone());
        self.model.orderings.insert_mut(key, ordering);
    }

    fn emit(&mut self, event: Event) {
        self.events.push(event);
    }
}

impl Draft<'_> {
    fn remove(&mut self, sql: &'static str, place: Place) {
        self.touched.removed.push((sql, place));
    }
}
