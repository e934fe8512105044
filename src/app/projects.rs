//! Projects.

use std::sync::Arc;

use crate::domain::{Event, NewProject, Project, ProjectId, ProjectWish, Refusal};

use super::{App, AppError};

impl App {
    /// All projects, in order of creation.
    pub fn projects(&self) -> Vec<Arc<Project>> {
        self.view().projects()
    }

    /// One project.
    pub fn project(&self, id: &ProjectId) -> Result<Arc<Project>, AppError> {
        Ok(self.view().project(id).ok_or_else(|| Refusal::unknown(id))?)
    }

    /// Makes a project.
    pub async fn create_project(&self, wish: NewProject) -> Result<Arc<Project>, AppError> {
        self.apply(move |tx| {
            let project = Arc::new(Project::create(wish, tx.mint())?);
            tx.put_project(project.clone());
            tx.emit(Event::ProjectCreated(project.clone()));
            Ok(project)
        })
        .await
    }

    /// Changes a project.
    pub async fn update_project(&self, id: ProjectId, wish: ProjectWish) -> Result<Arc<Project>, AppError> {
        wish.check()?;
        self.apply(move |tx| {
            let project = tx.project(&id).ok_or_else(|| Refusal::unknown(&id))?;
            let project = Arc::new(project.update(wish, tx.now()));
            tx.put_project(project.clone());
            tx.emit(Event::ProjectUpdated(project.clone()));
            Ok(project)
        })
        .await
    }

    /// Deletes a project that holds nothing.
    pub async fn delete_project(&self, id: ProjectId) -> Result<(), AppError> {
        self.apply(move |tx| {
            tx.project(&id).ok_or_else(|| Refusal::unknown(&id))?;
            if !tx.tasks(Some(&id)).is_empty() {
                return Err(Refusal::Rule("Cannot delete project with existing tasks".into()).into());
            }
            if !tx.session_heads(Some(&id)).is_empty() {
                return Err(Refusal::Rule("Cannot delete project with existing sessions".into()).into());
            }
            tx.remove_project(&id);
            tx.emit(Event::ProjectDeleted(id));
            Ok(())
        })
        .await
    }
}
