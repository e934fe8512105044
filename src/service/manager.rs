//! Who started us and will start us again, and how long it lets us stop. Decided from facts, once, at start.

use std::{fmt, process::Stdio, time::Duration};

use tokio::time::timeout;

/// The init system that runs us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manager {
    /// systemd; `user` for a unit of the user's own manager.
    Systemd { user: bool },
    /// launchd, with the label of the job.
    Launchd { label: String },
    /// Nobody: a terminal, a script, a container.
    Manual,
}

/// The answer to "who runs us", with what is needed to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub manager: Manager,
    /// True if Homebrew wrote the unit or the plist: then it also has to stop it.
    pub brew: bool,
}

/// In the words of `maestroctl status`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.manager {
            _ if self.brew => "brew",
            Manager::Systemd { user: true } => "systemd (user)",
            Manager::Systemd { user: false } => "systemd (system)",
            Manager::Launchd { .. } => "launchd",
            Manager::Manual => "by hand",
        })
    }
}

/// What the decision needs to know of this process.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub pid: u32,
    pub parent: u32,
    /// Reads an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

impl Owner {
    /// Who runs this process.
    pub fn detect() -> Self {
        Self::decide(Facts {
            pid: std::process::id(),
            parent: std::os::unix::process::parent_id(),
            env: &|name| std::env::var(name).ok(),
        })
    }

    /// The rule. Variables are inherited by every shell started from a service, so none counts alone: it must name
    /// our pid, or our parent must be a manager.
    pub fn decide(facts: Facts<'_>) -> Self {
        let Facts { pid, parent, env } = facts;
        let number = |name| env(name).and_then(|text| text.trim().parse::<u32>().ok());
        let user_manager = number("MANAGERPID");
        let child_of_manager = parent == 1 || Some(parent) == user_manager;
        let by_systemd = match number("SYSTEMD_EXEC_PID") {
            Some(meant) => meant == pid,
            None => env("INVOCATION_ID").is_some() && child_of_manager,
        };
        let label = env("XPC_SERVICE_NAME").filter(|label| !label.is_empty() && label != "0");
        let manager = match label {
            _ if by_systemd => Manager::Systemd {
                user: user_manager.is_some(),
            },
            Some(label) if parent == 1 => Manager::Launchd { label },
            _ => Manager::Manual,
        };
        let brew_label = matches!(&manager, Manager::Launchd { label } if label.starts_with("homebrew."));
        let brew =
            manager != Manager::Manual && (brew_label || env("MAESTRO_MANAGER").as_deref() == Some("brew"));
        Self { manager, brew }
    }

    /// True if an exit would be answered with another start.
    pub fn restarts_us(&self) -> bool {
        self.manager != Manager::Manual
    }

    /// True if whoever restarts us cannot be told to leave it: launchd knows no exit status but 0.
    pub fn loops(&self) -> bool {
        matches!(self.manager, Manager::Launchd { .. })
    }

    /// True if our standard error would grow for ever: launchd, and the files of brew, are never rotated.
    pub fn rotates_nothing(&self) -> bool {
        self.brew || matches!(self.manager, Manager::Launchd { .. })
    }

    /// How long a stop may take. launchd kills after its exit timeout, 5 s if nobody set it.
    pub fn stop_profile(&self, launchd_exit_timeout: Option<Duration>) -> StopProfile {
        let launchd = matches!(self.manager, Manager::Launchd { .. });
        let room = launchd_exit_timeout.is_some_and(|limit| limit > StopProfile::Normal.limits().exit);
        if launchd && !room {
            StopProfile::Fast
        } else {
            StopProfile::Normal
        }
    }
}

/// How much time a stop takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopProfile {
    /// Fits into launchd's 5 s.
    Fast,
    /// Fits into systemd's `TimeoutStopSec=30`.
    Normal,
}

