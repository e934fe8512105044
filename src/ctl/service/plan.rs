//! What has to be done, step by step. Pure: the same facts give the same steps, and `--dry-run` prints them.

use std::{fmt, path::PathBuf};

use super::{
    files,
    launchd::{Domain, Job},
    manager::{Facts, Manager, UNIT, owner},
};

/// What is wanted of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// There, running, and started again from now on.
    Install,
    /// Gone; data stays.
    Uninstall,
    /// Running.
    Start,
    /// Not running.
    Stop,
    /// Running anew.
    Restart,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a directory that is missing.
    MakeDir(PathBuf, u32),
    /// Write a file, whatever was there.
    Write(PathBuf, String),
    /// Write a file if none is there.
    WriteOnce(PathBuf, String),
    /// Remove a file.
    Remove(PathBuf),
    /// Run a program; it has to succeed.
    Run(Vec<String>),
    /// Run a program; what it says does not matter.
    Try(Vec<String>),
    /// Load the job, again and again while launchd still clears away the one before.
    Bootstrap(Domain, PathBuf),
    /// Wait until launchd does not know the job any more.
    AwaitGone(Job),
    /// Wait until the job's process has ended; one that does not is killed by the next step.
    AwaitEnded(Job),
    /// Wait until the job has a process.
    AwaitRunning(Job),
    /// Wait until brew's service has a process.
    AwaitBrew,
    /// Keep in mind which file launchd has read.
    Remember(PathBuf),
}

impl fmt::Display for Step {
    /// As one would do it by hand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDir(dir, mode) => write!(f, "mkdir -p -m {mode:o} {}", dir.display()),
            Self::Write(file, text) => write!(f, "write {} ({} bytes)", file.display(), text.len()),
            Self::WriteOnce(file, _) => write!(f, "write {}, if it is not there", file.display()),
            Self::Remove(file) => write!(f, "rm -f {}", file.display()),
            Self::Run(words) | Self::Try(words) => {
                let words: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
                f.write_str(&words.join(" "))
            }
            Self::Bootstrap(domain, file) => write!(f, "launchctl bootstrap {domain} {}", file.display()),
            Self::AwaitGone(job) => write!(f, "wait until launchd has let go of {job}"),
            Self::AwaitEnded(job) => write!(f, "wait until {job} has ended"),
            Self::AwaitRunning(job) => write!(f, "wait until {job} runs"),
            Self::AwaitBrew => f.write_str("wait until brew's service runs"),
            Self::Remember(file) => write!(f, "note which {} was loaded", file.display()),
        }
    }
}

/// A word as a shell reads it back.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-=:@,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// What is there now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The file at our place, if there is one.
    pub file: Option<String>,
    /// A package brings the file.
    pub packaged: bool,
    /// The manager has a process for us.
    pub pid: Option<u32>,
    /// launchd knows the job, in this domain.
    pub loaded: Option<Domain>,
    /// The file launchd has read is another one than lies there now.
    pub stale: bool,
    /// Where launchd would load the job.
    pub domain: Domain,
}

impl Seen {
    fn installed(&self) -> bool {
        self.packaged || self.file.is_some() || self.loaded.is_some()
    }
}

/// Why it will not be done, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Root is needed.
    #[error("{0} can only be changed by root")]
    Root(Manager),
    /// A hub of root's own would run every agent as root.
    #[error("the service would run as root")]
    OnlyRoot,
    /// Another daemon would be in its way.
    #[error("maestrod already runs: {owner}, pid {pid}")]
    Runs {
        /// Who runs it.
        owner: String,
        /// Its process.
        pid: u32,
        /// The manager, if it is one we know.
        manager: Option<Manager>,
    },
    /// It was never installed.
    #[error("maestro is no service of {0}")]
    NotInstalled(Manager),
    /// The service's user cannot get at the program.
    #[error("the service's own user cannot reach {}", .0.display())]
    OutOfReach(PathBuf),
}

