//! Tasks.

use std::sync::Arc;

use crate::domain::{
    Event, NewTask, ProjectId, Refusal, SessionId, Task, TaskDoc, TaskId, TaskWish, deletion_order,
    docs_of_task,
};
use crate::ports::{CommitError, StoreError, Tx, View};

use super::{App, AppError, apply::carry_out, known};

impl App {
    /// Tasks of a project, or of all, that `keep` keeps, in order of creation.
    pub fn tasks(&self, project: Option<&ProjectId>, keep: impl Fn(&Task) -> bool) -> Vec<Arc<Task>> {
        let mut tasks = self.view().tasks(project);
        tasks.retain(|task| keep(task));
        tasks
    }

    /// One task.
    pub fn task(&self, id: &TaskId) -> Result<Arc<Task>, AppError> {
        Ok(known::task(&*self.view(), id)?)
    }

    /// Direct parts of a task, in order of creation.
    pub fn parts_of_task(&self, id: &TaskId) -> Result<Vec<Arc<Task>>, AppError> {
        let view = self.view();
        known::task(&*view, id)?;
        Ok(view.children(id))
    }

    /// Makes a task.
    pub async fn create_task(&self, wish: NewTask) -> Result<Arc<Task>, AppError> {
        wish.check()?;
        self.apply(move |tx| {
            let project = known::project(&*tx, &wish.project_id)?.id.clone();
            let parent = wish.parent_id.as_deref().map(|id| parent(&*tx, id)).transpose()?;
            let task = Arc::new(Task::create(wish, project, parent, tx.mint()));
            tx.put_task(task.clone());
            tx.emit(Event::TaskCreated(task.clone()));
            Ok(task)
        })
        .await
    }

    /// Changes a task. A session that reports on a task it does not work on yet is linked to it first, and stays linked
    /// even if the wish is then refused (EVENTS.md section 5).
    pub async fn update_task(&self, id: TaskId, wish: TaskWish) -> Result<Arc<Task>, AppError> {
        let updated = self.apply(move |tx| {
            if let Some(reporter) = wish.reporter() {
                link_reporter(tx, &SessionId::named(reporter)?, &id)?;
            }
            Ok(update(tx, &id, wish))
        });
        Ok(updated.await??)
    }

    /// Deletes a task and everything below it. Sessions keep the dead ids.
    pub async fn delete_task(&self, id: TaskId) -> Result<(), AppError> {
        self.apply(move |tx| {
            let root = known::task(&*tx, &id)?;
            for task in deletion_order(&root, |id| tx.children(id)) {
                tx.remove_task(&task.id);
                tx.emit(Event::TaskDeleted {
                    id: task.id.clone(),
                    project: task.project_id.clone(),
                });
            }
            Ok(())
        })
        .await
    }

    /// Documents that the sessions of a task added for it or for no task in particular, oldest first.
    pub fn docs_of_task(&self, id: &TaskId) -> Result<Vec<TaskDoc>, AppError> {
        let view = self.view();
        known::task(&*view, id)?;
        let sessions = view.sessions_of_task(id.as_str());
        let sessions: Vec<SessionId> = sessions.iter().map(|head| head.id.clone()).collect();
        let docs = docs_of_task(id, &view.sessions(&sessions)?);
        docs.map_err(|error| StoreError::Engine(error.to_string().into()).into())
    }
}

/// The id of the task that is to get a part.
fn parent(view: &dyn View, id: &str) -> Result<TaskId, Refusal> {
    match known::task_named(view, id) {
        Some(task) => Ok(task.id.clone()),
        None => Err(Refusal::Unknown {
            kind: "Parent task",
            id: id.to_owned(),
        }),
    }
}

fn update(tx: &mut dyn Tx, id: &TaskId, wish: TaskWish) -> Result<Arc<Task>, Refusal> {
    wish.check()?;
    let change = known::task(&*tx, id)?.update(wish, tx.now());
    carry_out(tx, change);
    known::task(&*tx, id)
}

fn link_reporter(tx: &mut dyn Tx, session: &SessionId, task: &TaskId) -> Result<(), CommitError> {
    let session = known::session(&*tx, session)?;
    if !session.works_on(task.as_str()) {
        let task = known::task(&*tx, task)?;
        let change = session.link(&task, tx.mint());
        carry_out(tx, change);
    }
    Ok(())
}
