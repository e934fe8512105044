//! Which init system looks after maestrod here. Decided from facts; nothing is asked of the machine in this file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

/// What launchd calls us.
pub const LABEL: &str = "dev.maestro.maestrod";
/// What systemd calls us.
pub const UNIT: &str = "maestro.service";

/// Who starts maestrod, and starts it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Manager {
    /// The systemd of this user
    SystemdUser,
    /// The systemd of the machine
    SystemdSystem,
    /// launchd, once this user has logged in
    LaunchdAgent,
    /// launchd, from boot on
    LaunchdDaemon,
    /// brew services
    Brew,
}

impl Manager {
    /// The word on the command line and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SystemdUser => "systemd-user",
            Self::SystemdSystem => "systemd-system",
            Self::LaunchdAgent => "launchd-agent",
            Self::LaunchdDaemon => "launchd-daemon",
            Self::Brew => "brew",
        }
    }

    /// True if only root may change it.
    pub const fn needs_root(self) -> bool {
        matches!(self, Self::SystemdSystem | Self::LaunchdDaemon)
    }

    /// Where its file about us is, if it is we who write it.
    pub fn file(self, facts: &Facts) -> Option<PathBuf> {
        let plist = format!("{LABEL}.plist");
        match self {
            Self::SystemdUser => Some(facts.user_config.join("systemd/user").join(UNIT)),
            Self::SystemdSystem => Some(Path::new("/etc/systemd/system").join(UNIT)),
            Self::LaunchdAgent => Some(facts.home.join("Library/LaunchAgents").join(plist)),
            Self::LaunchdDaemon => Some(Path::new("/Library/LaunchDaemons").join(plist)),
            Self::Brew => None,
        }
    }

    /// Where a package puts the same file.
    pub fn packaged(self) -> Option<PathBuf> {
        let below = match self {
            Self::SystemdUser => "/usr/lib/systemd/user",
            Self::SystemdSystem => "/usr/lib/systemd/system",
            Self::LaunchdAgent | Self::LaunchdDaemon | Self::Brew => return None,
        };
        Some(Path::new(below).join(UNIT))
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SystemdUser => "systemd (user)",
            Self::SystemdSystem => "systemd (system)",
            Self::LaunchdAgent => "launchd (agent)",
            Self::LaunchdDaemon => "launchd (daemon)",
            Self::Brew => "brew services",
        })
    }
}

/// What this machine runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Os {
    /// Linux, with systemd as its first process or not.
    Linux {
        /// It is systemd.
        systemd: bool,
    },
    /// macOS.
    Macos,
    /// Something else.
    Other,
}

/// Who the service runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its login name.
    pub name: String,
    /// Its number.
    pub uid: u32,
}

/// A daemon that answers now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Who runs it, in the words of `maestroctl status`.
    pub owner: String,
    /// Its process.
    pub pid: u32,
}

/// What the decisions need to know.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What this machine runs on.
    pub os: Os,
    /// We are root.
    pub root: bool,
    /// Who owns the hub: us, or who called sudo.
    pub user: User,
    /// The home of that user.
    pub home: PathBuf,
    /// `~/.config`, or what XDG says.
    pub user_config: PathBuf,
    /// The directory maestrod keeps its locks and records in.
    pub state_dir: PathBuf,
    /// The program that the service shall run, by a path that an upgrade does not change.
    pub maestrod: PathBuf,
    /// That program was installed by Homebrew.
    pub brewed: bool,
    /// Which managers have a file about us.
    pub installed: Vec<Manager>,
    /// The daemon that answers now.
    pub running: Option<Running>,
}

/// Nobody to turn to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoManager;

/// Whom to talk to: who runs maestrod now, else who has it installed, else who is at hand here.
pub fn choose(facts: &Facts, wished: Option<Manager>) -> Result<Manager, NoManager> {
    if let Some(wished) = wished {
        return Ok(wished);
    }
    if let Some(owner) = facts.running.as_ref().and_then(|running| owner(facts, running)) {
        return Ok(owner);
    }
    let at_hand = at_hand(facts);
    match (facts.installed.as_slice(), at_hand) {
        ([only], _) => Ok(*only),
        ([first, ..], None) => Ok(*first),
        (installed, Some(at_hand)) if installed.is_empty() || installed.contains(&at_hand) => Ok(at_hand),
        ([first, ..], _) => Ok(*first),
        ([], _) => Err(NoManager),
    }
}