impl Refusal {
    /// What to do.
    pub fn remedy(&self) -> String {
        match self {
            Self::Root(_) => "sudo maestroctl service ...".into(),
            Self::OnlyRoot => "call it with sudo from the account whose hub it shall be".into(),
            Self::Runs {
                manager: Some(manager),
                ..
            } => {
                format!("maestroctl service stop --manager {}", manager.word())
            }
            Self::Runs { pid, .. } => format!("end it first: kill {pid}"),
            Self::NotInstalled(_) => "maestroctl service install".into(),
            Self::OutOfReach(_) => {
                "install maestrod and maestroctl into /usr/local/bin, and call it there".into()
            }
        }
    }
}

/// The steps that lead to what is wanted.
pub fn plan(act: Act, manager: Manager, facts: &Facts, seen: &Seen) -> Result<Vec<Step>, Refusal> {
    if manager.needs_root() && !facts.root {
        return Err(Refusal::Root(manager));
    }
    if matches!(act, Act::Install | Act::Start)
        && let Some(running) = &facts.running
        && owner(facts, running) != Some(manager)
        && seen.pid != Some(running.pid)
    {
        return Err(Refusal::Runs {
            owner: running.owner.clone(),
            pid: running.pid,
            manager: owner(facts, running),
        });
    }
    if matches!(act, Act::Start | Act::Restart) && manager != Manager::Brew && !seen.installed() {
        return Err(Refusal::NotInstalled(manager));
    }
    match manager {
        Manager::SystemdUser | Manager::SystemdSystem => systemd(act, manager, facts, seen),
        Manager::LaunchdAgent | Manager::LaunchdDaemon => launchd(act, manager, facts, seen),
        Manager::Brew => Ok(brew(act)),
    }
}

