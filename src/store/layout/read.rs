//! Reads a whole data directory, except for the sessions: of those only the order, because their histories may be
//! larger than memory.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    fs,
    hash::Hash,
    path::{Path, PathBuf},
};

use crate::domain::{Mail, MailId, Member, Millis, Ordering, OrderingKind, Project, Session, Task};

use super::{
    LayoutError,
    files::{self, Found},
    records::{self, Override},
    report::Notes,
};

/// What the folder holds, each kind in the order in which it was made.
pub(super) struct Contents {
    pub(super) projects: Vec<Project>,
    pub(super) tasks: Vec<Task>,
    pub(super) members: Vec<Member>,
    pub(super) overrides: Vec<Override>,
    pub(super) orderings: Vec<Ordering>,
    pub(super) mails: Vec<Mail>,
    pub(super) sessions: Vec<PathBuf>,
    pub(super) notes: Notes,
}

/// Reads everything. Blocks.
pub(super) fn contents(root: &Path) -> Result<Contents, LayoutError> {
    fs::read_dir(root).map_err(|error| LayoutError::file(root, error))?;
    if !["projects", "tasks", "sessions"]
        .iter()
        .any(|name| root.join(name).is_dir())
    {
        return Err(LayoutError::NotALayout(root.to_owned()));
    }
    let mut reader = Reader {
        root,
        notes: Notes::default(),
    };
    let (members, overrides) = reader.members();
    Ok(Contents {
        projects: reader.projects(),
        tasks: reader.tasks(),
        members,
        overrides,
        orderings: reader.orderings(),
        mails: reader.mails(),
        sessions: reader.sessions(),
        notes: reader.notes,
    })
}

/// Reads some sessions. Blocks.
pub(super) fn sessions(root: &Path, files: &[PathBuf], notes: &mut Notes) -> Vec<Session> {
    let mut read = Vec::new();
    for path in files {
        let Some(found) = files::read(path, root, notes) else {
            continue;
        };
        match records::session(found, notes) {
            Ok(session) => read.push(session),
            Err(reason) => unreadable(path, root, reason, notes),
        }
    }
    read
}

struct Reader<'a> {
    root: &'a Path,
    notes: Notes,
}

