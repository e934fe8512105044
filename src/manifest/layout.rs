//! The files the external program reads (MANIFEST.md section 2), copied out of the store into a folder made for one
//! call. It sees one project and the tasks it is asked about, and nothing it does there can touch our data.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::domain::ManifestOrder;

use super::draft::Draft;

/// A copy of what one call reads; removed on drop.
#[derive(Debug)]
pub struct PrivateCopy {
    dir: PathBuf,
    _draft: Draft,
}

impl PrivateCopy {
    /// Writes the copy into the folder `name` of `scratch`.
    pub fn make(scratch: &Path, name: &str, order: &ManifestOrder) -> io::Result<Self> {
        let dir = scratch.join(name);
        let copy = Self {
            _draft: Draft::make_private(&dir)?,
            dir,
        };
        let project = &order.project;
        copy.write("projects", project.id.as_str(), &**project)?;
        for task in &order.tasks {
            let folder = format!("tasks/{}", task.project_id);
            copy.write(&folder, task.id.as_str(), &**task)?;
        }
        fs::create_dir_all(copy.dir.join("tasks").join(project.id.as_str()))?;
        fs::create_dir_all(copy.dir.join("sessions"))?;
        Ok(copy)
    }

    /// The program's `DATA_DIR`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn write(&self, folder: &str, id: &str, record: &impl Serialize) -> io::Result<()> {
        let folder = self.dir.join(folder);
        fs::create_dir_all(&folder)?;
        let text = serde_json::to_vec_pretty(record)?;
        fs::write(folder.join(format!("{id}.json")), text)
    }
}
