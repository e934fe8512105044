//! Who looks after the daemon, what it would do to it, and what stands in the way of a start.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{Finding, Fix};
use crate::config::Config;
use crate::ctl::{Context, service};
use crate::process::{Identity, Life};

/// A service stops in at most 20 s; who kills earlier costs Redis its orderly end.
const STOP_SECONDS: u64 = 20;
/// This systemd ends the services of users who linger, too.
const LOSES_LINGER: u32 = 255;

/// All findings.
pub async fn findings(context: &Context) -> Vec<Finding> {
    let look = service::look(context).await;
    let mut findings = vec![manager(&look)];
    findings.extend(second(&look));
    findings.extend(exit_timeout(&look.state));
    if look.by_systemd_user {
        findings.extend(linger(&look.user));
        findings.extend(systemd_version().and_then(systemd_bug));
    }
    findings
}

fn manager(look: &service::Look) -> Finding {
    let check = "service";
    if let Some((owner, pid)) = &look.running
        && owner == "by hand"
    {
        return Finding::warn(
            check,
            format!("maestrod runs by hand (pid {pid}): nobody starts it again"),
            format!("kill {pid}; maestroctl service install"),
        );
    }
    match (&look.manager, look.state["installed"] == true) {
        (Some(manager), true) => {
            let state = look.state["state"].as_str().unwrap_or("unknown");
            let job = look.state["job"].as_str().map(|job| format!(", {job}"));
            Finding::good(check, format!("{manager}: {state}{}", job.unwrap_or_default()))
        }
        (Some(manager), false) => Finding::warn(
            check,
            format!("not installed; here it would be one of {manager}"),
            "maestroctl service install",
        ),
        (None, _) => Finding::good(check, "no service manager that maestro knows is here"),
    }
}

fn second(look: &service::Look) -> Option<Finding> {
    let [first, second, ..] = look.installed.as_slice() else {
        return None;
    };
    Some(Finding::warn(
        "services",
        format!("installed twice: {first} and {second}; one of them waits for the other for ever"),
        "maestroctl service uninstall --manager NAME (maestroctl service status names them)",
    ))
}

/// How long a stop may take, where the manager says so.
fn exit_timeout(state: &Value) -> Option<Finding> {
    let check = "exit timeout";
    if let Some(seconds) = state["exitTimeout"].as_u64() {
        if seconds > STOP_SECONDS {
            return Some(Finding::good(check, format!("launchd waits {seconds} s")));
        }
        return Some(Finding::warn(
            check,
            format!("launchd kills after {seconds} s: maestrod hurries and stops within 4 s"),
            "maestroctl service install writes a plist with 30 s (brew has no word for it)",
        ));
    }
    let told = state["stopTimeout"].as_str().filter(|told| !told.is_empty())?;
    if told == "infinity" || told.contains("min") {
        return Some(Finding::good(check, format!("systemd waits {told}")));
    }
    let seconds: u64 = told.trim_end_matches('s').parse().ok()?;
    if seconds > STOP_SECONDS {
        return Some(Finding::good(check, format!("systemd waits {seconds} s")));
    }
    Some(Finding::bad(
        check,
        format!("systemd kills after {seconds} s; a stop takes up to {STOP_SECONDS} s"),
        "TimeoutStopSec=30s (systemctl edit maestro)",
    ))
}

/// systemd ends a user's services at logout unless the user lingers.
fn linger(user: &str) -> Option<Finding> {
    if service::lingers(user) {
        return Some(Finding::good(
            "linger",
            "services of this user go on after logout",
        ));
    }
    let finding = Finding::warn(
        "linger",
        "the service ends when this user logs out",
        format!("loginctl enable-linger {user}"),
    );
    Some(finding.fixed_by(Fix::Linger(user.to_owned())))
}

fn systemd_version() -> Option<u32> {
    let told = Command::new("systemctl")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    parse_systemd(&String::from_utf8_lossy(&told.stdout))
}

/// `systemd 252 (252.38-1~deb12u1)`.
fn parse_systemd(told: &str) -> Option<u32> {
    told.lines().next()?.split_whitespace().nth(1)?.parse().ok()
}

fn systemd_bug(version: u32) -> Option<Finding> {
    (version == LOSES_LINGER).then(|| {
        Finding::warn(
            "systemd",
            "systemd 255 may end a user's services at logout although the user lingers",
            "upgrade systemd, or: sudo maestroctl service install",
        )
    })
}

