//! Looking around: what this machine is, and what its managers say about us.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use nix::unistd::{Uid, User as Account};
use serde_json::{Value, json};

use crate::config::Origin;
use crate::control::client::Client;
use crate::ctl::{Context, doctor};

use super::{
    launchd::{self, Domain, Job},
    manager::{Facts, Manager, Os, Running, UNIT, User, is_brewed, lasting},
    plan::{Act, Seen},
    run::{Tools, brew_pid},
};

/// The facts, and the tools to change them. `wished`: the manager the operator named.
pub async fn look_around(context: &Context, wished: Option<Manager>) -> (Facts, Tools) {
    let root = Uid::effective().is_root();
    let (user, home) = whose(root, wished);
    let mine = user.uid == Uid::effective().as_raw();
    let config_home = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let config_home = config_home.filter(|dir| mine && dir.is_absolute());
    let program = program();
    let state_dir = match &context.loaded {
        Ok(loaded) if mine => loaded.config.state_dir.clone(),
        _ => home.join(".maestro/data/state"),
    };
    let mut facts = Facts {
        os: os(),
        root,
        user_config: config_home.unwrap_or_else(|| home.join(".config")),
        brewed: is_brewed(&program),
        maestrod: lasting(&program),
        installed: Vec::new(),
        running: running(context).await,
        state_dir: state_dir.clone(),
        user,
        home,
    };
    facts.installed = installed(&facts);
    let runtime_dir = PathBuf::from(format!("/run/user/{}", Uid::effective()));
    let unset = env::var_os("XDG_RUNTIME_DIR").is_none();
    let tools = Tools {
        socket: context.socket().to_owned(),
        state_dir,
        runtime_dir: Some(runtime_dir).filter(|dir| unset && dir.is_dir()),
    };
    (facts, tools)
}

fn os() -> Os {
    match env::consts::OS {
        "linux" => Os::Linux {
            systemd: Path::new("/run/systemd/system").is_dir(),
        },
        "macos" => Os::Macos,
        _ => Os::Other,
    }
}

/// Whose hub it is. A LaunchDaemon runs as somebody: under sudo that is who called it.
fn whose(root: bool, wished: Option<Manager>) -> (User, PathBuf) {
    let daemon = wished == Some(Manager::LaunchdDaemon) || cfg!(target_os = "macos");
    let caller = env::var("SUDO_USER").ok().filter(|_| root && daemon);
    let caller = caller.and_then(|name| Account::from_name(&name).ok().flatten());
    let own_home = caller.is_none().then(env::home_dir).flatten();
    let account = caller.or_else(|| Account::from_uid(Uid::effective()).ok().flatten());
    match account {
        Some(account) => (
            User {
                name: account.name,
                uid: account.uid.as_raw(),
            },
            own_home.unwrap_or(account.dir),
        ),
        None => {
            let uid = Uid::effective().as_raw();
            let name = uid.to_string();
            (User { name, uid }, own_home.unwrap_or_else(|| PathBuf::from("/")))
        }
    }
}

/// maestrod: beside us, else wherever it is found.
fn program() -> PathBuf {
    let beside = env::current_exe()
        .ok()
        .map(|own| own.with_file_name("maestrod"))
        .filter(|file| file.is_file());
    beside
        .or_else(|| doctor::find(&["maestrod"]))
        .unwrap_or_else(|| PathBuf::from("/usr/bin/maestrod"))
}

async fn running(context: &Context) -> Option<Running> {
    let mut client = Client::connect(context.socket()).await.ok()?;
    let status = client.status().await.ok()?;
    Some(Running {
        owner: status.daemon.owner,
        pid: status.daemon.pid,
    })
}

fn installed(facts: &Facts) -> Vec<Manager> {
    let all = [
        Manager::SystemdUser,
        Manager::SystemdSystem,
        Manager::LaunchdAgent,
        Manager::LaunchdDaemon,
    ];
    let there = |manager: &Manager| {
        let enabled = match manager {
            // A package brings both files; enabled is what counts.
            Manager::SystemdUser => facts
                .user_config
                .join("systemd/user/default.target.wants")
                .join(UNIT)
                .is_symlink(),
            Manager::SystemdSystem => Path::new("/etc/systemd/system/multi-user.target.wants")
                .join(UNIT)
                .is_symlink(),
            _ => false,
        };
        enabled || manager.file(facts).is_some_and(|file| file.exists())
    };
    let brew = brew_file(&facts.home).is_some_and(|file| file.exists());
    let brew = brew.then_some(Manager::Brew);
    all.into_iter().filter(there).chain(brew).collect()
}

/// What `brew services` writes.
fn brew_file(home: &Path) -> Option<PathBuf> {
    match os() {
        Os::Macos => Some(home.join("Library/LaunchAgents/homebrew.mxcl.maestro.plist")),
        Os::Linux { .. } => Some(home.join(".config/systemd/user/homebrew.maestro.service")),
        Os::Other => None,
    }
}

