//! What launchd says and how it is waited for. `bootout` returns before the job is gone, and `bootstrap` fails with error 5
//! until it is; `print` is the only thing that tells the truth.

use std::{fmt, time::Duration};

use tokio::time::{Instant, sleep};

use super::{manager::LABEL, run::Tools};

/// How long launchd is tried again while it still clears away the job before.
pub const BOOTSTRAP_RETRY: Duration = Duration::from_secs(15);
/// How long a job may take to end: its exit timeout and a moment.
pub const GONE_WITHIN: Duration = Duration::from_secs(40);
/// How long a job may take to have a process: launchd holds it back for `ThrottleInterval`.
pub const RUNS_WITHIN: Duration = Duration::from_secs(12);
/// How often is looked.
pub const PACE: Duration = Duration::from_millis(100);

/// Where launchd keeps a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Domain {
    /// The machine.
    #[default]
    System,
    /// A user who sits at the screen.
    Gui(u32),
    /// A user who does not (ssh).
    User(u32),
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Gui(uid) => write!(f, "gui/{uid}"),
            Self::User(uid) => write!(f, "user/{uid}"),
        }
    }
}

/// Our job in a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Where it is.
    pub domain: Domain,
}

impl Job {
    /// The one in this domain.
    pub fn new(domain: Domain) -> Self {
        Self { domain }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{LABEL}", self.domain)
    }
}

/// What `launchctl print` says about a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// `running`, `not running`, `spawn scheduled`, ...
    pub state: String,
    /// Its process.
    pub pid: Option<u32>,
    /// How long it may take to end, in seconds.
    pub exit_timeout: Option<u64>,
    /// How it ended last.
    pub last_exit: Option<String>,
}

/// Reads what is printed. Only the job's own lines count: below it there are lines of the same names.
pub fn read(printed: &str) -> Printed {
    let mut job = Printed::default();
    let mut depth = 0_usize;
    for line in printed.lines() {
        let line = line.trim();
        if line.ends_with('{') {
            depth += 1;
        } else if line == "}" {
            depth = depth.saturating_sub(1);
        } else if let (1, Some((name, value))) = (depth, line.split_once(" = ")) {
            match name {
                "state" => job.state = value.to_owned(),
                "pid" => job.pid = value.parse().ok(),
                "exit timeout" => job.exit_timeout = value.parse().ok(),
                "last exit code" => job.last_exit = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    job
}

/// What launchd knows about the job; `None` if nothing.
pub async fn print(tools: &Tools, job: Job) -> Option<Printed> {
    let printed = tools.ask(&["launchctl", "print", &job.to_string()]).await.ok()?;
    Some(read(&printed))
}

/// Where our job would be loaded: with the screen's user if there is one.
pub async fn domain_of_user(tools: &Tools, uid: u32) -> Domain {
    let gui = Domain::Gui(uid);
    match tools.ask(&["launchctl", "print", &gui.to_string()]).await {
        Ok(_) => gui,
        Err(_) => Domain::User(uid),
    }
}

/// Looks until `enough` says so, at most `limit` long; the last look.
pub async fn until(
    tools: &Tools,
    job: Job,
    limit: Duration,
    enough: impl Fn(Option<&Printed>) -> bool,
) -> Result<Option<Printed>, Option<Printed>> {
    let deadline = Instant::now() + limit;
    loop {
        let seen = print(tools, job).await;
        if enough(seen.as_ref()) {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            return Err(seen);
        }
        sleep(PACE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jobs_own_lines_are_read_and_not_those_below() {
        let printed = "gui/501/dev.maestro.maestrod = {\n\tactive count = 1\n\tpath = /x.plist\n\tstate = running\n\n\tevent triggers = {\n\t\tstate = 0\n\t\tpid = 9\n\t}\n\tpid = 4711\n\texit timeout = 5\n\tlast exit code = (never exited)\n}\n";
        assert_eq!(
            read(printed),
            Printed {
                state: "running".into(),
                pid: Some(4711),
                exit_timeout: Some(5),
                last_exit: Some("(never exited)".into()),
            }
        );
    }
}
