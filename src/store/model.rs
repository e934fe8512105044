//! Everything but the histories, as one immutable value. Copying it is cheap; a copy can be changed on its own.

use std::sync::Arc;

use rpds::HashTrieMapSync;
use serde_json::{Map, Value};

use crate::domain::{
    Member, MemberId, Ordering, OrderingKind, Project, ProjectId, Rendered, SessionHead, SessionId, Task,
    TaskId,
};

use super::{
    histories::Histories,
    index::{Groups, Place, Shelf},
};

/// What a project changed in a default member.
pub(super) type Changes = Arc<Map<String, Value>>;

/// A session's record and the way to its histories as they were then.
#[derive(Clone)]
pub(super) struct SessionEntry {
    pub(super) head: Arc<Rendered<SessionHead>>,
    pub(super) histories: Arc<Histories>,
}

/// All records of one instant. `seq` is the number of the last event that led here.
#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) seq: u64,
    last_place: Place,
    pub(super) projects: Shelf<ProjectId, Project>,
    pub(super) tasks: Shelf<TaskId, Task>,
    pub(super) tasks_of_project: Groups<ProjectId, Task>,
    pub(super) parts_of_task: Groups<TaskId, Task>,
    pub(super) sessions: Shelf<SessionId, SessionEntry>,
    pub(super) sessions_of_project: Groups<ProjectId, SessionEntry>,
    pub(super) sessions_of_task: Groups<Arc<str>, SessionEntry>,
    pub(super) members: Shelf<(ProjectId, MemberId), Member>,
    pub(super) members_of_project: Groups<ProjectId, Member>,
    pub(super) overrides: HashTrieMapSync<(ProjectId, MemberId), Changes>,
    pub(super) orderings: HashTrieMapSync<(OrderingKind, ProjectId), Arc<Ordering>>,
}

impl Model {
    /// A place after all others. Never given out twice by one process, so a row's key names one thing only.
    pub(super) fn next_place(&mut self) -> Place {
        self.last_place += 1;
        self.last_place
    }

    /// Keeps a place, or a line, from being given out.
    pub(super) fn claim(&mut self, place: Place) {
        self.last_place = self.last_place.max(place);
    }

    pub(super) fn put_project(&mut self, place: Place, project: Arc<Project>) {
        self.claim(place);
        self.projects.put(place, project.id.clone(), project);
    }

    pub(super) fn remove_project(&mut self, id: &ProjectId) -> Option<Place> {
        self.projects.remove(id).map(|(place, _)| place)
    }

    pub(super) fn put_task(&mut self, place: Place, task: Arc<Task>) {
        self.claim(place);
        if let Some(old) = self.tasks.get(&task.id).cloned() {
            self.forget_task(place, &old);
        }
        self.tasks_of_project
            .put(task.project_id.clone(), place, task.clone());
        if let Some(parent) = &task.parent_id {
            self.parts_of_task.put(parent.clone(), place, task.clone());
        }
        self.tasks.put(place, task.id.clone(), task);
    }

    pub(super) fn remove_task(&mut self, id: &TaskId) -> Option<Place> {
        let (place, old) = self.tasks.remove(id)?;
        self.forget_task(place, &old);
        Some(place)
    }

    fn forget_task(&mut self, place: Place, old: &Task) {
        self.tasks_of_project.remove(old.project_id.clone(), place);
        if let Some(parent) = &old.parent_id {
            self.parts_of_task.remove(parent.clone(), place);
        }
    }

    pub(super) fn put_session(&mut self, place: Place, entry: Arc<SessionEntry>) {
        self.claim(place);
        let id = entry.head.id.clone();
        if let Some(old) = self.sessions.get(&id).cloned() {
            self.forget_session(place, &old.head);
        }
        self.sessions_of_project
            .put(entry.head.project_id.clone(), place, entry.clone());
        for task in &entry.head.task_ids {
            self.sessions_of_task
                .put(task.as_str().into(), place, entry.clone());
        }
        self.sessions.put(place, id, entry);
    }

