mod stories;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::domain::{Mail, MailId, MemberId, Millis, OrderingKind, ProjectId, Published, SessionId, TaskId};
use crate::ports::{Clock, EventBus, MailArchive, Pending, Store, View};
use crate::sqlite::Database;
use crate::store::{CHAPTER, Embedded};

struct Nobody;
impl EventBus for Nobody {
    fn publish(&self, _: Vec<Arc<Published>>) {}
}
impl Clock for Nobody {
    fn now(&self) -> Millis {
        Millis(1_800_000_000_000)
    }
}

#[derive(Default)]
struct Bag(Mutex<BTreeMap<MailId, Mail>>);
impl MailArchive for Bag {
    fn put(&self, mails: Vec<Mail>) -> Pending<'_, Result<u64, MailError>> {
        let mut bag = self.0.lock().unwrap();
        let before = bag.len();
        for mail in mails {
            bag.entry(mail.id.clone()).or_insert(mail);
        }
        let new = (bag.len() - before) as u64;
        Box::pin(async move { Ok(new) })
    }
    fn page<'a>(
        &'a self,
        after: Option<&'a MailId>,
        most: usize,
    ) -> Pending<'a, Result<Vec<Mail>, MailError>> {
        let bag = self.0.lock().unwrap();
        let later = bag.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
        let page = later.map(|(_, mail)| mail.clone()).take(most).collect();
        Box::pin(async move { Ok(page) })
    }
}

/// A hub to import into, and a folder beside it.
struct House {
    dir: TempDir,
    store: Embedded,
    bag: Bag,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("maestro.db"), &[CHAPTER]).unwrap();
        let store = Embedded::open(db, Arc::new(Nobody), Arc::new(Nobody)).unwrap();
        let bag = Bag::default();
        Self { dir, store, bag }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("node")
    }

    fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn json(&self, path: &str, value: &Value) {
        self.file(path, serde_json::to_string_pretty(value).unwrap());
    }

    async fn import(&self) -> ImportReport {
        self.try_import().await.unwrap()
    }

    async fn try_import(&self) -> Result<ImportReport, LayoutError> {
        import(&self.store, &self.bag, &self.folder(), &mut |_, _, _| {}).await
    }

    async fn export(&self, dir: &Path) -> ExportReport {
        export(self.store.view(), &self.bag, dir, &mut |_, _, _| {})
            .await
            .unwrap()
    }

    fn view(&self) -> Arc<dyn View + Send + Sync> {
        self.store.view()
    }
}

fn task_id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

/// All files below a folder, with their bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// Values for the placeholders of the recording: `<proj_1>` becomes an id, `<ts>` a time.
fn filled(value: &Value) -> Value {
    match value {
        Value::String(text) if text == "<ts>" => json!(1_771_459_199_999_i64),
        Value::String(text) if text == "<iso>" => json!("2026-02-18T23:59:59.999Z"),
        Value::String(text) => json!(text.replace(['<', '>'], "")),
        Value::Array(list) => list.iter().map(filled).collect(),
        Value::Object(map) => {
            let fields = map
                .iter()
                .map(|(key, value)| (key.replace(['<', '>'], ""), filled(value)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}