impl Reader<'_> {
    fn files(&mut self, dir: &Path) -> Vec<Found> {
        let paths = files::json_files(dir, &mut self.notes);
        let found = paths
            .iter()
            .map(|path| files::read(path, self.root, &mut self.notes));
        found.flatten().collect()
    }

    /// The record of a file, if there is one; otherwise a note why not.
    fn take<R>(
        &mut self,
        found: Found,
        read: impl FnOnce(Found, &mut Notes) -> Result<Option<R>, String>,
    ) -> Option<R> {
        let path = found.path.clone();
        match read(found, &mut self.notes) {
            Ok(Some(record)) => return Some(record),
            Ok(None) => {
                let name = files::shown(&path, self.root);
                self.notes
                    .remarks
                    .add(format!("{name}: the Node server ignores it; left out"));
            }
            Err(reason) => unreadable(&path, self.root, reason, &mut self.notes),
        }
        None
    }

    fn projects(&mut self) -> Vec<Project> {
        let mut projects = Vec::new();
        for found in self.files(&self.root.join("projects")) {
            projects.extend(self.take(found, |found, _| records::project(found).map(Some)));
        }
        let newest = newest(projects, |p| p.id.clone(), |p| p.updated_at);
        sorted(newest, |p| (p.created_at, p.id.to_string()))
    }

    fn tasks(&mut self) -> Vec<Task> {
        let root = self.root.join("tasks");
        let mut found: Vec<_> = self
            .files(&root)
            .into_iter()
            .map(|file| (String::new(), file))
            .collect();
        for folder in files::folders(&root, &mut self.notes) {
            let name = name_of(&folder);
            found.extend(self.files(&folder).into_iter().map(|file| (name.clone(), file)));
        }
        let mut tasks = Vec::new();
        for (folder, file) in found {
            tasks.extend(self.take(file, |file, notes| records::task(file, &folder, notes)));
        }
        // A task of the old layout lies in the root; once changed, it lies in its project's folder as well.
        let newest = newest(tasks, |t| t.id.clone(), |t| t.updated_at);
        sorted(newest, |t| (t.created_at, t.id.to_string()))
    }

    fn members(&mut self) -> (Vec<Member>, Vec<Override>) {
        let (mut members, mut overrides) = (Vec::new(), Vec::new());
        for folder in files::folders(&self.root.join("team-members"), &mut self.notes) {
            let name = name_of(&folder);
            for found in self.files(&folder) {
                if found.stem.ends_with(".override") {
                    overrides.extend(self.take(found, |file, _| records::member_override(file, &name)));
                } else {
                    members.extend(self.take(found, |file, notes| records::member(file, &name, notes)));
                }
            }
        }
        let key = |m: &Member| (m.project_id.clone(), m.id.clone());
        let members = newest(members, key, |m| m.updated_at.clone());
        (
            sorted(members, |m| (m.created_at.clone(), m.id.to_string())),
            overrides,
        )
    }

    fn orderings(&mut self) -> Vec<Ordering> {
        let mut orderings = Vec::new();
        for (folder, kind) in [("task", OrderingKind::Task), ("session", OrderingKind::Session)] {
            for found in self.files(&self.root.join("ordering").join(folder)) {
                orderings.extend(self.take(found, |file, _| records::ordering(file, kind).map(Some)));
            }
        }
        orderings
    }

    fn mails(&mut self) -> Vec<Mail> {
        let mut mails = Vec::new();
        for found in self.files(&self.root.join("mail")) {
            mails.extend(self.take(found, |file, notes| records::mail(file, notes).map(Some)));
        }
        let mut mails = sorted(mails, |(mail, _)| (mail.created_at, mail.id.to_string()));
        let mut threads: HashMap<MailId, MailId> = HashMap::new();
        for (mail, threadless) in &mut mails {
            // What is answered was written earlier, so its conversation is known by now.
            if let (true, Some(answered)) = (*threadless, &mail.reply_to_mail_id) {
                mail.thread_id = threads.get(answered).unwrap_or(answered).clone();
            }
            threads.insert(mail.id.clone(), mail.thread_id.clone());
        }
        let mut seen = HashSet::new();
        let mails = mails.into_iter().map(|(mail, _)| mail);
        mails.filter(|mail| seen.insert(mail.id.clone())).collect()
    }

    /// Files that cannot be read are noted when their turn comes.
    fn sessions(&mut self) -> Vec<PathBuf> {
        let mut ignored = Notes::default();
        let paths = files::json_files(&self.root.join("sessions"), &mut self.notes);
        let start = |path: &PathBuf| {
            let found = files::read(path, self.root, &mut ignored);
            found.map_or(Millis(0), |found| records::session_start(&found))
        };
        let mut starts: Vec<_> = paths.iter().map(start).zip(paths.iter().cloned()).collect();
        starts.sort();
        starts.into_iter().map(|(_, path)| path).collect()
    }
}

fn unreadable(path: &Path, root: &Path, reason: String, notes: &mut Notes) {
    notes
        .unreadable
        .add(format!("{}: {reason}", files::shown(path, root)));
}

fn name_of(folder: &Path) -> String {
    folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Of records with the same name, the one that changed last.
fn newest<R, K: Eq + Hash, T: Ord>(
    mut records: Vec<R>,
    key: impl Fn(&R) -> K,
    changed: impl Fn(&R) -> T,
) -> Vec<R> {
    records.sort_by_key(|record| Reverse(changed(record)));
    let mut seen = HashSet::new();
    records.retain(|record| seen.insert(key(record)));
    records
}

fn sorted<R, T: Ord>(mut records: Vec<R>, made: impl Fn(&R) -> T) -> Vec<R> {
    records.sort_by_key(made);
    records
}
