//! The file that tells local clients where the hub is: `<data_dir>/server-url`, without a newline (DATA.md section 2).
//! Written only after the port is ours, so that it never lies; removed at a clean stop if it still is ours.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tracing::debug;

const FILE: &str = "server-url";

/// The written file; removed on drop.
#[derive(Debug)]
pub struct ServerUrl {
    path: PathBuf,
    url: String,
}

impl ServerUrl {
    /// Writes the file, all at once. One that says so already is left alone: after `kill -9` on a full disk there is no
    /// other way to start.
    pub fn write(data_dir: &Path, url: &str) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        let says_so = fs::read_to_string(&path).is_ok_and(|text| text == url);
        if !says_so {
            let draft = data_dir.join(format!("{FILE}.new"));
            fs::write(&draft, url)?;
            fs::rename(&draft, &path)?;
        }
        Ok(Self {
            path,
            url: url.to_owned(),
        })
    }
}

impl Drop for ServerUrl {
    fn drop(&mut self) {
        let is_ours = fs::read_to_string(&self.path).is_ok_and(|text| text == self.url);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            debug!(%error, "server-url stays behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_no_newline_and_goes_with_us_unless_somebody_else_wrote_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        let first = ServerUrl::write(dir.path(), "http://localhost:1").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "http://localhost:1");
        // As after kill -9 on a disk without room: nothing can be written, and nothing has to be.
        fs::create_dir(dir.path().join("server-url.new")).unwrap();
        assert!(ServerUrl::write(dir.path(), "http://localhost:2").is_err());
        drop(ServerUrl::write(dir.path(), "http://localhost:1").unwrap());
        assert!(!file.exists());
        drop(first);
        fs::remove_dir(dir.path().join("server-url.new")).unwrap();

        let second = ServerUrl::write(dir.path(), "http://localhost:2").unwrap();
        fs::write(&file, "http://localhost:3").unwrap();
        drop(second);
        assert_eq!(fs::read_to_string(&file).unwrap(), "http://localhost:3");
    }
}
