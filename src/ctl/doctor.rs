//! `maestroctl doctor`: everything a support thread would ask for, each finding with its remedy.

mod tunnel;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;
use serde::Serialize;

use crate::config::Loaded;
use crate::control::client::{Client, ClientError};

use super::{
    Context,
    exit::Exit,
    paint::{Paint, Tone},
    status::verdict,
};

/// Longest path of a unix socket that every supported system accepts (macOS: 104 bytes with the final NUL).
const SOCKET_PATH: usize = 103;
/// Less room than this (bytes) is worth a word.
const LOW_DISK: u64 = 512 * 1024 * 1024;
/// Where programs are looked for besides `PATH`: services often run without Homebrew's.
const MORE_PLACES: [&str; 4] = [
    "/opt/homebrew/bin",
    "/usr/local/bin",
    "/usr/bin",
    "/home/linuxbrew/.linuxbrew/bin",
];

const EXAMPLES: &str = "\
Examples:
  maestroctl doctor                    what is wrong, and what to do
  maestroctl doctor --json | jq '.[] | select(.level != \"good\")'";

/// Arguments of `doctor`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    level: Level,
    text: String,
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Good,
    Warn,
    Bad,
}

impl Finding {
    fn good(check: &'static str, text: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Good,
            text: text.into(),
            remedy: None,
        }
    }

    fn warn(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Warn,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }

    fn bad(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Bad,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }
}

/// Runs it.
pub async fn run(context: &Context, args: DoctorArgs) -> Exit {
    let mut findings = vec![];
    match &context.loaded {
        Ok(loaded) => {
            findings.push(configuration(loaded));
            findings.push(socket_length(context.socket()));
            for (check, dir) in [
                ("data directory", &loaded.config.data_dir),
                ("state directory", &loaded.config.state_dir),
                ("runtime directory", &loaded.config.runtime_dir),
            ] {
                findings.push(directory(check, dir));
            }
            findings.push(disk(&loaded.config.data_dir));
            findings.push(json_data(&loaded.config.data_dir));
        }
        Err(error) => findings.push(Finding::bad(
            "configuration",
            error.to_string(),
            "mend it, then: maestroctl config check",
        )),
    }
    findings.push(program(
        "redis-server",
        &["redis-server", "valkey-server"],
        "without it mail, presence and locks work embedded, on this machine only",
    ));
    if let Ok(loaded) = &context.loaded {
        findings.extend(tunnel::findings(&loaded.config, std::env::home_dir().as_deref()));
    }
    findings.extend(linger());
    findings.push(daemon(context).await);
    let worst = findings.iter().any(|finding| finding.level == Level::Bad);
    if args.json {
        match serde_json::to_string_pretty(&findings) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("maestroctl: cannot print the findings: {error}"),
        }
    } else {
        print!("{}", render(&findings, Paint::for_stdout()));
    }
    if worst { Exit::Degraded } else { Exit::Fine }
}

fn configuration(loaded: &Loaded) -> Finding {
    let from = match &loaded.file {
        Some(file) => format!("{} is good", file.display()),
        None => "no file; the built-in defaults are used".to_owned(),
    };
    match loaded.warnings.first() {
        Some(warning) => Finding::warn(
            "configuration",
            format!("{from}, but {warning}"),
            "maestroctl config show",
        ),
        None => Finding::good("configuration", from),
    }
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

fn directory(check: &'static str, dir: &Path) -> Finding {
    match fs::metadata(dir) {
        Ok(meta) if !meta.is_dir() => Finding::bad(
            check,
            format!("{} is not a directory", dir.display()),
            "move the file away or choose another directory",
        ),
        Ok(meta) if meta.permissions().mode() & 0o022 != 0 => Finding::warn(
            check,
            format!("others can write to {}", dir.display()),
            format!("chmod go-w {}", dir.display()),
        ),
        Ok(_) => Finding::good(check, dir.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Finding::good(
            check,
            format!("{} will be made at the first start", dir.display()),
        ),
        Err(error) => Finding::bad(
            check,
            format!("{}: {error}", dir.display()),
            "give this user access to it",
        ),
    }
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

/// The first program of these names in PATH, or where services do not look.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(MORE_PLACES.iter().map(PathBuf::from))
        .collect();
    names
        .iter()
        .flat_map(|name| places.iter().map(move |place| place.join(name)))
        .find(|file| {
            fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}

fn program(check: &'static str, names: &[&str], without: &str) -> Finding {
    let Some(file) = find(names) else {
        let how = if cfg!(target_os = "macos") {
            format!("brew install {}", names[0].trim_end_matches("-server"))
        } else {
            format!("install the package that brings {}", names[0])
        };
        return Finding::warn(check, format!("not found; {without}"), how);
    };
    let version = Command::new(&file)
        .arg("--version")
        .output()
        .ok()
        .map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let version = version
        .as_deref()
        .and_then(|text| text.lines().next())
        .unwrap_or("version unknown")
        .to_owned();
    Finding::good(check, format!("{} ({})", file.display(), version.trim()))
}

/// systemd ends a user's services at logout unless the user lingers.
fn linger() -> Option<Finding> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).ok()??;
    if user.uid.is_root()
        || !Path::new("/run/systemd/users")
            .join(user.uid.to_string())
            .exists()
    {
        return None;
    }
    if Path::new("/var/lib/systemd/linger").join(&user.name).exists() {
        return Some(Finding::good(
            "linger",
            "services of this user go on after logout",
        ));
    }
    Some(Finding::warn(
        "linger",
        "a user service would end at logout",
        format!("loginctl enable-linger {}", user.name),
    ))
}

async fn daemon(context: &Context) -> Finding {
    let asked = match Client::connect(context.socket()).await {
        Ok(mut client) => client.status().await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(status) if verdict(&status) == Exit::Fine => {
            Finding::good("daemon", format!("ready, pid {}", status.daemon.pid))
        }
        Ok(status) => Finding::warn(
            "daemon",
            format!("running (pid {}), but not all is well", status.daemon.pid),
            "maestroctl status",
        ),
        Err(ClientError::NotRunning) => Finding::warn("daemon", "not running", super::start_hint(None)),
        Err(error) => Finding::bad("daemon", error.to_string(), "maestroctl status"),
    }
}

fn render(findings: &[Finding], paint: Paint) -> String {
    let mut out = String::new();
    for finding in findings {
        let (tone, mark) = match finding.level {
            Level::Good => (Tone::Good, "ok  "),
            Level::Warn => (Tone::Warn, "warn"),
            Level::Bad => (Tone::Bad, "BAD "),
        };
        out += &format!(
            "{} {:<18} {}\n",
            paint.tone(tone, mark),
            finding.check,
            finding.text
        );
        if let Some(remedy) = &finding.remedy {
            out += &format!("{:24}{} {remedy}\n", "", paint.tone(Tone::Quiet, "→"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_directory_others_can_write_to_is_a_finding_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let finding = directory("data directory", dir.path());
        assert_eq!(finding.level, Level::Warn);
        assert!(finding.remedy.unwrap().contains("chmod go-w"));
    }
}
