//! The machine inside: its commands, its services, its files.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

/// Longest wait for anything; generous, because test machines are slow and shared.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a command said and how it ended.
pub struct Ran {
    pub command: String,
    pub code: Option<i32>,
    /// Standard output, then standard error.
    pub said: String,
}

impl Ran {
    fn new(command: String, output: &Output) -> Self {
        let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Self {
            command,
            code: output.status.code(),
            said: said.concat(),
        }
    }

    /// What it said, if it went well.
    #[track_caller]
    pub fn well(self) -> String {
        self.ended(0)
    }

    /// What it said, if it ended with this code.
    #[track_caller]
    pub fn ended(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}:\n{}", self.command, self.said);
        self.said
    }
}

/// Runs a line of shell, as root.
pub fn sh(line: &str) -> Ran {
    let output = Command::new("bash")
        .args(["-c", line])
        .output()
        .expect("bash runs");
    Ran::new(line.to_owned(), &output)
}

/// Runs a line of shell as another user, with what `systemctl --user` needs.
pub fn sh_as(user: &str, line: &str) -> Ran {
    let uid = sh(&format!("id -u {user}")).well();
    let run = format!("/run/user/{}", uid.trim());
    let output = Command::new("runuser")
        .args(["-u", user, "--", "env"])
        .arg(format!("XDG_RUNTIME_DIR={run}"))
        .arg(format!("DBUS_SESSION_BUS_ADDRESS=unix:path={run}/bus"))
        .arg(format!("HOME=/home/{user}"))
        .args(["bash", "-c", line])
        .output()
        .expect("runuser runs");
    Ran::new(format!("{user}: {line}"), &output)
}

/// Asks until there is an answer.
#[track_caller]
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A property of a unit, as `systemctl show` has it.
pub fn property(unit: &str, name: &str) -> String {
    sh(&format!("systemctl show {unit} --property={name} --value"))
        .well()
        .trim()
        .to_owned()
}

/// Owner, group and mode: `maestro:maestro 700`.
#[track_caller]
pub fn rights(path: &str) -> String {
    sh(&format!("stat -c '%U:%G %a' {path}")).well().trim().to_owned()
}

/// Writes a file and what leads to it.
pub fn write(path: &str, text: &str) {
    let path = Path::new(path);
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The processes of this name that live: zombies do not.
pub fn processes(name: &str) -> Vec<i32> {
    let found = fs::read_dir("/proc").expect("proc").flatten();
    found
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let Some((head, rest)) = stat.rsplit_once(')') else {
                return false;
            };
            head.split_once('(').is_some_and(|(_, found)| found == name)
                && !rest.trim_start().starts_with('Z')
        })
        .collect()
}

/// Puts a program where the system looks for programs. Not a copy: it would take memory, and this one is seen in every
/// sandbox.
pub fn mount(program: &Path, to: &str) {
    write(to, "");
    sh(&format!("mount --bind {} {to}", program.display())).well();
    let facts = fs::metadata(to).expect("it is there");
    assert!(
        facts.permissions().mode() & 0o111 != 0 && facts.size() > 0,
        "{to}"
    );
}

/// What an engineer looks at first when a story went wrong.
pub fn last_words() -> String {
    let status =
        "systemctl status maestro --no-pager --lines=0 2>&1; journalctl -u maestro --no-pager --lines=40";
    sh(status).said
}
