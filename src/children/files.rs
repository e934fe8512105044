//! Files and places that are ours alone.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Below this a disk counts as full.
const ROOM: f64 = 8.0 * 1024.0 * 1024.0;

/// Makes sure that the directory is there; what we make is closed to others.
pub fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Replaces the file in one step, readable for us alone; what is there afterwards is whole, even after a power cut.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

/// Can a file be made in `dir`?
pub fn is_writable(dir: &Path) -> bool {
    let path = dir.join(".writable");
    let made = private_dir(dir).is_ok() && fs::write(&path, "x").is_ok();
    made && fs::remove_file(path).is_ok()
}

/// Is there room on the disk of `dir`? Yes, if we cannot know.
pub fn has_room(dir: &Path) -> bool {
    nix::sys::statvfs::statvfs(dir).map_or(true, |disk| {
        // In floating point, because the widths of these differ between systems.
        let free = disk.blocks_available() as f64 * disk.fragment_size() as f64;
        free >= ROOM
    })
}