    pub(super) fn remove_session(&mut self, id: &SessionId) -> Option<Place> {
        let (place, old) = self.sessions.remove(id)?;
        self.forget_session(place, &old.head);
        Some(place)
    }

    fn forget_session(&mut self, place: Place, old: &SessionHead) {
        self.sessions_of_project.remove(old.project_id.clone(), place);
        for task in &old.task_ids {
            self.sessions_of_task.remove(task.as_str().into(), place);
        }
    }

    pub(super) fn put_member(&mut self, place: Place, member: Arc<Member>) {
        self.claim(place);
        self.members_of_project
            .put(member.project_id.clone(), place, member.clone());
        let key = (member.project_id.clone(), member.id.clone());
        self.members.put(place, key, member);
    }

    pub(super) fn remove_member(&mut self, key: &(ProjectId, MemberId)) -> Option<Place> {
        let (place, _) = self.members.remove(key)?;
        self.members_of_project.remove(key.0.clone(), place);
        Some(place)
    }
}

/// The parts of `View` that need nothing but the model, for whoever has a field or method called `model`.
macro_rules! view_of_model {
    () => {
        fn project(&self, id: &ProjectId) -> Option<Arc<Project>> {
            self.model.projects.get(id).cloned()
        }
        fn projects(&self) -> Vec<Arc<Project>> {
            self.model.projects.records().cloned().collect()
        }
        fn task(&self, id: &TaskId) -> Option<Arc<Task>> {
            self.model.tasks.get(id).cloned()
        }
        fn tasks(&self, project: Option<&ProjectId>) -> Vec<Arc<Task>> {
            match project {
                None => self.model.tasks.records().cloned().collect(),
                Some(project) => self.model.tasks_of_project.of(project).cloned().collect(),
            }
        }
        fn children(&self, parent: &TaskId) -> Vec<Arc<Task>> {
            self.model.parts_of_task.of(parent).cloned().collect()
        }
        fn session_head(&self, id: &SessionId) -> Option<Arc<Rendered<SessionHead>>> {
            self.model.sessions.get(id).map(|entry| entry.head.clone())
        }
        fn session_heads(&self, project: Option<&ProjectId>) -> Vec<Arc<Rendered<SessionHead>>> {
            let head = |entry: &Arc<SessionEntry>| entry.head.clone();
            match project {
                None => self.model.sessions.records().map(head).collect(),
                Some(project) => self
                    .model
                    .sessions_of_project
                    .of(project)
                    .map(head)
                    .collect(),
            }
        }
        fn sessions_of_task(&self, task: &str) -> Vec<Arc<Rendered<SessionHead>>> {
            let group = Arc::from(task);
            let entries = self.model.sessions_of_task.of(&group);
            entries.map(|entry| entry.head.clone()).collect()
        }
        fn member(&self, project: &ProjectId, id: &MemberId) -> Option<Arc<Member>> {
            self.model
                .members
                .get(&(project.clone(), id.clone()))
                .cloned()
        }
        fn members(&self, project: &ProjectId) -> Vec<Arc<Member>> {
            self.model.members_of_project.of(project).cloned().collect()
        }
        fn member_override(
            &self,
            project: &ProjectId,
            id: &MemberId,
        ) -> Option<Arc<serde_json::Map<String, serde_json::Value>>> {
            self.model
                .overrides
                .get(&(project.clone(), id.clone()))
                .cloned()
        }
        fn ordering(&self, kind: OrderingKind, project: &ProjectId) -> Option<Arc<Ordering>> {
            self.model.orderings.get(&(kind, project.clone())).cloned()
        }
        fn every_member(&self) -> Vec<Arc<Member>> {
            self.model.members.records().cloned().collect()
        }
        fn every_override(&self) -> Vec<crate::ports::Override> {
            let all = self.model.overrides.iter();
            all.map(|((project, id), changes)| (project.clone(), id.clone(), changes.clone()))
                .collect()
        }
        fn every_ordering(&self) -> Vec<Arc<Ordering>> {
            self.model.orderings.values().cloned().collect()
        }
        fn seq(&self) -> u64 {
            self.model.seq
        }
    };
}
pub(super) use view_of_model;
