use super::*;
use crate::ctl::service::manager::{Os, Running, tests::facts};

const LINUX: Os = Os::Linux { systemd: true };

fn lines(act: Act, manager: Manager, facts: &Facts, seen: &Seen) -> Vec<String> {
    let steps = plan(act, manager, facts, seen).unwrap();
    steps.iter().map(ToString::to_string).collect()
}

fn mac() -> Facts {
    facts(Os::Macos)
}

/// launchd knows the job, and its file is the one of now.
fn loaded() -> Seen {
    Seen {
        file: files::text(Manager::LaunchdAgent, &mac()),
        pid: Some(7),
        loaded: Some(Domain::Gui(501)),
        domain: Domain::Gui(501),
        ..Seen::default()
    }
}

#[test]
fn a_user_unit_is_written_read_enabled_and_started() {
    assert_eq!(
        lines(
            Act::Install,
            Manager::SystemdUser,
            &facts(LINUX),
            &Seen::default()
        )
        .iter()
        .map(|line| line.split(" (").next().unwrap_or_default())
        .collect::<Vec<_>>(),
        [
            "mkdir -p -m 755 /home/ada/.config/systemd/user",
            "write /home/ada/.config/systemd/user/maestro.service",
            "systemctl --user daemon-reload",
            "systemctl --user enable maestro.service",
            "systemctl --user restart maestro.service",
        ]
    );
}

#[test]
fn an_installation_that_is_there_already_disturbs_nothing() {
    let there = Seen {
        file: files::text(Manager::SystemdUser, &facts(LINUX)),
        ..Seen::default()
    };
    let steps = lines(Act::Install, Manager::SystemdUser, &facts(LINUX), &there);
    assert!(
        !steps
            .iter()
            .any(|step| step.starts_with("write") || step.contains("restart")),
        "{steps:?}"
    );
    let packaged = Seen {
        packaged: true,
        ..Seen::default()
    };
    let steps = lines(Act::Install, Manager::SystemdUser, &facts(LINUX), &packaged);
    assert!(
        !steps.iter().any(|step| step.starts_with("write")),
        "the package's unit is used: {steps:?}"
    );
}

#[test]
fn the_machines_service_needs_root_a_user_of_its_own_and_a_program_that_user_can_reach() {
    let refused = plan(
        Act::Install,
        Manager::SystemdSystem,
        &facts(LINUX),
        &Seen::default(),
    );
    assert_eq!(refused, Err(Refusal::Root(Manager::SystemdSystem)));
    let mut root = Facts {
        root: true,
        ..facts(LINUX)
    };
    let steps = lines(Act::Install, Manager::SystemdSystem, &root, &Seen::default()).join("\n");
    for step in [
        "systemd-sysusers --inline 'u maestro - \"maestro hub\" /var/lib/maestro'",
        "write /etc/maestro/maestro.toml, if it is not there",
        "write /etc/systemd/system/maestro.service",
        "systemctl enable maestro.service",
    ] {
        assert!(steps.contains(step), "{step} is not in\n{steps}");
    }
    root.maestrod = "/home/ada/bin/maestrod".into();
    let refused = plan(Act::Install, Manager::SystemdSystem, &root, &Seen::default());
    assert!(matches!(refused, Err(Refusal::OutOfReach(_))), "{refused:?}");
}

#[test]
fn a_job_is_never_loaded_twice_and_never_before_the_old_one_is_gone() {
    let fresh = Seen {
        domain: Domain::Gui(501),
        ..Seen::default()
    };
    let steps = lines(Act::Install, Manager::LaunchdAgent, &mac(), &fresh);
    assert!(!steps.iter().any(|step| step.contains("bootout")), "{steps:?}");
    let changed = Seen {
        file: Some("an older one".into()),
        ..loaded()
    };
    let steps = lines(Act::Install, Manager::LaunchdAgent, &mac(), &changed);
    let place = |what: &str| {
        let found = steps.iter().position(|step| step.contains(what));
        found.unwrap_or_else(|| panic!("{what} is not in {steps:?}"))
    };
    assert!(place("bootout") < place("let go"));
    assert!(place("let go") < place("bootstrap gui/501"));
    assert!(place("bootstrap") < place("runs"));
}

