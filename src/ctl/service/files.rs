//! The files that init systems read: those of the repository, with the paths of this machine filled in and nothing else.

use std::path::Path;

use super::manager::{Facts, Manager};

const SYSTEMD_SYSTEM: &str = include_str!("../../../systemd/maestro.service");
const SYSTEMD_USER: &str = include_str!("../../../systemd/user/maestro.service");
const LAUNCHD_AGENT: &str = include_str!("../../../launchd/dev.maestro.maestrod.plist");
const LAUNCHD_DAEMON: &str = include_str!("../../../launchd/daemon/dev.maestro.maestrod.plist");
/// What the machine's service is configured by, if nothing is there yet.
pub const SYSTEM_CONFIG: &str = include_str!("../../../packaging/maestro.toml");

/// The file that makes `manager` know us; `None` if it writes its own.
pub fn text(manager: Manager, facts: &Facts) -> Option<String> {
    match manager {
        Manager::SystemdUser => Some(unit(SYSTEMD_USER, &facts.maestrod)),
        Manager::SystemdSystem => Some(unit(SYSTEMD_SYSTEM, &facts.maestrod)),
        Manager::LaunchdAgent => Some(plist(LAUNCHD_AGENT, facts)),
        Manager::LaunchdDaemon => Some(plist(LAUNCHD_DAEMON, facts)),
        Manager::Brew => None,
    }
}

fn unit(template: &str, maestrod: &Path) -> String {
    template.replace("/usr/bin/maestrod", &unit_word(&maestrod.to_string_lossy()))
}

/// A word of a command line as systemd reads it.
fn unit_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-@".contains(c);
    if word.chars().all(plain) {
        return word.to_owned();
    }
    let escaped = word
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    format!("\"{escaped}\"")
}

fn plist(template: &str, facts: &Facts) -> String {
    // Longest first: the second place lies in the third.
    template
        .replace(
            "/opt/homebrew/opt/maestro/bin/maestrod",
            &xml(&facts.maestrod.to_string_lossy()),
        )
        .replace(
            "/Users/USER/.maestro/data/state",
            &xml(&facts.state_dir.to_string_lossy()),
        )
        .replace(
            ">/Users/USER<",
            &format!(">{}<", xml(&facts.home.to_string_lossy())),
        )
        .replace(">USER<", &format!(">{}<", xml(&facts.user.name)))
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::service::manager::{Os, tests::facts};

    const LINUX: Os = Os::Linux { systemd: true };

    #[test]
    fn at_the_packaged_place_a_unit_is_installed_byte_for_byte() {
        let facts = facts(LINUX);
        assert_eq!(text(Manager::SystemdUser, &facts).as_deref(), Some(SYSTEMD_USER));
        assert_eq!(
            text(Manager::SystemdSystem, &facts).as_deref(),
            Some(SYSTEMD_SYSTEM)
        );
    }

    #[test]
    fn elsewhere_only_the_program_differs_and_any_path_survives_the_quoting() {
        let mut facts = facts(LINUX);
        facts.maestrod = "/home/ada/my tools/100%/maestrod".into();
        let unit = text(Manager::SystemdUser, &facts).unwrap();
        assert!(
            unit.contains("ExecStart=\"/home/ada/my tools/100%%/maestrod\" run\n"),
            "{unit}"
        );
        let differing = unit
            .lines()
            .zip(SYSTEMD_USER.lines())
            .filter(|(ours, theirs)| ours != theirs);
        assert_eq!(differing.count(), 1);
    }

    #[test]
    fn a_plist_names_this_users_places_and_no_placeholder_is_left() {
        let mut facts = facts(Os::Macos);
        facts.state_dir = "/Users/ada/R&D/state".into();
        facts.home = "/Users/ada".into();
        for manager in [Manager::LaunchdAgent, Manager::LaunchdDaemon] {
            let plist = text(manager, &facts).unwrap();
            assert!(
                plist.contains("<string>/Users/ada/R&amp;D/state/maestrod.boot.log</string>"),
                "{plist}"
            );
            assert!(plist.contains("<string>/usr/bin/maestrod</string>"), "{plist}");
            assert!(
                !plist.contains(">USER<") && !plist.contains("/Users/USER"),
                "{plist}"
            );
        }
        let daemon = text(Manager::LaunchdDaemon, &facts).unwrap();
        assert!(daemon.contains("<string>ada</string>") && daemon.contains("<string>/Users/ada</string>"));
    }
}
