//! The files and places redis needs, each failure with its meaning.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    net::TcpListener,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use super::ends;
use crate::supervisor::Fault;

/// Below this a disk counts as full.
const ROOM: f64 = 8.0 * 1024.0 * 1024.0;

/// What failing to write `path` means.
pub(super) fn fault(path: &Path, err: &io::Error) -> Fault {
    match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Permanent(ends::disk_full(path)),
        _ => Fault::Permanent(ends::dir_unwritable(path, &err.to_string())),
    }
}

/// Makes sure that the directory is there; what we make is ours alone.
pub(super) fn private_dir(dir: &Path) -> Result<(), Fault> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|err| fault(dir, &err))
}

/// Replaces the file, readable for us alone.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), Fault> {
    let fresh = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&fresh, path)
    };
    write().map_err(|err| fault(path, &err))
}

/// Can a file be made in `dir`?
pub(super) fn is_writable(dir: &Path) -> bool {
    let path = dir.join(".writable");
    let made = private_dir(dir).is_ok() && fs::write(&path, "x").is_ok();
    made && fs::remove_file(path).is_ok()
}

/// Is there room on the disk of `dir`? Yes, if we cannot know.
pub(super) fn has_room(dir: &Path) -> bool {
    nix::sys::statvfs::statvfs(dir).map_or(true, |disk| {
        // In floating point, because the widths of these differ between systems.
        let free = disk.blocks_available() as f64 * disk.fragment_size() as f64;
        free >= ROOM
    })
}

/// Could we listen there?
pub(super) fn port_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
