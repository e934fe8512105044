//! Users of the TCP port. Passwords live in files of their own, never in arguments, logs or errors.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::children::files::{private_dir, write_private};

/// A user and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub user: String,
    password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, ***)", self.user)
    }
}

impl Login {
    /// The secret itself, for AUTH only.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Its form in the configuration: redis compares hashes.
    pub(super) fn hash(&self) -> String {
        hex(&Sha256::digest(self.password.as_bytes()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a user's password lies.
pub(super) fn path(dir: &Path, user: &str) -> PathBuf {
    dir.join(format!("{user}.password"))
}

/// The password of an earlier start, or a fresh one of 256 bits.
pub(super) fn read_or_make(dir: &Path, user: &str) -> io::Result<Login> {
    let path = path(dir, user);
    let password = match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= 32 => text.trim().to_owned(),
        Ok(_) => make(&path)?,
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            private_dir(dir)?;
            make(&path)?
        }
        Err(err) => return Err(err),
    };
    Ok(Login {
        user: user.to_owned(),
        password,
    })
}

fn make(path: &Path) -> io::Result<String> {
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret).map_err(|err| io::Error::other(err.to_string()))?;
    let password = hex(&secret);
    write_private(path, &format!("{password}\n"))?;
    Ok(password)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_is_made_once_is_private_and_is_not_shown() {
        let dir = tempfile::tempdir().expect("a directory");
        let below = dir.path().join("redis");
        let first = read_or_make(&below, "agent").expect("made");
        assert_eq!(read_or_make(&below, "agent").expect("read"), first);
        let mode = fs::metadata(path(&below, "agent"))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!((mode & 0o777, first.password().len()), (0o600, 64));
        assert!(!format!("{first:?}").contains(first.password()));
    }
}
