//! The directories one daemon lives in; they outlive it, so that it can be started again, and vanish with the test.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A home, a data directory and so on below one temporary directory. Clones share it.
#[derive(Clone)]
pub struct Place {
    root: Arc<tempfile::TempDir>,
}

impl Place {
    pub fn new() -> Self {
        // Directly in /tmp: unix socket paths are limited to about 100 bytes.
        let root = tempfile::Builder::new()
            .prefix("maestro-")
            .tempdir_in("/tmp")
            .expect("a temporary directory");
        let place = Self { root: Arc::new(root) };
        for dir in [
            place.home(),
            place.data_dir(),
            place.session_dir(),
            place.state_dir(),
            place.runtime_dir(),
            place.work_dir(),
        ] {
            fs::create_dir_all(dir).expect("directories below the temporary one");
        }
        place
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// `HOME` of the daemon: nothing of the developer's own is read.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.root().join("data")
    }

    pub fn session_dir(&self) -> PathBuf {
        self.root().join("sessions")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.root().join("state")
    }

    pub fn runtime_dir(&self) -> PathBuf {
        self.root().join("run")
    }

    /// A directory to work in: `workingDir` of projects.
    pub fn work_dir(&self) -> PathBuf {
        self.root().join("work")
    }

    /// Where the daemon says how to reach it.
    pub fn server_url_file(&self) -> PathBuf {
        self.data_dir().join("server-url")
    }

    /// Writes `text` to `relative` below the place, folders included.
    pub fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.root().join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a folder below the place");
        }
        fs::write(&path, text).expect("a file below the place");
        path
    }
}
