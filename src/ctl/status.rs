//! `maestroctl status`: the truth at a glance, warnings first; with the daemon dead, what it last said.

use std::{fs, io::IsTerminal, path::Path, time::Duration};

use clap::{Args, ValueEnum};
use tokio::time::{Instant, sleep};

use crate::config;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Component, Daemon, State, Status, Warning, devices::DeviceCounts};

use super::{
    Context,
    devices::notified,
    exit::Exit,
    paint::{Paint, Tone, between},
};

/// How often `--wait` looks.
const WAIT_PACE: Duration = Duration::from_millis(50);

/// Arguments of `status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Print JSON (versioned; fields are only ever added)
    #[arg(long)]
    json: bool,
    /// Full screen, as it changes; without a terminal: print again at each change, until Ctrl-C
    #[arg(long, short, conflicts_with = "wait")]
    watch: bool,
    /// Wait until all is ready, then print
    #[arg(long, value_name = "FOR")]
    wait: Option<WaitFor>,
    /// How long to wait, such as 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "30s", requires = "wait", value_parser = config::duration)]
    timeout: Duration,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum WaitFor {
    /// Every part is ready.
    Ready,
}

/// Runs it.
pub async fn run(context: &Context, args: StatusArgs) -> Exit {
    if args.watch {
        return watch(context, args.json).await;
    }
    let patience = args.wait.map_or(Duration::ZERO, |_| args.timeout);
    let deadline = Instant::now() + patience;
    loop {
        let (seen, exit) = match look(context.socket()).await {
            Ok(status) => {
                let exit = verdict(&status);
                (Ok(status), exit)
            }
            Err(error) => (Err(error.to_string()), Exit::from(&error)),
        };
        if args.wait.is_some() && exit != Exit::Fine && Instant::now() < deadline {
            sleep(WAIT_PACE).await;
            continue;
        }
        match seen {
            Ok(status) => show(&status, args.json),
            Err(error) => show_dead(context, &error, exit, args.json),
        }
        return exit;
    }
}

async fn look(socket: &Path) -> Result<Status, ClientError> {
    Client::connect(socket).await?.status().await
}

async fn watch(context: &Context, json: bool) -> Exit {
    let mut lines = match open_watch(context.socket()).await {
        Ok(lines) => lines,
        Err(error) => {
            let exit = Exit::from(&error);
            show_dead(context, &error.to_string(), exit, json);
            return exit;
        }
    };
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if terminal && !json {
        return super::watch::run(context, lines).await;
    }
    loop {
        match lines.next().await {
            Ok(Some(line)) if json => println!("{line}"),
            Ok(Some(line)) => {
                let Ok(status) = serde_json::from_str::<Status>(&line) else {
                    continue;
                };
                println!("{}", render(&status, Paint::for_stdout()));
            }
            Ok(None) | Err(_) => {
                eprintln!("maestrod has ended.");
                return Exit::NotRunning;
            }
        }
    }
}

/// The status, now and whenever it changes, a line each.
pub async fn open_watch(socket: &Path) -> Result<crate::control::client::LineStream, ClientError> {
    Client::connect(socket).await?.lines("/v1/status/watch").await
}

/// Fine if every part is: what `status` tells a script.
pub fn verdict(status: &Status) -> Exit {
    let running = status.daemon.state == "running";
    let fine = status.components.iter().all(|part| part.state.is_fine());
    if running && fine {
        Exit::Fine
    } else {
        Exit::Degraded
    }
}

fn show(status: &Status, json: bool) {
    if json {
        match serde_json::to_string_pretty(status) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("maestroctl: cannot print the status: {error}"),
        }
        return;
    }
    print!("{}", render(status, Paint::for_stdout()));
}

/// The daemon goes on as it was when its program is replaced: brew and apt do not start it anew.
fn skew(daemon: &Daemon) -> Option<Warning> {
    let ours = env!("CARGO_PKG_VERSION");
    (!daemon.release.is_empty() && daemon.release != ours).then(|| Warning {
        code: "version_skew".into(),
        text: format!("maestrod is {}, maestroctl is {ours}", daemon.release),
        remedy: Some(format!("run the installed one: {}", restart_hint(&daemon.owner))),
    })
}

/// How to start the daemon anew, given who runs it.
fn restart_hint(owner: &str) -> &'static str {
    match owner {
        "systemd (system)" => "sudo maestroctl service restart",
        "systemd (user)" | "launchd" | "brew" => "maestroctl service restart",
        _ => "stop maestrod, then `maestrod run`",
    }
}