/// What to say after an installation besides.
pub fn advice(act: Act, manager: Manager, facts: &Facts, lingers: bool) -> Vec<String> {
    let mut advice = Vec::new();
    if act == Act::Install && manager == Manager::SystemdUser && !lingers {
        advice.push(format!(
            "it ends when {name} logs out, unless: loginctl enable-linger {name}",
            name = facts.user.name
        ));
    }
    if act == Act::Uninstall {
        advice.push("data and configuration are left where they are".into());
    }
    advice
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn systemd(act: Act, manager: Manager, facts: &Facts, seen: &Seen) -> Result<Vec<Step>, Refusal> {
    let system = manager == Manager::SystemdSystem;
    let systemctl = |what: &str| {
        let scope = if system { "" } else { "--user " };
        words(&format!("systemctl {scope}{what}"))
    };
    let file = manager.file(facts);
    let steps = match act {
        Act::Start => vec![Step::Run(systemctl(&format!("start {UNIT}")))],
        Act::Stop => vec![Step::Run(systemctl(&format!("stop {UNIT}")))],
        Act::Restart => vec![
            Step::Run(systemctl("daemon-reload")),
            Step::Run(systemctl(&format!("restart {UNIT}"))),
        ],
        Act::Uninstall => {
            let mut steps = vec![Step::Try(systemctl(&format!("disable --now {UNIT}")))];
            steps.extend(file.filter(|_| seen.file.is_some()).map(Step::Remove));
            steps.push(Step::Run(systemctl("daemon-reload")));
            steps
        }
        Act::Install => {
            let mut steps = Vec::new();
            let wanted = files::text(manager, facts).filter(|_| !seen.packaged);
            let changes = wanted.is_some() && seen.file != wanted;
            if let (Some(file), Some(text)) = (file, wanted) {
                if system {
                    if ["/home", "/root", "/tmp"]
                        .iter()
                        .any(|home| facts.maestrod.starts_with(home))
                    {
                        return Err(Refusal::OutOfReach(facts.maestrod.clone()));
                    }
                    steps.push(Step::Run(vec![
                        "systemd-sysusers".into(),
                        "--inline".into(),
                        "u maestro - \"maestro hub\" /var/lib/maestro".into(),
                    ]));
                    // As the package has it: the service reads its configuration, and only root writes it.
                    steps.push(Step::MakeDir("/etc/maestro".into(), 0o750));
                    let config = PathBuf::from("/etc/maestro/maestro.toml");
                    steps.push(Step::WriteOnce(config, files::SYSTEM_CONFIG.into()));
                    steps.push(Step::Run(words(
                        "chown root:maestro /etc/maestro /etc/maestro/maestro.toml",
                    )));
                } else if let Some(dir) = file.parent() {
                    steps.push(Step::MakeDir(dir.to_owned(), 0o755));
                }
                if changes {
                    steps.push(Step::Write(file, text));
                }
            }
            steps.push(Step::Run(systemctl("daemon-reload")));
            steps.push(Step::Run(systemctl(&format!("enable {UNIT}"))));
            // A running one goes on with what it was started with.
            let verb = if changes { "restart" } else { "start" };
            steps.push(Step::Run(systemctl(&format!("{verb} {UNIT}"))));
            steps
        }
    };
    Ok(steps)
}

fn launchd(act: Act, manager: Manager, facts: &Facts, seen: &Seen) -> Result<Vec<Step>, Refusal> {
    let Some(file) = manager.file(facts) else {
        return Err(Refusal::NotInstalled(manager)); // launchd's managers have one
    };
    let job = Job::new(seen.loaded.unwrap_or(seen.domain));
    let launchctl = |what: &str| words(&format!("launchctl {what} {job}"));
    let leave = || [Step::Try(launchctl("bootout")), Step::AwaitGone(job)];
    let enter = |steps: &mut Vec<Step>| {
        // A job that was disabled once is never loaded again otherwise.
        steps.push(Step::Run(launchctl("enable")));
        steps.push(Step::Bootstrap(job.domain, file.clone()));
        steps.push(Step::Remember(file.clone()));
    };
    let mut steps = Vec::new();
    match act {
        Act::Install => {
            if manager == Manager::LaunchdDaemon && facts.user.uid == 0 {
                return Err(Refusal::OnlyRoot);
            }
            let wanted = files::text(manager, facts);
            let changes = seen.file != wanted;
            if let Some(dir) = file.parent() {
                steps.push(Step::MakeDir(dir.to_owned(), 0o755));
            }
            steps.push(Step::MakeDir(facts.state_dir.clone(), 0o700));
            if manager == Manager::LaunchdDaemon {
                let owner = facts.user.name.clone();
                let state = facts.state_dir.display().to_string();
                steps.push(Step::Run(vec!["chown".into(), owner, state]));
            }
            steps.extend(
                wanted
                    .filter(|_| changes)
                    .map(|text| Step::Write(file.clone(), text)),
            );
            match seen.loaded {
                Some(_) if changes || seen.stale => {
                    steps.extend(leave());
                    enter(&mut steps);
                }
                Some(_) => steps.push(Step::Run(launchctl("kickstart"))),
                None => enter(&mut steps),
            }
            steps.push(Step::AwaitRunning(job));
        }
        Act::Start => {
            match seen.loaded {
                Some(_) => steps.push(Step::Run(launchctl("kickstart"))),
                None => enter(&mut steps),
            }
            steps.push(Step::AwaitRunning(job));
        }
        Act::Restart => {
            match seen.loaded {
                None => enter(&mut steps),
                Some(_) if seen.stale => {
                    steps.extend(leave());
                    enter(&mut steps);
                }
                Some(_) => {
                    // `kickstart -k` kills without asking: it is asked to end first, and stays down after that.
                    steps.push(Step::Try(launchctl("kill SIGTERM")));
                    steps.push(Step::AwaitEnded(job));
                    steps.push(Step::Run(launchctl("kickstart -k")));
                }
            }
            steps.push(Step::AwaitRunning(job));
        }
        Act::Stop if seen.loaded.is_some() => steps.extend(leave()),
        Act::Stop => {}
        Act::Uninstall => {
            if seen.loaded.is_some() {
                steps.extend(leave());
            }
            steps.push(Step::Remove(file.clone()));
        }
    }
    Ok(steps)
}

fn brew(act: Act) -> Vec<Step> {
    let verb = match act {
        Act::Install | Act::Start => "start",
        Act::Stop | Act::Uninstall => "stop",
        Act::Restart => "restart",
    };
    let mut steps = vec![Step::Run(words(&format!("brew services {verb} maestro")))];
    if verb != "stop" {
        // brew says "successfully started" of a job that fails, too.
        steps.push(Step::AwaitBrew);
    }
    steps
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
