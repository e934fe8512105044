//! Doing the steps: programs with a limit, files, and waiting for what launchd and brew only promise.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::{
    process::Command,
    time::{Instant, sleep, timeout},
};

use crate::control::client::Client;
use crate::ctl::replace::replace;

use super::{
    launchd::{self, BOOTSTRAP_RETRY, Domain, GONE_WITHIN, Job, PACE, Printed, RUNS_WITHIN},
    plan::Step,
};

/// A program that takes longer has hung: systemd waits 90 s at most for our start.
const LIMIT: Duration = Duration::from_secs(120);

/// Why a step was not done.
#[derive(Debug, Error)]
pub enum StepError {
    /// The program is not here.
    #[error("{0} is not here")]
    Missing(String),
    /// The program said no.
    #[error("`{line}` failed: {said}")]
    Failed {
        /// What was run.
        line: String,
        /// Its last words.
        said: String,
    },
    /// A file could not be written, made or removed.
    #[error("{}: {error}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// launchd did not do what it was told.
    #[error("{job}: {what}")]
    Launchd {
        /// Which job.
        job: String,
        /// What is still so.
        what: String,
    },
    /// brew started nothing that runs.
    #[error("brew started the service, but it does not run")]
    Brew,
}

impl StepError {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Missing(_) => "name the manager that is here with --manager",
            Self::Failed { line, .. } if line.starts_with("systemctl --user") => {
                "journalctl --user -u maestro -n 30 says why; over su or sudo no user manager can be reached: log in"
            }
            Self::Failed { line, .. } if line.starts_with("systemctl") => {
                "journalctl -u maestro -n 30 says why"
            }
            Self::Failed { .. } => "mend it, and call this again: it goes on where it stopped",
            Self::File { .. } => "give this user access to it",
            Self::Launchd { .. } => "maestrod.boot.log and maestrod.log in the state directory say why",
            Self::Brew => {
                "brew services info maestro; its log is boot.log in $(brew --prefix)/var/log/maestro"
            }
        }
    }
}

/// A process that is the same for so long has not ended at once.
const SETTLED: Duration = Duration::from_secs(2);

/// How programs are run.
pub struct Tools {
    /// Where maestrod answers.
    pub socket: PathBuf,
    /// Where the file that launchd has read is remembered.
    pub state_dir: PathBuf,
    /// The directory of this user's bus, if the environment does not say.
    pub runtime_dir: Option<PathBuf>,
}