/// The status for people; fits 80 columns.
pub fn render(status: &Status, paint: Paint) -> String {
    let mut out = String::new();
    let fine = verdict(status) == Exit::Fine;
    let (tone, word) = match (status.daemon.state.as_str(), fine) {
        ("running", true) => (Tone::Good, "ready"),
        ("running", false) => (Tone::Warn, "running, but not all is well"),
        (other, _) => (Tone::Warn, other),
    };
    let up = between(status.daemon.started_at, status.at);
    out += &format!(
        "{} {}, up {up}\n",
        paint.tone(Tone::Strong, "maestro is"),
        paint.tone(tone, word)
    );
    for warning in skew(&status.daemon).iter().chain(&status.warnings) {
        out += &format!("\n{} {}\n", paint.tone(Tone::Warn, "!"), warning.text);
        if let Some(remedy) = &warning.remedy {
            out += &format!("  {} {remedy}\n", paint.tone(Tone::Quiet, "→"));
        }
    }
    out.push('\n');
    for part in &status.components {
        out += &component(part, status.at, paint);
    }
    let hub = &status.hub;
    out += &row(
        "clients",
        &format!(
            "{} desktop, {} phones, {} raw",
            hub.ui_clients, hub.mobile_clients, hub.raw_clients
        ),
        paint,
    );
    if let Some(devices) = devices(&status.devices, status.hub.mobile_clients) {
        out += &row("devices", &devices, paint);
    }
    for of in &status.devices.push {
        let text = format!("{}: {}", of.name, notified(&of.push, status.at));
        let text = match of.push.last_outcome.as_deref() {
            Some("accepted") | None if of.push.stopped_since.is_none() => text,
            _ => paint.tone(Tone::Warn, &text),
        };
        out += &row("notified", &text, paint);
    }
    let agents = &status.agents;
    if agents.alive + agents.silent + agents.dead > 0 {
        let counts = format!(
            "{} alive, {} silent, {} dead",
            agents.alive, agents.silent, agents.dead
        );
        out += &row("agents", &counts, paint);
    }
    if agents.waiting > 0 {
        let plural = if agents.waiting == 1 { "" } else { "s" };
        let since = agents.waiting_since.map(|since| between(since, status.at));
        let since = since.map_or_else(String::new, |since| format!(", the first for {since}"));
        let text = format!(
            "{} question{plural}{since} (see `maestroctl agents`)",
            agents.waiting
        );
        out += &row("waiting", &paint.tone(Tone::Warn, &text), paint);
    }
    out.push('\n');
    out += &row("data", &status.places.data_dir, paint);
    if let Some(file) = &status.places.config_file {
        out += &row("config", file, paint);
    }
    if let Some(metrics) = &status.hub.metrics {
        out += &row("metrics", metrics, paint);
    }
    out += &row(
        "run by",
        &format!("{} (pid {})", status.daemon.owner, status.daemon.pid),
        paint,
    );
    out += &row(
        "version",
        &format!(
            "maestrod {}, maestroctl {}",
            status.daemon.release,
            env!("CARGO_PKG_VERSION")
        ),
        paint,
    );
    out
}

/// Nothing as long as nobody was paired: most hubs stay at home.
fn devices(counts: &DeviceCounts, connected: usize) -> Option<String> {
    let mut facts = Vec::new();
    if counts.paired > 0 {
        facts.push(format!("{} paired, {connected} connected", counts.paired));
    }
    match counts.live_codes {
        0 => {}
        1 => facts.push("a pairing code is live".to_owned()),
        codes => facts.push(format!("{codes} pairing codes are live")),
    }
    if counts.locked_since.is_some() {
        facts.push("locked down".to_owned());
    }
    (!facts.is_empty()).then(|| facts.join(", "))
}

fn row(name: &str, text: &str, paint: Paint) -> String {
    format!("{} {text}\n", paint.tone(Tone::Quiet, &format!("{name:<8}")))
}

fn component(part: &Component, now: i64, paint: Paint) -> String {
    let tone = match part.state {
        State::Ready => Tone::Good,
        State::Off | State::Stopped => Tone::Quiet,
        State::CrashLoop | State::Blocked => Tone::Bad,
        _ => Tone::Warn,
    };
    let mut facts = Vec::new();
    if part.state != State::Off && part.since > 0 {
        facts.push(format!("for {}", between(part.since, now)));
    }
    if let Some(pid) = part.pid {
        facts.push(format!("pid {pid}"));
    }
    if part.adopted {
        facts.push("taken over".to_owned());
    }
    if part.restarts_24h > 0 {
        let plural = if part.restarts_24h == 1 { "" } else { "s" };
        let last = part.last_exit.as_ref().filter(|_| part.state.is_fine());
        let last = last.map_or_else(String::new, |exit| format!(" ({})", exit.how));
        facts.push(format!("{} restart{plural} in 24 h{last}", part.restarts_24h));
    }
    if let Some(next) = part.next_retry_at {
        facts.push(format!("next try in {}", between(now, next)));
    }
    if !part.detail.is_empty() {
        facts.push(part.detail.clone());
    }
    let state = paint.tone(tone, &format!("{:<10}", part.state.word()));
    let mut out = format!("{:<8} {state} {}\n", part.name, facts.join(", "));
    if let (false, Some(exit)) = (part.state.is_fine(), &part.last_exit) {
        out += &format!(
            "{:19} last run: {} after {}\n",
            "",
            exit.how,
            between(0, exit.uptime_ms as i64)
        );
        if let Some(line) = exit.last_lines.last() {
            out += &format!("{:19} it said: {}\n", "", paint.tone(Tone::Quiet, line.trim()));
        }
    }
    if let Some(remedy) = &part.remedy {
        out += &format!("{:19} {} {remedy}\n", "", paint.tone(Tone::Quiet, "→"));
    }
    out
}

