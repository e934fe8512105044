//! The programs: which ones a service would find, their versions, and whether daemon and remote control belong together.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::Finding;
use crate::config::{Config, Program};
use crate::control::protocol::Status;

/// Where programs are looked for besides `PATH`: services often run without Homebrew's.
const MORE_PLACES: [&str; 4] = [
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "/usr/bin",
    "/home/linuxbrew/.linuxbrew/bin",
];
/// Where a service finds programs whatever this shell's PATH says: what units and plists of ours name, and systemd's own.
const OF_SERVICES: [&str; 10] = [
    "/opt/homebrew/bin",
    "/opt/homebrew/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/bin",
    "/sbin",
    "/home/linuxbrew/.linuxbrew/bin",
    "/home/linuxbrew/.linuxbrew/sbin",
];
/// A program that has not told its version by then will not.
const PATIENCE: Duration = Duration::from_secs(5);
/// A line about a version is not longer (bytes).
const LONGEST_LINE: u64 = 4096;
/// Older ones lack commands that mail needs.
const OLDEST_REDIS: u32 = 6;

/// All findings.
pub fn findings(config: Option<&Config>, running: Option<&Status>) -> Vec<Finding> {
    let mut findings = vec![maestrod(running)];
    findings.push(redis(config));
    findings
}

/// The first program of these names in PATH, or where services do not look.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = env::split_paths(&path)
        .chain(MORE_PLACES.iter().map(PathBuf::from))
        .collect();
    names
        .iter()
        .flat_map(|name| places.iter().map(move |place| place.join(name)))
        .find(|file| is_program(file))
}

