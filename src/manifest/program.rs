//! Runs a program once, with a time limit. It leads a process group of its own, so that what it started ends with it;
//! whoever stops waiting ends it too.

use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStderr, Command},
    time::timeout,
};

/// How much of the standard error is kept, in bytes.
const ERRORS: usize = 8 << 10;
/// How long after its end something else may still hold its standard error open.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Variables by which an init system speaks to us and not to what we start.
const INIT_ONLY: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];

/// What to run.
#[derive(Debug)]
pub struct Call {
    /// A path, or a name to be found on `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Set besides our own environment.
    pub environment: Vec<(&'static str, OsString)>,
    /// How long it may take.
    pub time_limit: Duration,
}

/// How it ended. `errors` is the beginning of what it wrote to standard error, trimmed.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited { code: i32, errors: String },
    /// By a signal that was not ours.
    Killed { signal: i32, errors: String },
    /// By us.
    TooLate,
}

/// Runs it to its end. Fails if it cannot be started.
pub async fn run(call: Call) -> io::Result<Ended> {
    let mut command = Command::new(&call.program);
    command
        .args(&call.arguments)
        .envs(call.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    for name in INIT_ONLY {
        command.env_remove(name);
    }
    let mut group = Group(command.spawn()?);
    match timeout(call.time_limit, group.wait()).await {
        Ok(ended) => ended,
        Err(_) => {
            group.kill();
            // Not for ever: what hangs in the kernel is waited for by the runtime.
            let _ = timeout(LAST_WORDS, group.0.wait()).await;
            Ok(Ended::TooLate)
        }
    }
}

/// A child that leads a process group, and the group with it. Killed on drop unless it has been waited for.
struct Group(Child);

impl Group {
    async fn wait(&mut self) -> io::Result<Ended> {
        let mut stderr = self.0.stderr.take();
        let mut errors = Vec::new();
        let status = tokio::select! {
            status = self.0.wait() => status?,
            () = listen(&mut stderr, &mut errors) => self.0.wait().await?,
        };
        // Usually at its end by now; a program it left behind may keep it open for ever.
        let _ = timeout(LAST_WORDS, listen(&mut stderr, &mut errors)).await;
        Ok(ended(status, String::from_utf8_lossy(&errors).trim().to_owned()))
    }

    /// Its number is the group's, and is nobody else's as long as it has not been waited for.
    fn kill(&self) {
        if let Some(pid) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

fn ended(status: ExitStatus, errors: String) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited { code, errors },
        (None, signal) => Ended::Killed {
            signal: signal.unwrap_or_default(),
            errors,
        },
    }
}

/// Keeps the first [`ERRORS`] bytes and reads the rest away, so that the program never waits for us.
async fn listen(stderr: &mut Option<ChildStderr>, kept: &mut Vec<u8>) {
    let Some(stderr) = stderr else { return };
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        let room = ERRORS.saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..length.min(room)]);
    }
}
