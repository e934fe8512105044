//! From the store into the Node server's files.

use std::{
    cmp::Ordering as Cmp,
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;

use crate::domain::{MailId, OrderingKind, Session, SessionId};
use crate::ports::{MailArchive, StoreError, View};

use super::{
    ExportReport, LayoutError, OnProgress,
    files::{self, shown},
    report::Notes,
};

/// The folders that exist after a start of the Node server.
const FOLDERS: [&str; 7] = [
    "projects",
    "tasks",
    "sessions",
    "mail",
    "ordering/task",
    "ordering/session",
    "team-members",
];

/// Files written between two calls of the progress callback, and mails held in memory.
const TOGETHER: usize = 64;

/// Writes everything into `dir`, which is made if it is not there. Files that say the same, and files that changed
/// later than our record, stay as they are; nothing is removed.
pub async fn export(
    view: Arc<dyn View + Send + Sync>,
    mail: &dyn MailArchive,
    dir: &Path,
    progress: OnProgress<'_>,
) -> Result<ExportReport, LayoutError> {
    let mut writer = Writer::new(dir)?;
    let files = records(&*view);
    let total = files.len() as u64;
    let mut done = 0;
    let mut files = files.into_iter().peekable();
    while files.peek().is_some() {
        let some: Vec<File> = files.by_ref().take(TOGETHER).collect();
        done += some.len() as u64;
        let view = view.clone();
        writer = writer
            .off_the_runtime(move |writer| writer.all(&*view, some))
            .await?;
        progress("records", done, total);
    }
    let mut after: Option<MailId> = None;
    let mut done = 0;
    loop {
        let mails = mail.page(after.as_ref(), TOGETHER).await?;
        let Some(last) = mails.last() else { break };
        after = Some(last.id.clone());
        done += mails.len() as u64;
        writer = writer
            .off_the_runtime(move |writer| {
                mails
                    .iter()
                    .try_for_each(|mail| writer.put(&format!("mail/{}.json", mail.id), "createdAt", mail))
            })
            .await?;
        progress("mail", done, done);
    }
    let writer = writer.off_the_runtime(Writer::look_for_others).await?;
    Ok(writer.report)
}

/// One file to be: where, which of its fields says when it changed, and what is in it.
enum File {
    Ready {
        path: String,
        time: &'static str,
        value: Value,
    },
    /// Read only when its turn comes.
    Session(SessionId),
}

/// The files of everything but mail.
fn records(view: &(dyn View + Send + Sync)) -> Vec<File> {
    let mut files = Vec::new();
    let mut add = |path: String, record: Value| {
        files.push(File::Ready {
            path,
            time: "updatedAt",
            value: record,
        });
    };
    for project in view.projects() {
        add(format!("projects/{}.json", project.id), value(&*project));
    }
    for task in view.tasks(None) {
        add(
            format!("tasks/{}/{}.json", task.project_id, task.id),
            value(&*task),
        );
    }
    for member in view.every_member() {
        let path = format!("team-members/{}/{}.json", member.project_id, member.id);
        add(path, value(&*member));
    }
    for (project, member, changes) in view.every_override() {
        let path = format!("team-members/{project}/{member}.override.json");
        add(path, value(&*changes));
    }
    for ordering in view.every_ordering() {
        let kind = match ordering.entity_type {
            OrderingKind::Task => "task",
            OrderingKind::Session => "session",
        };
        add(
            format!("ordering/{kind}/{}.json", ordering.project_id),
            value(&*ordering),
        );
    }
    let heads = view.session_heads(None);
    files.extend(heads.iter().map(|head| File::Session(head.id.clone())));
    files
}

/// Our records hold texts, numbers and JSON values only, all of which can be written.
fn value(record: &impl Serialize) -> Value {
    serde_json::to_value(record).unwrap_or_default()
}

/// A session in the contract's order of fields: the histories stand in the middle.
fn session_value(session: &Session) -> Result<Value, serde_json::Error> {
    let mut out = Map::new();
    let Value::Object(head) = serde_json::to_value(&*session.head)? else {
        return Ok(Value::Null); // cannot be: a record is an object
    };
    for (key, value) in head {
        let last_before = key == "platform";
        out.insert(key, value);
        if last_before {
            out.insert("events".into(), session.events.values()?.into());
            out.insert("timeline".into(), session.timeline.values()?.into());
            out.insert("docs".into(), session.docs.values()?.into());
        }
    }
    Ok(Value::Object(out))
}

struct Writer {
    root: PathBuf,
    report: ExportReport,
    expected: HashSet<PathBuf>,
}

impl Writer {
    fn new(root: &Path) -> Result<Self, LayoutError> {
        for folder in FOLDERS {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).map_err(|error| LayoutError::file(&folder, error))?;
        }
        Ok(Self {
            root: root.to_owned(),
            report: ExportReport::default(),
            expected: HashSet::new(),
        })
    }

    async fn off_the_runtime(
        mut self,
        work: impl FnOnce(&mut Self) -> Result<(), LayoutError> + Send + 'static,
    ) -> Result<Self, LayoutError> {
        let done = spawn_blocking(move || work(&mut self).map(|()| self)).await;
        done.unwrap_or_else(|error| Err(StoreError::Engine(error.to_string().into()).into()))
    }

    fn all(&mut self, view: &dyn View, files: Vec<File>) -> Result<(), LayoutError> {
        for file in files {
            match file {
                File::Ready { path, time, value } => self.put(&path, time, &value)?,
                File::Session(id) => self.session(view, &id)?,
            }
        }
        Ok(())
    }

    fn session(&mut self, view: &dyn View, id: &SessionId) -> Result<(), LayoutError> {
        let Some(session) = view.session(id)? else {
            return Ok(()); // removed since we began
        };
        let path = format!("sessions/{id}.json");
        let value = session_value(&session).map_err(|error| LayoutError::file(Path::new(&path), error))?;
        self.put(&path, "lastActivity", &value)
    }

    fn put(&mut self, path: &str, time: &str, record: &impl Serialize) -> Result<(), LayoutError> {
        let value = value(record);
        let path = self.root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| LayoutError::file(folder, error))?;
        }
        self.replace(&path, time, &value)?;
        // A task may lie in the root as well, from old times; the Node server would read that one last.
        let old = match path.strip_prefix(self.root.join("tasks")) {
            Ok(_) => path.file_name().map(|name| self.root.join("tasks").join(name)),
            Err(_) => None,
        };
        match old.filter(|old| old.is_file()) {
            Some(old) => self.replace(&old, time, &value),
            None => Ok(()),
        }
    }

    fn replace(&mut self, path: &Path, time: &str, value: &Value) -> Result<(), LayoutError> {
        self.expected.insert(path.to_owned());
        let text = serde_json::to_vec_pretty(value).map_err(|error| LayoutError::file(path, error))?;
        if let Ok(there) = fs::read(path) {
            if there == text {
                self.report.unchanged += 1;
                return Ok(());
            }
            let there: Value = serde_json::from_slice(&there).unwrap_or_default();
            if later(&there[time], &value[time]) {
                let name = shown(path, &self.root);
                self.report
                    .newer
                    .add(format!("{name}: it changed after our record; left as it is"));
                return Ok(());
            }
        }
        files::write(path, &text)?;
        self.report.written += 1;
        Ok(())
    }

    /// Notes the files that are not ours.
    fn look_for_others(&mut self) -> Result<(), LayoutError> {
        let mut notes = Notes::default();
        for folder in FOLDERS {
            let folder = self.root.join(folder);
            let mut folders = files::folders(&folder, &mut notes);
            folders.push(folder);
            for folder in folders {
                for path in files::json_files(&folder, &mut notes) {
                    if !self.expected.contains(&path) {
                        let name = shown(&path, &self.root);
                        self.report
                            .left
                            .add(format!("{name}: no such record is here; left as it is"));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Milliseconds, or ISO texts.
fn later(there: &Value, ours: &Value) -> bool {
    let order = match (there, ours) {
        (Value::String(there), Value::String(ours)) => there.cmp(ours),
        _ => there.as_i64().cmp(&ours.as_i64()),
    };
    order == Cmp::Greater
}
