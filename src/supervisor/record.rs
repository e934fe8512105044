//! What a supervisor leaves behind: one small file per child, replaced as a whole.
//!
//! Written before the fork (what is about to be started), again right after it (which process that became)
//! and at every change of state. A later supervisor finds its orphan with it; `maestroctl status` tells the
//! last state of a dead daemon from it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::process::{Identity, Image};

use super::{
    event::{Generation, RunId},
    status::ChildStatus,
};

/// The process a record speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawned {
    /// Its name.
    pub run: RunId,
    /// What was started.
    pub program: PathBuf,
    /// Hash of arguments and configuration.
    pub fingerprint: String,
    /// Which process that became; `None` between intent and fork.
    pub identity: Option<Identity>,
    /// The file it executes.
    pub image: Option<Image>,
}

/// Everything that outlives the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of this file's form.
    pub version: u32,
    /// The supervisor that wrote it.
    pub supervisor_pid: u32,
    /// When, in ms since the epoch.
    pub written_ms: u64,
    /// Generation of the state.
    pub g: Generation,
    /// The latest process.
    pub spawned: Option<Spawned>,
    /// What was published last.
    pub status: ChildStatus,
}

/// Where the record of a child lies.
pub fn path(state_dir: &Path, name: &str) -> PathBuf {
    state_dir.join(format!("{name}.json"))
}

impl Record {
    /// Version of the form written here; others are not read.
    pub const VERSION: u32 = 1;

    /// Reads the record of a child. None is `Ok(None)`; one we cannot read is an error.
    pub fn read(state_dir: &Path, name: &str) -> io::Result<Option<Record>> {
        let text = match fs::read(path(state_dir, name)) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err),
        };
        let record: Record = serde_json::from_slice(&text)?;
        if record.version == Self::VERSION {
            Ok(Some(record))
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a record of another version",
            ))
        }
    }

    /// Replaces the record. `durable` also waits for the disk: for what must survive a power cut.
    pub fn write(&self, state_dir: &Path, durable: bool) -> io::Result<()> {
        let path = path(state_dir, &self.status.name);
        let fresh = path.with_extension("json.new");
        let text = serde_json::to_vec_pretty(self)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&text)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&fresh, &path)?;
        if durable {
            File::open(state_dir)?.sync_all()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_as_it_was_written_and_only_the_owner_may() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Record::read(dir.path(), "redis").expect("readable"), None);
        let record = Record {
            version: Record::VERSION,
            supervisor_pid: 7,
            written_ms: 3,
            g: Generation(2),
            spawned: Some(Spawned {
                run: RunId(4),
                program: PathBuf::from("/usr/bin/redis-server"),
                fingerprint: "ab".into(),
                identity: Some(Identity {
                    pid: 9,
                    token: 1,
                    boot: "b".into(),
                }),
                image: None,
            }),
            status: ChildStatus::new("redis", 3),
        };
        record.write(dir.path(), true).expect("written");
        assert_eq!(Record::read(dir.path(), "redis").expect("readable"), Some(record));
        let mode = fs::metadata(path(dir.path(), "redis"))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn garbage_is_an_error_and_not_a_record() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(path(dir.path(), "redis"), "{").expect("written");
        assert!(Record::read(dir.path(), "redis").is_err());
    }
}