fn show_dead(context: &Context, error: &str, exit: Exit, json: bool) {
    let last = last_said(&context.last_status);
    if json {
        let value = serde_json::json!({"running": false, "error": error, "last": last});
        println!("{value:#}");
        return;
    }
    let paint = Paint::for_stdout();
    println!("{}", paint.tone(Tone::Bad, error));
    if let Some(last) = &last {
        let ago = between(last.at, super::now_ms());
        match &last.daemon.last_words {
            Some(words) => println!("It ended {ago} ago: {words}."),
            None => {
                println!(
                    "It was last heard of {ago} ago and did not say goodbye: it was killed, or the machine went down."
                );
                for part in last.components.iter().filter(|part| !part.state.is_fine()) {
                    print!("{}", component(part, last.at, paint));
                }
            }
        }
    }
    if exit == Exit::NotRunning {
        println!(
            "→ start it: {}",
            super::start_hint(last.as_ref().map(|last| last.daemon.owner.as_str()))
        );
        println!("→ see why: maestroctl doctor");
    }
}

/// What the daemon wrote down last.
fn last_said(file: &Path) -> Option<Status> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::LastExit;

    fn part(name: &str, state: State) -> Component {
        Component {
            name: name.into(),
            state,
            ..Component::default()
        }
    }

    fn running(components: Vec<Component>) -> Status {
        let daemon = Daemon {
            state: "running".into(),
            release: "0.1.0".into(),
            owner: "by hand".into(),
            pid: 7,
            ..Daemon::default()
        };
        Status {
            at: 90_000,
            daemon,
            components,
            ..Status::default()
        }
    }

    #[test]
    fn all_ready_is_fine_and_a_crash_loop_is_not() {
        assert_eq!(
            verdict(&running(vec![
                part("redis", State::Ready),
                part("tunnel", State::Off)
            ])),
            Exit::Fine
        );
        assert_eq!(
            verdict(&running(vec![part("redis", State::CrashLoop)])),
            Exit::Degraded
        );
        let mut stopping = running(vec![]);
        stopping.daemon.state = "stopping".into();
        assert_eq!(verdict(&stopping), Exit::Degraded);
    }

    #[test]
    fn a_daemon_that_is_not_the_installed_one_is_the_first_thing_said_with_its_owners_command() {
        let mut status = running(vec![]);
        status.daemon.release = env!("CARGO_PKG_VERSION").into();
        assert!(!render(&status, Paint::plain()).contains("!"));
        status.daemon.release = "0.0.9".into();
        for (owner, command) in [
            ("brew", "one: maestroctl service restart"),
            ("systemd (system)", "one: sudo maestroctl service restart"),
            ("by hand", "`maestrod run`"),
        ] {
            status.daemon.owner = owner.into();
            let text = render(&status, Paint::plain());
            let place = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle} in\n{text}"));
            assert!(place("! maestrod is 0.0.9, maestroctl is") < place("clients"));
            assert!(place(command) > 0);
        }
    }

    #[test]
    fn a_blocked_child_says_why_and_what_to_do_and_warnings_come_first() {
        let mut redis = part("redis", State::Blocked);
        redis.remedy = Some("install redis-server".into());
        redis.last_exit = Some(LastExit {
            how: "exit 1".into(),
            uptime_ms: 400,
            last_lines: vec!["bind: in use".into()],
            ..LastExit::default()
        });
        let mut status = running(vec![redis]);
        status.warnings.push(Warning {
            text: "mail is kept in the embedded store".into(),
            ..Warning::default()
        });
        let text = render(&status, Paint::plain());
        let place = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle} in\n{text}"));
        assert!(place("mail is kept") < place("blocked"));
        assert!(place("blocked") < place("it said: bind: in use"));
        place("→ install redis-server");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