#[test]
fn a_restart_is_a_kickstart_after_asking_and_only_a_changed_plist_is_loaded_anew() {
    let job = "gui/501/dev.maestro.maestrod";
    assert_eq!(
        lines(Act::Restart, Manager::LaunchdAgent, &mac(), &loaded()),
        [
            format!("launchctl kill SIGTERM {job}"),
            format!("wait until {job} has ended"),
            format!("launchctl kickstart -k {job}"),
            format!("wait until {job} runs"),
        ]
    );
    let stale = Seen {
        stale: true,
        ..loaded()
    };
    let steps = lines(Act::Restart, Manager::LaunchdAgent, &mac(), &stale);
    assert!(
        steps[0].contains("bootout") && steps.iter().any(|step| step.contains("bootstrap")),
        "{steps:?}"
    );
}

#[test]
fn a_stop_takes_the_job_away_so_that_nothing_starts_it_again_and_a_second_one_does_nothing() {
    let steps = lines(Act::Stop, Manager::LaunchdAgent, &mac(), &loaded());
    assert!(
        steps[0].contains("bootout") && steps[1].contains("let go"),
        "{steps:?}"
    );
    let stopped = Seen {
        loaded: None,
        pid: None,
        ..loaded()
    };
    assert_eq!(
        plan(Act::Stop, Manager::LaunchdAgent, &mac(), &stopped),
        Ok(vec![])
    );
}

#[test]
fn a_launch_daemon_runs_as_the_user_who_called_sudo_and_never_as_root() {
    let mut root = Facts { root: true, ..mac() };
    let steps = lines(Act::Install, Manager::LaunchdDaemon, &root, &Seen::default()).join("\n");
    assert!(
        steps.contains("/Library/LaunchDaemons/") && steps.contains("bootstrap system"),
        "{steps}"
    );
    root.user.uid = 0;
    let refused = plan(Act::Install, Manager::LaunchdDaemon, &root, &Seen::default());
    assert_eq!(refused, Err(Refusal::OnlyRoot));
}

#[test]
fn what_brew_started_only_brew_stops() {
    for (act, line) in [
        (Act::Install, "brew services start maestro"),
        (Act::Start, "brew services start maestro"),
        (Act::Stop, "brew services stop maestro"),
        (Act::Restart, "brew services restart maestro"),
        (Act::Uninstall, "brew services stop maestro"),
    ] {
        assert_eq!(lines(act, Manager::Brew, &mac(), &Seen::default())[0], line);
    }
}

#[test]
fn a_second_daemon_is_not_started_beside_one_that_runs() {
    let mut facts = facts(LINUX);
    for (owner, remedy) in [
        ("by hand", "end it first: kill 7"),
        ("brew", "maestroctl service stop --manager brew"),
    ] {
        facts.running = Some(Running {
            owner: owner.into(),
            pid: 7,
        });
        let refused = plan(Act::Install, Manager::SystemdUser, &facts, &Seen::default()).unwrap_err();
        assert_eq!(refused.remedy(), remedy);
    }
    let its_own = Seen {
        pid: Some(7),
        ..Seen::default()
    };
    let told = plan(Act::Install, Manager::SystemdUser, &facts, &its_own);
    assert!(
        told.is_ok(),
        "whatever it says of itself, it is the manager's own process"
    );
}

#[test]
fn what_is_not_installed_is_not_started() {
    for manager in [Manager::SystemdUser, Manager::LaunchdAgent] {
        let refused = plan(Act::Start, manager, &facts(LINUX), &Seen::default()).unwrap_err();
        assert_eq!(refused.remedy(), "maestroctl service install");
    }
}

#[test]
fn who_installs_without_lingering_is_told_so() {
    let facts = facts(LINUX);
    assert!(
        advice(Act::Install, Manager::SystemdUser, &facts, false)[0].contains("loginctl enable-linger ada")
    );
    assert!(advice(Act::Install, Manager::SystemdUser, &facts, true).is_empty());
}
