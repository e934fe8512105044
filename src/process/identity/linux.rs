//! Identity from /proc (proc_pid_stat(5)): field 3 is the state, field 22 the start time in ticks since boot.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use super::{Image, Life, Seen};

pub(super) fn see(pid: i32) -> io::Result<Option<Seen>> {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => Ok(parse(&stat)),
        // ESRCH: it went away between open and read.
        Err(err) if err.kind() == io::ErrorKind::NotFound || err.raw_os_error() == Some(libc::ESRCH) => {
            Ok(None)
        }
        Err(err) => Err(err),
    }
}

/// The name in field 2 may hold blanks and parentheses, so counting starts behind the last one.
fn parse(stat: &str) -> Option<Seen> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let life = match fields.next()? {
        "Z" | "X" | "x" => Life::Dead,
        "T" | "t" => Life::Frozen,
        _ => Life::Alive,
    };
    let token = fields.nth(18)?.parse().ok()?;
    Some(Seen { life, token })
}

pub(super) fn boot() -> io::Result<String> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot.clone());
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    Ok(BOOT
        .get_or_init(|| format!("{} {}", id.trim(), namespace.display()))
        .clone())
}

/// Start times are in ticks since boot, suspended time included (proc_pid_stat(5), field 22).
pub(super) fn age(token: u64) -> Option<Duration> {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
    let ticks = u64::try_from(ticks).ok().filter(|ticks| *ticks > 0)?;
    let started = Duration::from_millis(token.checked_mul(1000)? / ticks);
    Some(crate::process::clock::boot().saturating_sub(started))
}

pub(super) fn image(pid: i32) -> Option<Image> {
    let link = PathBuf::from(format!("/proc/{pid}/exe"));
    let file = fs::metadata(&link).ok()?;
    let path = fs::read_link(&link).ok()?;
    let inode = (file.dev(), file.ino());
    // A replaced binary reads as `/path (deleted)`.
    let path = path
        .to_str()
        .and_then(|p| p.strip_suffix(" (deleted)"))
        .map_or(path.clone(), PathBuf::from);
    Some(Image { path, inode })
}

pub(super) fn has_open(pid: i32, path: &Path) -> Option<bool> {
    let wanted = fs::metadata(path).ok()?;
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let same = |file: fs::Metadata| file.ino() == wanted.ino() && file.dev() == wanted.dev();
    Some(fds.flatten().any(|fd| fs::metadata(fd.path()).is_ok_and(same)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1";
        let seen = parse(stat).expect("well formed");
        assert_eq!((seen.token, seen.life), (4711, Life::Alive));
        assert!(parse("7 (x").is_none() && parse("7 (x) S 1").is_none());
    }
}
