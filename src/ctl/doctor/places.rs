//! Directories, their disk, and what an earlier hub left in them.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{Finding, Fix};
use crate::config::Config;

/// Longest path of a unix socket that every supported system accepts (macOS: 104 bytes with the final NUL).
const SOCKET_PATH: usize = 103;
/// Less room than this (bytes) is worth a word.
const LOW_DISK: u64 = 512 * 1024 * 1024;
/// A clock that was set back by less than this is a clock that was set right.
const JITTER: Duration = Duration::from_secs(60);

/// All findings.
pub fn findings(config: &Config, socket: &Path) -> Vec<Finding> {
    let mut findings = vec![socket_length(socket)];
    for (check, dir) in [
        ("data directory", &config.data_dir),
        ("state directory", &config.state_dir),
        ("runtime directory", &config.runtime_dir),
    ] {
        findings.push(directory(check, dir));
    }
    findings.push(disk(&config.data_dir));
    findings.push(json_data(&config.data_dir));
    let newest = newest(&[&config.data_dir, &config.state_dir]);
    findings.push(clock(SystemTime::now(), newest));
    findings
}

fn socket_length(socket: &Path) -> Finding {
    let length = socket.as_os_str().len();
    if length > SOCKET_PATH {
        let text = format!(
            "{} is {length} bytes long; sockets allow {SOCKET_PATH}",
            socket.display()
        );
        return Finding::bad("socket path", text, "set runtime_dir to a shorter path");
    }
    Finding::good("socket path", socket.display().to_string())
}

/// Prompts, mail and sockets lie here: nobody else's business. Who may enter the directory may not read every file in
/// it, but one lock is better than many.
fn directory(check: &'static str, dir: &Path) -> Finding {
    let meta = match fs::metadata(dir) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Finding::good(
                check,
                format!("{} will be made at the first start", dir.display()),
            );
        }
        Err(error) => {
            return Finding::bad(
                check,
                format!("{}: {error}", dir.display()),
                "give this user access to it",
            );
        }
    };
    let mode = meta.permissions().mode() & 0o777;
    if !meta.is_dir() {
        return Finding::bad(
            check,
            format!("{} is not a directory", dir.display()),
            "move the file away or choose another directory",
        );
    }
    if mode & 0o077 == 0 {
        return Finding::good(check, dir.display().to_string());
    }
    let may = if mode & 0o022 != 0 {
        "write to"
    } else {
        "look into"
    };
    let text = format!("others can {may} {} (mode {mode:03o})", dir.display());
    let remedy = format!("chmod 700 {}", dir.display());
    Finding::warn(check, text, remedy).fixed_by(Fix::Mode(dir.to_owned(), 0o700))
}

fn disk(dir: &Path) -> Finding {
    // The directory may not exist yet: its nearest ancestor lies on the same disk.
    let Some(existing) = dir.ancestors().find(|path| path.exists()) else {
        return Finding::good("disk", "nothing to look at yet");
    };
    match nix::sys::statvfs::statvfs(existing) {
        Ok(stat) => {
            #[allow(
                clippy::useless_conversion,
                clippy::unnecessary_cast,
                reason = "the field types differ between Linux and macOS"
            )]
            let free = u64::from(stat.blocks_available()) * u64::from(stat.fragment_size());
            let text = format!("{} MB free where {} lies", free / 1_000_000, dir.display());
            if free < LOW_DISK {
                Finding::bad(
                    "disk",
                    text,
                    "free some room: writes are refused when the disk is full",
                )
            } else {
                Finding::good("disk", text)
            }
        }
        Err(error) => Finding::warn("disk", format!("cannot tell the free room: {error}"), "df -h"),
    }
}

/// A Node server's data, not taken over yet.
fn json_data(dir: &Path) -> Finding {
    let json = dir.join("sessions").is_dir() && dir.join("projects").is_dir();
    let store = dir.join("maestro.db").exists();
    match (json, store) {
        (true, false) => Finding::warn(
            "earlier data",
            format!(
                "{} holds data of the Node server, and the store is empty",
                dir.display()
            ),
            format!("take it over: maestroctl import {}", dir.display()),
        ),
        (_, true) => Finding::good("store", dir.join("maestro.db").display().to_string()),
        (false, false) => Finding::good("store", "will be made at the first start"),
    }
}

/// The time of the newest file in these directories.
fn newest(dirs: &[&Path]) -> Option<SystemTime> {
    let entries = dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten();
    entries
        .filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok())
        .max()
}

/// Times of mail, pairing codes and leases come from the clock of the machine.
fn clock(now: SystemTime, newest: Option<SystemTime>) -> Finding {
    let ahead = newest.and_then(|newest| newest.duration_since(now).ok());
    match ahead.filter(|ahead| *ahead > JITTER) {
        Some(ahead) => Finding::bad(
            "clock",
            format!(
                "it was set back: the hub's newest file is of {} min from now",
                ahead.as_secs() / 60
            ),
            "set the clock (timedatectl set-ntp true; macOS: sudo sntp -sS time.apple.com)",
        ),
        None => Finding::good("clock", "goes forward"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_socket_path_that_is_too_long_is_found_before_it_hurts() {
        let long = PathBuf::from("/").join("x".repeat(120));
        assert_eq!(socket_length(&long).level, Level::Bad);
        assert_eq!(
            socket_length(Path::new("/run/maestro/maestrod.sock")).level,
            Level::Good
        );
    }

    #[test]
    fn json_data_of_the_node_server_is_offered_for_import() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(json_data(dir.path()).level, Level::Good);
        fs::create_dir(dir.path().join("sessions")).unwrap();
        fs::create_dir(dir.path().join("projects")).unwrap();
        let finding = json_data(dir.path());
        assert_eq!(finding.level, Level::Warn);
        assert!(
            finding
                .remedy
                .unwrap()
                .starts_with("take it over: maestroctl import")
        );
        fs::write(dir.path().join("maestro.db"), "").unwrap();
        assert_eq!(json_data(dir.path()).level, Level::Good);
    }

    #[test]
    fn a_directory_others_can_enter_is_a_finding_that_can_be_fixed() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, word) in [(0o777, "write to"), (0o755, "look into")] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            let finding = directory("data directory", dir.path());
            assert!(finding.text.contains(word), "{}", finding.text);
            finding.fix.expect("a fix").apply().unwrap();
            assert_eq!(directory("data directory", dir.path()).level, Level::Good);
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_noticed_by_the_files_of_the_future() {
        let now = SystemTime::now();
        assert_eq!(clock(now, None).level, Level::Good);
        assert_eq!(clock(now, Some(now + Duration::from_secs(2))).level, Level::Good);
        assert_eq!(
            clock(now, Some(now + Duration::from_secs(7200))).level,
            Level::Bad
        );
    }
}
