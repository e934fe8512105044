//! The real `maestrod`: started with directories and a port of its own, ended with the test.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{Answer, Ask, PATIENCE, Place, Socket, eventually};

/// How a daemon is to be started.
#[derive(Clone)]
pub struct Setup {
    place: Place,
    env: Vec<(String, String)>,
    config: Option<String>,
    program: PathBuf,
}

impl Setup {
    /// In a new place, with a free port and without Redis.
    pub fn new() -> Self {
        Self::at(Place::new())
    }

    /// In a place that may have been lived in.
    pub fn at(place: Place) -> Self {
        let env = [("PORT", "0"), ("REDIS_ENABLED", "false")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        Self {
            place,
            env,
            config: None,
            program: program("maestrod", env!("CARGO_BIN_EXE_maestrod")),
        }
    }

    /// Another program that is maestrod.
    pub fn program(mut self, program: PathBuf) -> Self {
        self.program = program;
        self
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Sets a variable of the daemon's environment, in place of what the harness would set.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Leaves a variable out that the harness would set.
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// The text of `maestro.toml`.
    pub fn config(mut self, toml: &str) -> Self {
        self.config = Some(toml.to_owned());
        self
    }

    /// Starts it and waits until `/health` answers.
    ///
    /// # Panics
    /// When it ends or stays silent instead; its log is part of the message.
    pub async fn start(self) -> Daemon {
        let mut daemon = Daemon::spawn(self);
        daemon.wait_until_healthy().await;
        daemon
    }

    /// Starts it and waits for its end: for starts that must fail. Status and log.
    pub async fn run_to_end(self) -> (ExitStatus, String) {
        let mut daemon = Daemon::spawn_beside(self);
        let status = daemon.wait_for_end().await;
        (status, daemon.log())
    }

    /// The environment of a program that belongs to this place: `maestrod`, `maestroctl`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.place.home())
            .env("DATA_DIR", self.place.data_dir())
            .env("SESSION_DIR", self.place.session_dir())
            .env("MAESTRO_STATE_DIR", self.place.state_dir())
            .env("MAESTRO_RUNTIME_DIR", self.place.runtime_dir())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.place.root())
            .stdin(Stdio::null());
        command
    }
}

/// Our program of this name: the one that was built with the test, or the one in `MAESTRO_TEST_BINARIES`, so that a long
/// run is not disturbed by the next build, and a release can be tried.
pub fn program(name: &str, built: &str) -> PathBuf {
    match std::env::var_os("MAESTRO_TEST_BINARIES") {
        Some(dir) => PathBuf::from(dir).join(name),
        None => built.into(),
    }
}

/// A running daemon. Ended on drop: asked first, so that its children go with it, then killed.
pub struct Daemon {
    setup: Setup,
    child: Child,
    port: u16,
    base: String,
}

impl Daemon {
    /// Starts it without waiting for anything.
    pub fn spawn(setup: Setup) -> Self {
        // What an earlier daemon of this place left must not be taken for this one's.
        let _ = fs::remove_file(setup.place.server_url_file());
        Self::spawn_beside(setup)
    }

    /// Leaves `server-url` as it is: another daemon may be living in this place.
    fn spawn_beside(setup: Setup) -> Self {
        let mut command = setup.command(&setup.program);
        command.arg("run");
        if let Some(toml) = &setup.config {
            command
                .arg("--config")
                .arg(setup.place.write("maestro.toml", toml));
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(log_file(&setup.place))
            .expect("a log file");
        let child = command
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("maestrod starts");
        Self {
            setup,
            child,
            port: 0,
            base: String::new(),
        }
    }

    async fn wait_until_healthy(&mut self) {
        let file = self.setup.place.server_url_file();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!(
                    "maestrod ended with {status} instead of serving; its log:\n{}",
                    self.log()
                );
            }
            if let Ok(url) = fs::read_to_string(&file)
                && let Some(port) = port_of(&url)
            {
                self.port = port;
                self.base = url;
                break;
            }
            assert!(
                Instant::now() < deadline,
                "no {} within {PATIENCE:?}; its log:\n{}",
                file.display(),
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.get("/health").await.expect(200);
    }

    /// Stops what runs here, if anything does, and starts again in the same place.
    pub async fn restart(mut self) -> Self {
        self.stop().await;
        self.setup.clone().start().await
    }

    pub fn place(&self) -> &Place {
        &self.setup.place
    }

    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// The server's own address, as it wrote it to `server-url`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// All it has written to standard output and error.
    pub fn log(&self) -> String {
        fs::read_to_string(log_file(&self.setup.place)).unwrap_or_default()
    }

    pub async fn ask(&self, ask: Ask) -> Answer {
        ask.to(self.port).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Ask::new("GET", path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Ask::new("POST", path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(Ask::new("PUT", path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask(Ask::new("PATCH", path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Ask::new("DELETE", path)).await
    }

    /// A raw WebSocket without a filter.
    pub async fn listen(&self) -> Socket {
        self.upgrade("/", &[]).await.expect("the upgrade is accepted")
    }

    /// A raw WebSocket at any path, with any headers.
    ///
    /// # Errors
    /// The HTTP status, if the server refused.
    pub async fn upgrade(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
        Socket::open(self.port, path, headers).await
    }

    /// Runs `maestroctl` against this daemon to its end.
    pub async fn ctl(&self, args: &[&str]) -> std::process::Output {
        let mut command = self
            .setup
            .command(program("maestroctl", env!("CARGO_BIN_EXE_maestroctl")));
        command.args(args);
        tokio::task::spawn_blocking(move || command.output().expect("maestroctl runs"))
            .await
            .expect("maestroctl was waited for")
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("the daemon can be signalled");
    }

    /// Asks it to stop and waits for its end.
    pub async fn stop(&mut self) -> ExitStatus {
        if let Ok(Some(status)) = self.child.try_wait() {
            return status;
        }
        self.signal(Signal::SIGTERM);
        self.wait_for_end().await
    }

    /// `kill -9`, and waits for its end.
    pub async fn kill(&mut self) {
        self.child.kill().expect("the daemon can be killed");
        self.wait_for_end().await;
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the daemon is ours")
    }

    pub async fn wait_for_end(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("maestrod ends", || {
            let ended = child.try_wait().expect("the daemon is ours");
            async move { ended }
        })
        .await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(10);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!(
                "--- log of maestrod in {} ---\n{}",
                self.setup.place.root().display(),
                self.log()
            );
        }
    }
}

fn log_file(place: &Place) -> PathBuf {
    place.root().join("maestrod.log")
}

fn port_of(url: &str) -> Option<u16> {
    url.trim_end_matches('/').rsplit(':').next()?.parse().ok()
}
