//! Folders that vanish with their owner, so that what fails or is given up leaves nothing behind.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use tracing::warn;

/// A folder that is removed on drop, unless it was kept.
#[derive(Debug)]
pub struct Draft(Option<PathBuf>);

impl Draft {
    /// Makes `folder` and those above it.
    pub fn make(folder: &Path) -> io::Result<Self> {
        let draft = Self(Some(folder.to_owned()));
        fs::create_dir_all(folder)?;
        Ok(draft)
    }

    /// Makes `folder` for our eyes only; it must not exist.
    pub fn make_private(folder: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        if let Some(above) = folder.parent() {
            fs::create_dir_all(above)?;
        }
        fs::DirBuilder::new().mode(0o700).create(folder)?;
        Ok(Self(Some(folder.to_owned())))
    }

    /// The folder stays.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            remove(folder);
        }
    }
}

/// Removes a folder of ours with everything in it. What cannot be removed is said in the log: nobody waits for it.
pub fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
        Err(error) => warn!("{} could not be removed: {error}", folder.display()),
    }
}
