//! From the Node server's files into the store: what is new, and what is newer.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::task::spawn_blocking;

use crate::crash;
use crate::domain::{Mail, Member, Ordering, Project, Session, Task};
use crate::ports::{CommitError, MailArchive, Store, StoreError, Tx};

use super::{
    ImportReport, LayoutError, OnProgress,
    read::{self, Contents},
    records::Override,
    report::Notes,
};

/// Records committed together.
const TOGETHER: usize = 64;

/// Sessions are read as long as their files stay below this size together (bytes).
const SESSIONS_TOGETHER: u64 = 8 * 1024 * 1024;

/// Takes everything below `dir` that is not here yet, or is newer than what is here. Nothing is removed, here or
/// there, and nothing is announced to listeners. If it ends half-way, doing it again goes on.
pub async fn import(
    store: &dyn Store,
    mail: &dyn MailArchive,
    dir: &Path,
    progress: OnProgress<'_>,
) -> Result<ImportReport, LayoutError> {
    let root = dir.to_owned();
    let contents = off_the_runtime(move || read::contents(&root)).await??;
    let Contents {
        projects,
        tasks,
        members,
        overrides,
        orderings,
        mails,
        sessions,
        mut notes,
    } = contents;
    let mut import = Import {
        store,
        progress,
        report: ImportReport::default(),
    };
    import.report.projects = import.put("projects", projects, put_project).await?;
    import.report.members = import.put("team members", members, put_member).await?;
    import.report.member_overrides = import.put("team members", overrides, put_override).await?;
    import.report.orderings = import.put("arrangements", orderings, put_ordering).await?;
    import.report.tasks = import.put("tasks", tasks, put_task).await?;
    import.report.sessions = import.sessions(dir, sessions, &mut notes).await?;
    import.report.mails = import.mails(mail, mails).await?;
    notes.close(&mut import.report);
    Ok(import.report)
}

struct Import<'a> {
    store: &'a dyn Store,
    progress: OnProgress<'a>,
    report: ImportReport,
}

impl Import<'_> {
    /// Commits records by the dozen; answers how many were taken.
    async fn put<R: Send + 'static>(
        &mut self,
        what: &'static str,
        records: Vec<R>,
        put: fn(&mut dyn Tx, R) -> bool,
    ) -> Result<u64, LayoutError> {
        let (total, mut done, mut taken) = (records.len() as u64, 0, 0);
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let some: Vec<R> = records.by_ref().take(TOGETHER).collect();
            done += some.len() as u64;
            taken += self.commit(some, put).await?;
            (self.progress)(what, done, total);
        }
        Ok(taken)
    }

    async fn commit<R: Send + 'static>(
        &mut self,
        records: Vec<R>,
        put: fn(&mut dyn Tx, R) -> bool,
    ) -> Result<u64, LayoutError> {
        let (all, taken) = (records.len() as u64, Arc::new(AtomicU64::new(0)));
        let count = taken.clone();
        let rule = move |tx: &mut dyn Tx| -> Result<(), CommitError> {
            for record in records {
                count.fetch_add(u64::from(put(tx, record)), Relaxed);
            }
            Ok(())
        };
        self.store.commit(Box::new(rule)).await?;
        crash::point("import.committed");
        let taken = taken.load(Relaxed);
        self.report.already_there += all - taken;
        Ok(taken)
    }

    async fn sessions(
        &mut self,
        root: &Path,
        files: Vec<PathBuf>,
        notes: &mut Notes,
    ) -> Result<u64, LayoutError> {
        let (total, mut done, mut taken) = (files.len() as u64, 0, 0);
        let mut files = files.into_iter().peekable();
        while files.peek().is_some() {
            let some = next_files(&mut files);
            done += some.len() as u64;
            let (root, mut noted) = (root.to_owned(), std::mem::take(notes));
            let (sessions, noted) = off_the_runtime(move || {
                let sessions = read::sessions(&root, &some, &mut noted);
                (sessions, noted)
            })
            .await?;
            *notes = noted;
            taken += self.commit(sessions, put_session).await?;
            (self.progress)("sessions", done, total);
        }
        Ok(taken)
    }

    async fn mails(&mut self, archive: &dyn MailArchive, mails: Vec<Mail>) -> Result<u64, LayoutError> {
        let (total, mut done, mut taken) = (mails.len() as u64, 0, 0);
        for some in mails.chunks(TOGETHER) {
            let new = archive.put(some.to_vec()).await?;
            crash::point("import.mailed");
            done += some.len() as u64;
            taken += new;
            self.report.already_there += some.len() as u64 - new;
            (self.progress)("mail", done, total);
        }
        Ok(taken)
    }
}

/// The next files to be read together.
fn next_files(files: &mut std::iter::Peekable<std::vec::IntoIter<PathBuf>>) -> Vec<PathBuf> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    while some.len() < TOGETHER && bytes < SESSIONS_TOGETHER {
        let Some(path) = files.next() else {
            break;
        };
        bytes += path.metadata().map_or(0, |facts| facts.len());
        some.push(path);
    }
    some
}

async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LayoutError> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| StoreError::Engine(error.to_string().into()).into())
}

// True if the record was taken: nothing is here under this name, or something older is.

fn put_project(tx: &mut dyn Tx, project: Project) -> bool {
    let here = tx.project(&project.id);
    let take = here.is_none_or(|here| here.updated_at < project.updated_at);
    if take {
        tx.put_project(Arc::new(project));
    }
    take
}

fn put_task(tx: &mut dyn Tx, task: Task) -> bool {
    let here = tx.task(&task.id);
    let take = here.is_none_or(|here| here.updated_at < task.updated_at);
    if take {
        tx.put_task(Arc::new(task));
    }
    take
}

fn put_session(tx: &mut dyn Tx, session: Session) -> bool {
    let here = tx.session_head(&session.head.id);
    let take = here.is_none_or(|here| here.last_activity < session.head.last_activity);
    if take {
        tx.put_session(session);
    }
    take
}

fn put_member(tx: &mut dyn Tx, member: Member) -> bool {
    let here = tx.member(&member.project_id, &member.id);
    let take = here.is_none_or(|here| here.updated_at < member.updated_at);
    if take {
        tx.put_member(Arc::new(member));
    }
    take
}

fn put_override(tx: &mut dyn Tx, new: Override) -> bool {
    let time = |changes: &serde_json::Map<String, serde_json::Value>| {
        changes
            .get("updatedAt")
            .and_then(|at| at.as_str())
            .map(str::to_owned)
    };
    let here = tx.member_override(&new.project, &new.member);
    let take = here.is_none_or(|here| time(&here) < time(&new.changes));
    if take {
        tx.put_member_override(&new.project, &new.member, Some(new.changes));
    }
    take
}

fn put_ordering(tx: &mut dyn Tx, ordering: Ordering) -> bool {
    let here = tx.ordering(ordering.entity_type, &ordering.project_id);
    let take = here.is_none_or(|here| here.updated_at < ordering.updated_at);
    if take {
        tx.put_ordering(Arc::new(ordering));
    }
    take
}