/// When the steps of a stop happen, counted from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopLimits {
    /// The tunnel is told to end: late enough that clients heard our goodbye through it.
    pub end_tunnel: Duration,
    /// Whoever has not drained by now is cut off; then queues are flushed and Redis is told to end.
    pub close_clients: Duration,
    /// Children still alive are killed.
    pub kill: Duration,
    /// We exit, whatever is left.
    pub exit: Duration,
}

impl StopProfile {
    /// The times of this profile.
    pub const fn limits(self) -> StopLimits {
        let ms = Duration::from_millis;
        match self {
            Self::Fast => StopLimits {
                end_tunnel: ms(150),
                close_clients: ms(1_500),
                kill: ms(3_200),
                exit: ms(4_000),
            },
            Self::Normal => StopLimits {
                end_tunnel: ms(150),
                close_clients: ms(10_000),
                kill: ms(17_000),
                exit: ms(20_000),
            },
        }
    }
}

/// How long launchd waits for our end, if it says so: `ask` is given a job as `domain/label` and answers what is
/// printed about it; [`launchctl_print`] is the real one.
pub async fn launchd_exit_timeout(
    label: &str,
    uid: u32,
    ask: impl AsyncFn(String) -> Option<String>,
) -> Option<Duration> {
    for domain in [format!("gui/{uid}"), format!("user/{uid}"), "system".to_owned()] {
        if let Some(printed) = ask(format!("{domain}/{label}")).await {
            return parse_exit_timeout(&printed);
        }
    }
    None
}

/// Asks launchd about a job; `None` if it does not know it, or does not answer.
pub async fn launchctl_print(job: String) -> Option<String> {
    let mut command = tokio::process::Command::new("/bin/launchctl");
    command
        .arg("print")
        .arg(job)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let answer = timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    let known = answer.status.success();
    known.then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
}

/// How long launchctl may take: this is asked at start, and the answer only makes a stop more generous.
const PATIENCE: Duration = Duration::from_secs(2);

