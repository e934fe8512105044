//! `maestroctl doctor`: everything a support thread would ask for, each finding with its remedy.

mod owner;
mod places;
mod programs;
mod tunnel;

use std::{fs, io, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use clap::Args;
use serde::Serialize;

use crate::config::Loaded;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::Status;

use super::{
    Context,
    exit::Exit,
    paint::{Paint, Tone},
    status::verdict,
};

pub use programs::{find, locate};

const EXAMPLES: &str = "\
Examples:
  maestroctl doctor                    what is wrong, and what to do
  maestroctl doctor --fix              mends what is safe to mend: modes, linger
  maestroctl doctor --json | jq '.[] | select(.level != \"good\")'";

/// Arguments of `doctor`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Mend what is safe to mend: modes of our own directories and secrets, linger
    #[arg(long)]
    fix: bool,
    /// Print JSON (fields are only ever added)
    #[arg(long)]
    json: bool,
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    level: Level,
    text: String,
    remedy: Option<String>,
    /// `--fix` mends it.
    #[serde(rename = "fixable", serialize_with = "is_there")]
    fix: Option<Fix>,
}

fn is_there<S: serde::Serializer>(fix: &Option<Fix>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(fix.is_some())
}

/// What `--fix` does about a finding: things of ours that no choice hangs on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fix {
    /// This file or directory gets this mode.
    Mode(PathBuf, u32),
    /// systemd goes on with this user's services after logout.
    Linger(String),
}

impl Fix {
    fn apply(&self) -> io::Result<()> {
        match self {
            Self::Mode(path, mode) => fs::set_permissions(path, fs::Permissions::from_mode(*mode)),
            Self::Linger(user) => {
                let status = Command::new("loginctl").args(["enable-linger", user]).status()?;
                match status.success() {
                    true => Ok(()),
                    false => Err(io::Error::other(format!("loginctl ended with {status}"))),
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Good,
    Warn,
    Bad,
}

impl Finding {
    fn good(check: &'static str, text: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Good,
            text: text.into(),
            remedy: None,
            fix: None,
        }
    }

    fn warn(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Warn,
            text: text.into(),
            remedy: Some(remedy.into()),
            fix: None,
        }
    }

    fn fixed_by(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }

    fn bad(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Bad,
            text: text.into(),
            remedy: Some(remedy.into()),
            fix: None,
        }
    }
}

/// Runs it.
pub async fn run(context: &Context, args: DoctorArgs) -> Exit {
    let mut findings = look(context).await;
    if args.fix && mend(&findings) {
        findings = look(context).await;
    }
    let worst = findings.iter().any(|finding| finding.level == Level::Bad);
    if args.json {
        match serde_json::to_string_pretty(&findings) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("maestroctl: cannot print the findings: {error}"),
        }
    } else {
        print!("{}", render(&findings, Paint::for_stdout()));
    }
    if worst { Exit::Degraded } else { Exit::Fine }
}

/// Everything that can be looked at.
async fn look(context: &Context) -> Vec<Finding> {
    let asked = match Client::connect(context.socket()).await {
        Ok(mut client) => client.status().await,
        Err(error) => Err(error),
    };
    let running = asked.is_ok();
    let mut findings = vec![daemon(&asked)];
    let config = match &context.loaded {
        Ok(loaded) => {
            findings.push(configuration(loaded));
            Some(&loaded.config)
        }
        Err(error) => {
            findings.push(Finding::bad(
                "configuration",
                error.to_string(),
                "mend it: maestroctl config edit",
            ));
            None
        }
    };
    findings.extend(owner::findings(context).await);
    findings.extend(programs::findings(config, asked.as_ref().ok()));
    if let Some(config) = config {
        findings.push(owner::port(config, running));
        findings.extend(owner::leftovers(&config.state_dir, running));
        findings.extend(places::findings(config, context.socket()));
        findings.extend(tunnel::findings(config, std::env::home_dir().as_deref()));
    }
    findings
}

/// Applies what can be applied; true if there was anything. Said on standard error: the findings follow.
fn mend(findings: &[Finding]) -> bool {
    let fixes: Vec<_> = findings
        .iter()
        .filter_map(|finding| Some((finding, finding.fix.as_ref()?)))
        .collect();
    for (finding, fix) in &fixes {
        let done = finding.remedy.as_deref().unwrap_or(finding.check);
        match fix.apply() {
            Ok(()) => eprintln!("mended: {done}"),
            Err(error) => eprintln!("maestroctl: {done}: {error}"),
        }
    }
    !fixes.is_empty()
}

fn configuration(loaded: &Loaded) -> Finding {
    let from = match &loaded.file {
        Some(file) => format!("{} is good", file.display()),
        None => "no file; the built-in defaults are used".to_owned(),
    };
    match loaded.warnings.first() {
        Some(warning) => Finding::warn(
            "configuration",
            format!("{from}, but {warning}"),
            "maestroctl config show",
        ),
        None => Finding::good("configuration", from),
    }
}

fn daemon(asked: &Result<Status, ClientError>) -> Finding {
    match asked {
        Ok(status) if verdict(status) == Exit::Fine => {
            Finding::good("daemon", format!("ready, pid {}", status.daemon.pid))
        }
        Ok(status) => Finding::warn(
            "daemon",
            format!("running (pid {}), but not all is well", status.daemon.pid),
            "maestroctl status",
        ),
        Err(ClientError::NotRunning) => Finding::warn("daemon", "not running", super::start_hint(None)),
        Err(error) => Finding::bad("daemon", error.to_string(), "maestroctl status"),
    }
}

fn render(findings: &[Finding], paint: Paint) -> String {
    let mut out = String::new();
    for finding in findings {
        let (tone, mark) = match finding.level {
            Level::Good => (Tone::Good, "ok  "),
            Level::Warn => (Tone::Warn, "warn"),
            Level::Bad => (Tone::Bad, "BAD "),
        };
        out += &format!(
            "{} {:<18} {}\n",
            paint.tone(tone, mark),
            finding.check,
            finding.text
        );
        if let Some(remedy) = &finding.remedy {
            out += &format!("{:24}{} {remedy}\n", "", paint.tone(Tone::Quiet, "→"));
        }
    }
    out
}
