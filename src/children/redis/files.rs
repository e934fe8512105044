//! The files and places redis needs, each failure with its meaning.

use std::{io, net::TcpListener, path::Path};

use super::ends;
use crate::children::files;
use crate::supervisor::Fault;

pub(super) use crate::children::files::{has_room, is_writable};

/// What failing to write `path` means.
pub(super) fn fault(path: &Path, err: &io::Error) -> Fault {
    match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Permanent(ends::disk_full(path)),
        _ => Fault::Permanent(ends::dir_unwritable(path, &err.to_string())),
    }
}

/// Makes sure that the directory is there; what we make is ours alone.
pub(super) fn private_dir(dir: &Path) -> Result<(), Fault> {
    files::private_dir(dir).map_err(|err| fault(dir, &err))
}

/// Replaces the file, readable for us alone.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), Fault> {
    files::write_private(path, text).map_err(|err| fault(path, &err))
}

/// Could we listen there?
pub(super) fn port_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