impl Tools {
    /// Runs a program; what it printed.
    pub async fn ask(&self, words: &[&str]) -> Result<String, StepError> {
        let (program, args) = words.split_first().unwrap_or((&"", &[]));
        let line = words.join(" ");
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(dir) = &self.runtime_dir {
            command.env("XDG_RUNTIME_DIR", dir);
        }
        let failed = |said: String| StepError::Failed {
            line: line.clone(),
            said,
        };
        let output = match timeout(LIMIT, command.output()).await {
            Err(_) => return Err(failed(format!("no end after {} s", LIMIT.as_secs()))),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StepError::Missing((*program).to_owned()));
            }
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Ok(Ok(output)) => output,
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = said.trim().lines().next_back().unwrap_or_default().trim();
        Err(failed(match said {
            "" => output.status.to_string(),
            said => said.chars().take(300).collect(),
        }))
    }

    /// Does one step.
    pub async fn carry_out(&self, step: &Step) -> Result<(), StepError> {
        match step {
            Step::MakeDir(dir, mode) => {
                let made = fs::DirBuilder::new().recursive(true).mode(*mode).create(dir);
                made.map_err(on(dir))
            }
            Step::Write(file, text) => replace(file, text, 0o644).map_err(on(file)),
            Step::WriteOnce(file, _) if file.exists() => Ok(()),
            Step::WriteOnce(file, text) => replace(file, text, 0o640).map_err(on(file)),
            Step::Remove(file) => match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(on(file)(error)),
                _ => Ok(()),
            },
            Step::Run(words) => self.run(words).await,
            Step::Try(words) => match self.run(words).await {
                Err(missing @ StepError::Missing(_)) => Err(missing),
                _ => Ok(()),
            },
            Step::Bootstrap(domain, file) => self.bootstrap(*domain, file).await,
            Step::AwaitGone(job) => self.gone(*job).await,
            Step::AwaitEnded(job) => {
                let idle = |seen: Option<&Printed>| seen.is_none_or(|job| job.pid.is_none());
                // One that does not end is killed by what follows.
                let _ = launchd::until(self, *job, GONE_WITHIN, idle).await;
                Ok(())
            }
            Step::AwaitRunning(job) => self.running(*job).await,
            Step::AwaitBrew => self.brew_runs().await,
            Step::Remember(file) => self.remember(file),
        }
    }

    async fn run(&self, words: &[String]) -> Result<(), StepError> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.ask(&words).await.map(|_| ())
    }

    async fn bootstrap(&self, domain: Domain, file: &Path) -> Result<(), StepError> {
        let deadline = Instant::now() + BOOTSTRAP_RETRY;
        let (domain, file) = (domain.to_string(), file.to_string_lossy());
        loop {
            match self.ask(&["launchctl", "bootstrap", &domain, &file]).await {
                Ok(_) => return Ok(()),
                Err(missing @ StepError::Missing(_)) => return Err(missing),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => sleep(PACE).await,
            }
        }
    }

    async fn gone(&self, job: Job) -> Result<(), StepError> {
        match launchd::until(self, job, GONE_WITHIN, |seen| seen.is_none()).await {
            Ok(_) => Ok(()),
            Err(_) => Err(StepError::Launchd {
                job: job.to_string(),
                what: format!("launchd has not let go of it within {} s", GONE_WITHIN.as_secs()),
            }),
        }
    }

    async fn running(&self, job: Job) -> Result<(), StepError> {
        let pid = async || launchd::print(self, job).await.and_then(|job| job.pid);
        if self.settles(pid).await {
            return Ok(());
        }
        let what = match launchd::print(self, job).await {
            None => "launchd does not know it".to_owned(),
            Some(job) => format!(
                "it does not run ({}, last exit code {})",
                job.state,
                job.last_exit.as_deref().unwrap_or("unknown")
            ),
        };
        Err(StepError::Launchd {
            job: job.to_string(),
            what,
        })
    }

    async fn brew_runs(&self) -> Result<(), StepError> {
        let pid = async || brew_pid(self).await.ok().flatten();
        match self.settles(pid).await {
            true => Ok(()),
            false => Err(StepError::Brew),
        }
    }

    /// Waits for a process that stays: one that answers as maestrod, or that is the same for a while. A program that
    /// ends at once has a pid for a moment, too.
    async fn settles(&self, pid: impl AsyncFn() -> Option<u32>) -> bool {
        let deadline = Instant::now() + RUNS_WITHIN;
        let mut first: Option<(u32, Instant)> = None;
        while Instant::now() < deadline {
            match pid().await {
                None => first = None,
                Some(pid) if first.is_none_or(|(known, _)| known != pid) => {
                    first = Some((pid, Instant::now()))
                }
                Some(_) => {}
            }
            if let Some((pid, since)) = first
                && (since.elapsed() >= SETTLED || self.answers().await == Some(pid))
            {
                return true;
            }
            sleep(PACE).await;
        }
        false
    }

    /// The process of the daemon that answers now.
    async fn answers(&self) -> Option<u32> {
        let mut client = Client::connect(&self.socket).await.ok()?;
        client.status().await.ok().map(|status| status.daemon.pid)
    }

    fn note(&self) -> PathBuf {
        self.state_dir.join("launchd.loaded")
    }

    fn remember(&self, file: &Path) -> Result<(), StepError> {
        let text = fs::read(file).map_err(on(file))?;
        replace(&self.note(), &digest(&text), 0o600).map_err(on(&self.note()))
    }

    /// True if launchd has read another text than this one. Unknown counts as no: a login reads what lies there.
    pub fn is_stale(&self, text: &str) -> bool {
        fs::read_to_string(self.note()).is_ok_and(|loaded| loaded != digest(text.as_bytes()))
    }
}

/// The process of brew's service.
pub async fn brew_pid(tools: &Tools) -> Result<Option<u32>, StepError> {
    let told = tools
        .ask(&["brew", "services", "info", "maestro", "--json"])
        .await?;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
    Ok(told[0]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()))
}

fn digest(text: &[u8]) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn on(file: &Path) -> impl Fn(io::Error) -> StepError {
    let file = file.to_owned();
    move |error| StepError::File {
        file: file.clone(),
        error,
    }
}
