//! The file of the key that agents' tokens are signed with. It is made once and kept: the tokens of running agents are
//! worth as much after a restart as before.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;
use tracing::warn;

use crate::domain::AgentKey;

/// Nobody but us.
const PRIVATE: u32 = 0o600;
/// How long a key is, in bytes.
const LENGTH: usize = 32;

/// There is no key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file is there, but holds no key.
    #[error("{} does not hold a key of {LENGTH} bytes", .0.display())]
    Broken(PathBuf),
    /// The system said no.
    #[error("cannot use the key in {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

/// The key in this file; the first time a new one. Whoever calls this holds the lock of the directory.
pub fn agent_key(path: &Path) -> Result<AgentKey, KeyError> {
    let failed = |error| KeyError::Io(path.to_owned(), error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return make(path).map_err(failed),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(PRIVATE))
            .map_err(failed)?;
        warn!("{} was open to other users; it is not any more", path.display());
    }
    let mut bytes = Vec::with_capacity(LENGTH + 1);
    file.take(LENGTH as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let bytes = bytes.try_into().map_err(|_| KeyError::Broken(path.to_owned()))?;
    Ok(AgentKey::new(bytes))
}

fn make(path: &Path) -> io::Result<AgentKey> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    // Whole or not there at all: half a key would be refused from then on.
    let draft = path.with_extension("key.new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(&draft)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(AgentKey::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Millis, SessionId};

    fn token(key: &AgentKey) -> String {
        key.token(&SessionId::parse("s").unwrap(), Millis(1))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_made_once_for_us_alone_and_then_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.key");
        let first = agent_key(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(token(&agent_key(&path).unwrap()), token(&first));
        let elsewhere = agent_key(&dir.path().join("other.key")).unwrap();
        assert_ne!(token(&elsewhere), token(&first));
        let names = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(names, 2, "no draft is left");
    }

    #[test]
    fn what_a_killed_start_left_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.key");
        fs::write(dir.path().join("agent.key.new"), b"half").unwrap();
        agent_key(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), LENGTH);
    }

    #[test]
    fn a_key_that_others_could_read_is_closed_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.key");
        fs::write(&path, [7; LENGTH]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            token(&agent_key(&path).unwrap()),
            token(&AgentKey::new([7; LENGTH]))
        );
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn what_is_no_key_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.key");
        for bytes in [&[][..], &[7; 31], &[7; 33]] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(agent_key(&path), Err(KeyError::Broken(_))));
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }
}