/// The exit timeout in the output of `launchctl print <domain>/<label>`: a line `exit timeout = 5`, in seconds.
pub fn parse_exit_timeout(printed: &str) -> Option<Duration> {
    printed.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let seconds = (name.trim() == "exit timeout").then(|| value.trim().parse().ok())??;
        Some(Duration::from_secs(seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(pid: u32, parent: u32, env: &[(&str, &str)]) -> Owner {
        let read = |name: &str| {
            env.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Owner::decide(Facts {
            pid,
            parent,
            env: &read,
        })
    }

    fn plain(manager: Manager) -> Owner {
        Owner { manager, brew: false }
    }

    #[test]
    fn a_systemd_unit_is_recognised_by_our_own_pid() {
        let system = [("INVOCATION_ID", "f0"), ("SYSTEMD_EXEC_PID", "70")];
        assert_eq!(owner(70, 1, &system), plain(Manager::Systemd { user: false }));
        let user = [
            ("INVOCATION_ID", "f0"),
            ("SYSTEMD_EXEC_PID", "70"),
            ("MANAGERPID", "900"),
        ];
        assert_eq!(owner(70, 900, &user), plain(Manager::Systemd { user: true }));
    }

    #[test]
    fn a_systemd_too_old_to_name_our_pid_is_recognised_by_our_parent() {
        assert_eq!(
            owner(70, 1, &[("INVOCATION_ID", "f0")]),
            plain(Manager::Systemd { user: false })
        );
        let user = [("INVOCATION_ID", "f0"), ("MANAGERPID", "900")];
        assert_eq!(owner(70, 900, &user), plain(Manager::Systemd { user: true }));
    }

    #[test]
    fn a_shell_below_a_service_passes_on_variables_that_do_not_mean_us() {
        let inherited = [
            ("INVOCATION_ID", "f0"),
            ("SYSTEMD_EXEC_PID", "60"),
            ("MANAGERPID", "900"),
        ];
        assert_eq!(owner(70, 65, &inherited), plain(Manager::Manual));
        assert_eq!(owner(70, 65, &[("INVOCATION_ID", "f0")]), plain(Manager::Manual));
        assert_eq!(
            owner(70, 65, &[("MAESTRO_MANAGER", "brew")]),
            plain(Manager::Manual)
        );
        assert_eq!(
            owner(70, 65, &[("XPC_SERVICE_NAME", "application.com.apple.Terminal")]),
            plain(Manager::Manual)
        );
    }

    #[test]
    fn the_first_process_of_a_container_is_run_by_nobody() {
        assert_eq!(owner(1, 0, &[]), plain(Manager::Manual));
        assert_eq!(owner(70, 1, &[("XPC_SERVICE_NAME", "0")]), plain(Manager::Manual));
    }

    #[test]
    fn launchd_is_recognised_by_its_label_and_brew_by_what_it_wrote() {
        let label = || "dev.maestro.maestrod".to_owned();
        let launchd = owner(70, 1, &[("XPC_SERVICE_NAME", "dev.maestro.maestrod")]);
        assert_eq!(launchd, plain(Manager::Launchd { label: label() }));
        let brew = owner(70, 1, &[("XPC_SERVICE_NAME", "homebrew.mxcl.maestro")]);
        assert!(brew.brew && brew.restarts_us());
        let brew_on_linux = owner(
            70,
            900,
            &[
                ("INVOCATION_ID", "f"),
                ("MANAGERPID", "900"),
                ("MAESTRO_MANAGER", "brew"),
            ],
        );
        assert_eq!(
            brew_on_linux,
            Owner {
                manager: Manager::Systemd { user: true },
                brew: true
            }
        );
    }

    #[test]
    fn only_launchd_with_its_short_patience_makes_us_hurry() {
        let launchd = plain(Manager::Launchd { label: "x".into() });
        let secs = |n| Some(Duration::from_secs(n));
        assert_eq!(launchd.stop_profile(None), StopProfile::Fast);
        assert_eq!(launchd.stop_profile(secs(5)), StopProfile::Fast);
        assert_eq!(launchd.stop_profile(secs(20)), StopProfile::Fast);
        assert_eq!(launchd.stop_profile(secs(30)), StopProfile::Normal);
        assert_eq!(
            plain(Manager::Systemd { user: true }).stop_profile(None),
            StopProfile::Normal
        );
        assert_eq!(plain(Manager::Manual).stop_profile(secs(5)), StopProfile::Normal);
    }

    #[test]
    fn the_steps_of_a_stop_come_in_their_order_in_both_profiles() {
        for profile in [StopProfile::Fast, StopProfile::Normal] {
            let at = profile.limits();
            assert!(at.end_tunnel < at.close_clients && at.close_clients < at.kill && at.kill < at.exit);
        }
        assert_eq!(StopProfile::Fast.limits().exit, Duration::from_secs(4));
        assert_eq!(StopProfile::Normal.limits().exit, Duration::from_secs(20));
    }

    #[test]
    fn the_exit_timeout_is_read_from_what_launchctl_prints() {
        let printed = "gui/501/dev.maestro = {\n\tactive count = 1\n\texit timeout = 30\n\truns = 1\n}";
        assert_eq!(parse_exit_timeout(printed), Some(Duration::from_secs(30)));
        assert_eq!(parse_exit_timeout("\texit timeout = soon\n"), None);
        assert_eq!(parse_exit_timeout("Could not find service"), None);
    }

    #[tokio::test]
    async fn launchd_is_asked_domain_by_domain_until_one_knows_the_job() {
        let ask = async |job: String| (job == "user/501/dev.m").then(|| "\texit timeout = 30\n".to_owned());
        assert_eq!(
            launchd_exit_timeout("dev.m", 501, ask).await,
            Some(Duration::from_secs(30))
        );
        assert_eq!(launchd_exit_timeout("other", 501, ask).await, None);
    }

    #[cfg(not(target_os = "macos"))]
    #[tokio::test]
    async fn where_there_is_no_launchd_nothing_is_known() {
        assert_eq!(launchctl_print("system/x".into()).await, None);
    }
}
