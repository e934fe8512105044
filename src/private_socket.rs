//! A unix socket for this user alone: mode 0600 in a directory of mode 0700 that is ours.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tracing::debug;

/// The socket cannot be opened.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Somebody answers there.
    #[error("another process answers on {0}")]
    Taken(PathBuf),
    /// What lies at the path is no socket, or its directory is somebody else's.
    #[error("{path}: {wrong}")]
    Place {
        /// Where.
        path: PathBuf,
        /// For people.
        wrong: &'static str,
    },
    /// The system says no.
    #[error("cannot open the socket {path}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The bound socket; its file goes when this is dropped.
#[derive(Debug)]
pub struct PrivateSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl PrivateSocket {
    /// Binds `path`, replacing a socket file on which nobody answers.
    ///
    /// Call it only while holding the daemon's lock: the check and the replacement are two steps.
    ///
    /// # Errors
    /// Why it cannot be had, or cannot be had for us alone.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(failed)?;
            // Somebody else's directory cannot be closed: then this fails.
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)?;
            if fs::metadata(dir).map_err(failed)?.uid() != nix::unistd::Uid::effective().as_raw() {
                let wrong = "the directory belongs to another user";
                return Err(SocketError::Place {
                    path: dir.to_owned(),
                    wrong,
                });
            }
        }
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.file_type().is_socket() => {
                if UnixStream::connect(path).await.is_ok() {
                    return Err(SocketError::Taken(path.to_owned()));
                }
                fs::remove_file(path).map_err(failed)?;
            }
            Ok(_) => {
                return Err(SocketError::Place {
                    path: path.to_owned(),
                    wrong: "it exists and is no socket",
                });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        // The directory is closed to others, so nobody slips in before the mode is set.
        let listener = UnixListener::bind(path).map_err(failed)?;
        let socket = Self {
            listener,
            path: path.to_owned(),
        };
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(socket)
    }

    /// The next connection.
    ///
    /// # Errors
    /// As the system says, usually for want of descriptors.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            debug!(path = %self.path.display(), %error, "the file of a socket was gone already");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn it_is_for_this_user_alone_and_goes_when_it_is_dropped() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let path = dir.path().join("run/x.sock");
        let socket = PrivateSocket::bind(&path).await.unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(matches!(
            PrivateSocket::bind(&path).await,
            Err(SocketError::Taken(_))
        ));
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_without_an_owner_is_replaced_and_anything_else_is_left_alone() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let path = dir.path().join("x.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap()); // its file stays
        assert!(PrivateSocket::bind(&path).await.is_ok());
        fs::write(&path, "precious").unwrap();
        let refused = PrivateSocket::bind(&path).await.unwrap_err();
        assert!(
            refused.to_string().contains("it exists and is no socket"),
            "{refused}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