fn at_hand(facts: &Facts) -> Option<Manager> {
    match facts.os {
        _ if facts.brewed => Some(Manager::Brew),
        Os::Linux { systemd: true } if facts.root => Some(Manager::SystemdSystem),
        Os::Linux { systemd: true } => Some(Manager::SystemdUser),
        Os::Macos if facts.root => Some(Manager::LaunchdDaemon),
        Os::Macos => Some(Manager::LaunchdAgent),
        Os::Linux { systemd: false } | Os::Other => None,
    }
}

/// The manager that runs a daemon; `None` for nobody, or one we do not know.
pub fn owner(facts: &Facts, running: &Running) -> Option<Manager> {
    match running.owner.as_str() {
        "systemd (user)" => Some(Manager::SystemdUser),
        "systemd (system)" => Some(Manager::SystemdSystem),
        "launchd" if facts.installed.contains(&Manager::LaunchdAgent) => Some(Manager::LaunchdAgent),
        "launchd" => Some(Manager::LaunchdDaemon),
        "brew" => Some(Manager::Brew),
        _ => None,
    }
}

/// The path of a program that stays when Homebrew replaces the version behind it.
pub fn lasting(program: &Path) -> PathBuf {
    let mut parts = program.components();
    let mut prefix = PathBuf::new();
    for part in parts.by_ref() {
        if part.as_os_str() == "Cellar" {
            let Some(formula) = parts.next() else { break };
            let _version = parts.next();
            return prefix.join("opt").join(formula).join(parts.as_path());
        }
        prefix.push(part);
    }
    program.to_owned()
}

/// True if Homebrew keeps this program.
pub fn is_brewed(program: &Path) -> bool {
    lasting(program) != program
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn facts(os: Os) -> Facts {
        Facts {
            os,
            root: false,
            user: User {
                name: "ada".into(),
                uid: 501,
            },
            home: "/home/ada".into(),
            user_config: "/home/ada/.config".into(),
            state_dir: "/home/ada/.maestro/data/state".into(),
            maestrod: "/usr/bin/maestrod".into(),
            brewed: false,
            installed: vec![],
            running: None,
        }
    }

    const LINUX: Os = Os::Linux { systemd: true };

    #[test]
    fn each_platform_has_its_own_manager_for_a_user_and_for_the_machine() {
        let root = |os| Facts {
            root: true,
            ..facts(os)
        };
        for (facts, manager) in [
            (facts(LINUX), Ok(Manager::SystemdUser)),
            (root(LINUX), Ok(Manager::SystemdSystem)),
            (facts(Os::Macos), Ok(Manager::LaunchdAgent)),
            (root(Os::Macos), Ok(Manager::LaunchdDaemon)),
            (facts(Os::Linux { systemd: false }), Err(NoManager)),
            (facts(Os::Other), Err(NoManager)),
        ] {
            assert_eq!(choose(&facts, None), manager, "{facts:?}");
        }
    }

    #[test]
    fn what_homebrew_installed_is_started_by_homebrew_on_both_platforms() {
        for os in [LINUX, Os::Macos] {
            let brewed = Facts {
                brewed: true,
                ..facts(os)
            };
            assert_eq!(choose(&brewed, None), Ok(Manager::Brew));
        }
    }

    #[test]
    fn who_runs_it_comes_before_who_has_it_installed_and_that_before_who_is_at_hand() {
        let mut facts = facts(LINUX);
        facts.installed = vec![Manager::SystemdSystem];
        assert_eq!(choose(&facts, None), Ok(Manager::SystemdSystem));
        facts.running = Some(Running {
            owner: "systemd (user)".into(),
            pid: 7,
        });
        assert_eq!(choose(&facts, None), Ok(Manager::SystemdUser));
        assert_eq!(choose(&facts, Some(Manager::Brew)), Ok(Manager::Brew), "told so");
        facts.running = None;
        facts.installed = vec![Manager::SystemdSystem, Manager::SystemdUser];
        assert_eq!(
            choose(&facts, None),
            Ok(Manager::SystemdUser),
            "both: the one at hand"
        );
    }

    #[test]
    fn a_service_never_names_a_version_that_an_upgrade_deletes() {
        assert_eq!(
            lasting(Path::new("/opt/homebrew/Cellar/maestro/1.2.3/bin/maestrod")),
            Path::new("/opt/homebrew/opt/maestro/bin/maestrod")
        );
        assert!(is_brewed(Path::new(
            "/home/linuxbrew/.linuxbrew/Cellar/maestro/1/bin/maestrod"
        )));
        assert!(!is_brewed(Path::new("/usr/bin/maestrod")));
    }
}