/// What the manager has of us now.
pub async fn seen(tools: &Tools, manager: Manager, facts: &Facts) -> Seen {
    let file = manager.file(facts).and_then(|file| fs::read_to_string(file).ok());
    let stale = file.as_deref().is_some_and(|text| tools.is_stale(text));
    let packaged = manager.packaged().is_some_and(|file| file.exists());
    let mut seen = Seen {
        file,
        packaged,
        stale,
        ..Seen::default()
    };
    if matches!(manager, Manager::SystemdUser | Manager::SystemdSystem) {
        let mut told = Value::Null;
        systemd(tools, manager, &mut told).await;
        seen.pid = told["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    }
    if matches!(manager, Manager::LaunchdAgent | Manager::LaunchdDaemon) {
        let uid = facts.user.uid;
        let domains = match manager {
            Manager::LaunchdDaemon => vec![Domain::System],
            _ => {
                seen.domain = launchd::domain_of_user(tools, uid).await;
                vec![Domain::Gui(uid), Domain::User(uid)]
            }
        };
        for domain in domains {
            if let Some(job) = launchd::print(tools, Job::new(domain)).await {
                seen.loaded = Some(domain);
                seen.pid = job.pid;
                break;
            }
        }
    }
    seen
}

/// The same for people and scripts.
pub async fn state(tools: &Tools, manager: Manager, facts: &Facts) -> Value {
    let file = manager.file(facts).filter(|file| file.exists());
    let file = file.or_else(|| manager.packaged().filter(|file| file.exists()));
    let mut state = json!({
        "manager": manager.to_string(), "installed": file.is_some(), "file": file, "state": "unknown", "pid": null,
    });
    match manager {
        Manager::SystemdUser | Manager::SystemdSystem => systemd(tools, manager, &mut state).await,
        Manager::LaunchdAgent | Manager::LaunchdDaemon => {
            let seen = seen(tools, manager, facts).await;
            let job = Job::new(seen.loaded.unwrap_or(seen.domain));
            state["job"] = json!(job.to_string());
            state["state"] = json!("not loaded");
            if let Some(printed) = launchd::print(tools, job).await {
                state["state"] = json!(printed.state);
                state["pid"] = json!(printed.pid);
                state["exitTimeout"] = json!(printed.exit_timeout);
                let last = printed.last_exit.unwrap_or_else(|| "unknown".into());
                state["detail"] = json!(format!("{job}, last exit code {last}"));
            }
        }
        Manager::Brew => {
            let pid = brew_pid(tools).await.ok().flatten();
            state["installed"] = json!(facts.brewed);
            state["pid"] = json!(pid);
            state["state"] = json!(if pid.is_some() { "running" } else { "not running" });
        }
    }
    state
}

async fn systemd(tools: &Tools, manager: Manager, state: &mut Value) {
    let mut words = vec!["systemctl"];
    if manager == Manager::SystemdUser {
        words.push("--user");
    }
    words.extend([
        "show",
        UNIT,
        "--property=ActiveState,SubState,MainPID,StatusText,Result,NRestarts,UnitFileState,TimeoutStopUSec",
    ]);
    let told = match tools.ask(&words).await {
        Ok(told) => told,
        Err(error) => {
            state["detail"] = json!(error.to_string());
            return;
        }
    };
    let value = |name: &str| {
        told.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
            .trim()
    };
    let pid: u32 = value("MainPID").parse().unwrap_or(0);
    state["pid"] = json!((pid > 0).then_some(pid));
    state["state"] = json!(format!("{} ({})", value("ActiveState"), value("SubState")));
    state["enabled"] = json!(value("UnitFileState").starts_with("enabled"));
    state["restarts"] = json!(value("NRestarts").parse::<u64>().ok());
    state["stopTimeout"] = json!(value("TimeoutStopUSec"));
    let mut detail = value("StatusText").to_owned();
    if value("ActiveState") == "failed" {
        detail = format!("it ended: {}", value("Result"));
    }
    state["detail"] = json!(detail);
}

/// systemd goes on with this user's services after logout.
pub fn lingers(user: &str) -> bool {
    Path::new("/var/lib/systemd/linger").join(user).exists()
}

/// Settings of this shell that a service would not see.
pub fn unseen_settings(context: &Context, act: Act) -> Option<String> {
    let loaded = context.loaded.as_ref().ok().filter(|_| act == Act::Install)?;
    let mut names: Vec<&str> = loaded
        .origins
        .values()
        .filter_map(|origin| match origin {
            Origin::Env(name) => Some(*name),
            _ => None,
        })
        .filter(|name| {
            ![
                "HOME",
                "XDG_RUNTIME_DIR",
                "XDG_CONFIG_HOME",
                "XDG_STATE_HOME",
                "XDG_DATA_HOME",
            ]
            .contains(name)
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    Some(format!(
        "{} of this shell is not what the service sees: put it into maestro.toml (maestroctl config edit)",
        names.join(", ")
    ))
}