/// Who has the port, if we do not.
pub fn port(config: &Config, running: bool) -> Finding {
    let check = "port";
    let port = config.listen.port;
    if running || port == 0 {
        return Finding::good(
            check,
            match port {
                0 => "any free one".to_owned(),
                port => format!("{port}, ours"),
            },
        );
    }
    let taken = std::net::TcpListener::bind(("127.0.0.1", port))
        .err()
        .or_else(|| std::net::TcpListener::bind(("::1", port)).err().filter(is_taken));
    match taken {
        None => Finding::good(check, format!("{port} is free")),
        Some(error) if !is_taken(&error) => Finding::bad(
            check,
            format!("{port} cannot be had: {error}"),
            "choose another: listen.port in maestro.toml",
        ),
        Some(_) => {
            let who = holder(port).map_or_else(String::new, |who| format!(" by {who}"));
            Finding::bad(
                check,
                format!("{port} is taken{who}"),
                "end that program, or choose another port: listen.port in maestro.toml",
            )
        }
    }
}

fn is_taken(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::AddrInUse
}

/// The program that listens there, as far as this user may know: `ss` on Linux, `lsof` on macOS.
fn holder(port: u16) -> Option<String> {
    let (program, args) = match cfg!(target_os = "macos") {
        true => (
            "lsof",
            vec!["-nP".into(), format!("-iTCP:{port}"), "-sTCP:LISTEN".into()],
        ),
        false => ("ss", vec!["-Hltnp".into(), format!("sport = :{port}")]),
    };
    let told = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    parse_holder(&String::from_utf8_lossy(&told.stdout))
}

/// `... users:(("node",pid=4711,fd=18))`, or lsof's table.
fn parse_holder(told: &str) -> Option<String> {
    if let Some((_, rest)) = told.split_once("((\"") {
        let (name, rest) = rest.split_once('"')?;
        let pid: String = rest
            .split_once("pid=")?
            .1
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        return Some(format!("{name}, pid {pid}"));
    }
    let mut words = told.lines().nth(1)?.split_whitespace();
    let (name, pid) = (words.next()?, words.next()?);
    Some(format!("{name}, pid {pid}"))
}

/// Children that outlived their maestrod. The next one takes them over.
pub fn leftovers(state_dir: &Path, running: bool) -> Option<Finding> {
    if running {
        return None;
    }
    let alive = |name: &str| {
        let text = fs::read(state_dir.join(format!("{name}.json"))).ok()?;
        let record: Value = serde_json::from_slice(&text).ok()?;
        let identity: Identity = serde_json::from_value(record["spawned"]["identity"].clone()).ok()?;
        matches!(identity.life(), Ok(Life::Alive | Life::Frozen))
            .then(|| format!("{name} (pid {})", identity.pid))
    };
    let left: Vec<String> = ["redis", "tunnel"].into_iter().filter_map(alive).collect();
    if left.is_empty() {
        return None;
    }
    Some(Finding::warn(
        "left behind",
        format!("{} of an earlier maestrod still runs", left.join(" and ")),
        "start maestrod: it takes them over, data intact; nothing has to be killed",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_manager_that_kills_too_early_is_found() {
        let level = |state: Value| exit_timeout(&state).map(|finding| finding.level);
        assert_eq!(level(json!({"exitTimeout": 5})), Some(Level::Warn));
        assert_eq!(level(json!({"exitTimeout": 30})), Some(Level::Good));
        assert_eq!(level(json!({"stopTimeout": "30s"})), Some(Level::Good));
        assert_eq!(level(json!({"stopTimeout": "1min 30s"})), Some(Level::Good));
        assert_eq!(level(json!({"stopTimeout": "5s"})), Some(Level::Bad));
        assert_eq!(level(json!({})), None);
    }

    #[test]
    fn the_systemd_that_forgets_lingering_is_known() {
        assert_eq!(parse_systemd("systemd 255 (255.4-1ubuntu8)\n+PAM"), Some(255));
        assert!(systemd_bug(255).is_some() && systemd_bug(252).is_none() && systemd_bug(257).is_none());
    }

    #[test]
    fn who_has_the_port_is_named_from_what_ss_and_lsof_say() {
        let ss = "LISTEN 0 511 127.0.0.1:3000 0.0.0.0:* users:((\"node\",pid=4711,fd=18))";
        assert_eq!(parse_holder(ss).as_deref(), Some("node, pid 4711"));
        let lsof = "COMMAND PID USER FD TYPE\nnode 4711 ada 18u IPv4\n";
        assert_eq!(parse_holder(lsof).as_deref(), Some("node, pid 4711"));
        assert_eq!(parse_holder(""), None);
    }

    #[test]
    fn a_service_installed_twice_is_found() {
        let mut look = service::Look {
            installed: vec!["systemd (user)".into()],
            ..service::Look::default()
        };
        assert_eq!(second(&look), None);
        look.installed.push("brew services".into());
        assert!(second(&look).unwrap().text.contains("twice"));
    }
}