/// The file that a configured program is.
pub fn locate(program: &Program) -> Option<PathBuf> {
    match program {
        Program::Path(path) => Some(path.clone()).filter(|path| is_program(path)),
        Program::Name(name) => find(&[name]),
    }
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The first line of what it says about itself.
pub fn version(file: &Path) -> String {
    let line = first_line(file, PATIENCE).unwrap_or_default();
    // redis-server goes on with hashes of its build.
    let line = line.split(" sha=").next().unwrap_or_default().trim();
    match line {
        "" => "version unknown".to_owned(),
        line => line.to_owned(),
    }
}

/// What it says first when it is asked for its version; `None` if it says nothing in time. It is ended: whatever was found
/// under that name may do something else for ever.
fn first_line(file: &Path, patience: Duration) -> Option<String> {
    let mut asked = Command::new(file)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let (tell, heard) = mpsc::channel();
    if let Some(told) = asked.stdout.take() {
        thread::spawn(move || {
            let mut line = Vec::new();
            let read = BufReader::new(told.take(LONGEST_LINE)).read_until(b'\n', &mut line);
            let _ = read.map(|_| tell.send(line)); // nobody may listen any more
        });
    }
    let line = heard.recv_timeout(patience).ok();
    let _ = asked.kill(); // it may have ended
    let _ = asked.wait();
    line.map(|line| String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// A finding about a program that is there.
pub fn found(check: &'static str, file: &Path) -> Finding {
    Finding::good(check, format!("{} ({})", file.display(), version(file)))
}

/// What brings a program.
pub fn how_to_get(program: &str) -> String {
    let package = program.trim_end_matches("-server");
    match cfg!(target_os = "macos") {
        true => format!("brew install {package}"),
        false => format!("install the package that brings {program}"),
    }
}

fn maestrod(running: Option<&Status>) -> Finding {
    let check = "maestrod";
    let beside = env::current_exe().ok().map(|own| own.with_file_name(check));
    let file = beside.filter(|file| is_program(file)).or_else(|| find(&[check]));
    let Some(file) = file else {
        return Finding::bad(
            check,
            "not found beside maestroctl, nor in PATH",
            "install both programs into one directory",
        );
    };
    let installed = version(&file);
    skew(&installed, running.map(|status| status.daemon.release.as_str()))
        .unwrap_or_else(|| Finding::good(check, format!("{} ({installed})", file.display())))
}

/// Parts of different releases understand each other, but what was fixed is not fixed until the daemon is replaced.
fn skew(installed: &str, running: Option<&str>) -> Option<Finding> {
    let ours = env!("CARGO_PKG_VERSION");
    let check = "maestrod";
    let release = installed.split_whitespace().next_back().unwrap_or_default();
    if release != ours {
        return Some(Finding::warn(
            check,
            format!("the one installed is {release}, maestroctl is {ours}"),
            "install both of one release",
        ));
    }
    let running = running.filter(|running| !running.is_empty() && *running != ours)?;
    Some(Finding::warn(
        check,
        format!("the one that runs is {running}, the one installed {ours}"),
        "maestroctl service restart",
    ))
}

fn redis(config: Option<&Config>) -> Finding {
    let check = "redis-server";
    let wished = config.and_then(|config| config.redis.binary.as_ref());
    let file = match wished {
        Some(wished) => locate(wished),
        None => find(&[check, "valkey-server"]),
    };
    let Some(file) = file else {
        let name = wished.map_or(check.to_owned(), |wished| wished.as_path().display().to_string());
        return Finding::warn(
            check,
            format!(
                "{name} is not found; without it mail, presence and locks work embedded, on this machine only"
            ),
            how_to_get(check),
        );
    };
    if !matches!(wished, Some(Program::Path(_)))
        && let Some(finding) = only_here(&file)
    {
        return finding;
    }
    let version = version(&file);
    match major(&version) {
        Some(major) if major < OLDEST_REDIS => Finding::warn(
            check,
            format!("{} is {version}", file.display()),
            format!("use redis {OLDEST_REDIS} or newer, or any valkey"),
        ),
        _ => Finding::good(check, format!("{} ({version})", file.display())),
    }
}

/// `Redis server v=7.0.15 sha=...`.
fn major(version: &str) -> Option<u32> {
    let number = version.split("v=").nth(1)?;
    number.split('.').next()?.parse().ok()
}

/// A shell finds more than a service does.
fn only_here(file: &Path) -> Option<Finding> {
    let dir = file.parent()?;
    if OF_SERVICES.iter().any(|place| Path::new(place) == dir) {
        return None;
    }
    let text = format!(
        "{} is in this shell's PATH, but a service may not find it",
        file.display()
    );
    let remedy = format!("in maestro.toml: redis.binary = \"{}\"", file.display());
    Some(Finding::warn("redis-server", text, remedy))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn parts_of_different_releases_are_named() {
        let ours = env!("CARGO_PKG_VERSION");
        let installed = format!("maestrod {ours}");
        assert_eq!(skew(&installed, Some(ours)), None);
        assert_eq!(skew(&installed, None), None);
        let old_daemon = skew(&installed, Some("0.0.9")).unwrap();
        assert_eq!(old_daemon.remedy.as_deref(), Some("maestroctl service restart"));
        assert!(skew("maestrod 9.9.9", None).unwrap().text.contains("9.9.9"));
    }

    #[test]
    fn a_program_that_says_nothing_or_never_ends_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        // Another process writes them: a file that this one has open for writing cannot be run.
        let program = |name: &str, lines: &str| {
            let file = dir.path().join(name);
            let write = "printf '#!/bin/sh\\n%s\\n' \"$2\" >\"$1\" && chmod +x \"$1\"";
            let mut writer = Command::new("/bin/sh");
            writer.args(["-c", write, "sh"]).arg(&file).arg(lines);
            assert!(writer.status().unwrap().success());
            file
        };
        let silent = program("silent", "exec sleep 600");
        assert_eq!(first_line(&silent, Duration::from_millis(50)), None);
        let endless = program("endless", "echo $0 1.2; exec sleep 600");
        let told = first_line(&endless, PATIENCE).unwrap();
        assert!(told.ends_with("endless 1.2"), "{told}");
        assert_eq!(first_line(Path::new("/nonexistent"), PATIENCE), None);
    }

    #[test]
    fn a_redis_that_only_this_shell_finds_is_said_to_be_so() {
        let finding = only_here(Path::new("/home/ada/bin/redis-server")).unwrap();
        assert_eq!(finding.level, Level::Warn);
        assert_eq!(only_here(Path::new("/usr/bin/redis-server")), None);
    }

    #[test]
    fn the_version_of_redis_is_read_from_its_own_line() {
        assert_eq!(
            major("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc"),
            Some(7)
        );
        assert_eq!(major("Valkey server v=9.1.0 sha=0"), Some(9));
        assert_eq!(major("version unknown"), None);
    }
}
