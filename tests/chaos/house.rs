//! What chaos happens to: one hub with its children, its disks, its clock and its way in.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    harness::{Caller, Edge, Place, Setup, daemon::program},
    line::Line,
};

/// How long a start may take: the machine is not ours alone.
const START: Duration = Duration::from_secs(60);
/// Room on each disk.
const DISK: &str = "size=160m,mode=0700";

pub struct House {
    setup: Setup,
    pub edge: Edge,
    pub line: Line,
    pub port: u16,
    hub: Mutex<Option<Child>>,
    disks: Vec<PathBuf>,
    clock: Option<File>,
    maestrod: PathBuf,
    maestroctl: PathBuf,
    /// Whether what is on the disks is to be looked at afterwards.
    pub keep: AtomicBool,
}

/// A process of this house.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub state: char,
    pub what: String,
}

impl House {
    pub async fn build() -> Self {
        let place = Place::new();
        let disks = mount(&place);
        let clock = clock(&place);
        let edge = Edge::start().await;
        let port = free_port();
        // A short life for heartbeats, so that silence can be waited for.
        let config = format!(
            "{}\n[redis]\nmode = \"managed\"\n[presence]\nheartbeat = \"2s\"\nttl = \"8s\"\n",
            edge.config()
        );
        let mut setup = Setup::at(place.clone())
            .without_env("REDIS_ENABLED")
            .env("PORT", port.to_string())
            .env("LOG_FORMAT", "json")
            .config(&config);
        place.write("maestro.toml", &config);
        if clock.is_some() {
            setup = setup
                .env("LD_PRELOAD", place.root().join("clock.so").display().to_string())
                .env("CHAOS_CLOCK", place.root().join("clock").display().to_string());
        }
        Self {
            line: Line::to(port).await,
            setup,
            edge,
            port,
            hub: Mutex::default(),
            disks,
            clock,
            maestrod: program("maestrod", env!("CARGO_BIN_EXE_maestrod")),
            maestroctl: program("maestroctl", env!("CARGO_BIN_EXE_maestroctl")),
            keep: AtomicBool::new(false),
        }
    }

    pub fn place(&self) -> &Place {
        self.setup.place()
    }

    pub fn can_fill_disks(&self) -> bool {
        !self.disks.is_empty()
    }

    pub fn can_move_clocks(&self) -> bool {
        self.clock.is_some()
    }

    /// Past the line that breaks.
    pub fn caller(&self) -> Caller {
        Caller {
            port: self.port,
            host: format!("localhost:{}", self.port),
        }
    }

    /// By the line that breaks.
    pub fn by_line(&self) -> Caller {
        Caller {
            port: self.line.port,
            host: format!("localhost:{}", self.port),
        }
    }

    /// The hub's process, kept from others meanwhile.
    pub async fn hub(&self) -> MutexGuard<'_, Option<Child>> {
        self.hub.lock().await
    }

    /// Starts it and waits until it answers; as an init system would, again if it ends.
    ///
    /// # Errors
    /// It never answers, or says it is a mistake of its own.
    pub async fn start(&self, hub: &mut Option<Child>) -> Result<(), String> {
        let deadline = Instant::now() + START;
        loop {
            let child = hub.insert(self.spawn());
            let ended = loop {
                if let Ok(Some(status)) = child.try_wait() {
                    break status;
                }
                if self.caller().get("/health").await.status() == 200 {
                    return Ok(());
                }
                if Instant::now() > deadline {
                    return Err(format!("no start within {START:?}"));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            *hub = None;
            again(ended)?;
            if Instant::now() > deadline {
                return Err(format!(
                    "maestrod ends with {ended} for {START:?} instead of starting"
                ));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// What an init system does: what ended by itself, and may come again, is started again.
    ///
    /// # Errors
    /// It may not, or does not start.
    pub async fn keep(&self) -> Result<(), String> {
        let mut hub = self.hub().await;
        let Some(Ok(Some(ended))) = hub.as_mut().map(Child::try_wait) else {
            return Ok(());
        };
        again(ended)?;
        self.start(&mut hub).await
    }

    /// Starts it and waits for nothing.
    pub fn spawn(&self) -> Child {
        let log = self.log();
        let log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log");
        let mut command = self.setup.command(&self.maestrod);
        command
            .args(["run", "--config"])
            .arg(self.place().root().join("maestro.toml"))
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("maestrod starts")
    }

    pub fn log(&self) -> PathBuf {
        self.place().root().join("maestrod.log")
    }

    pub async fn pid(&self) -> Option<i32> {
        self.hub().await.as_ref().map(|child| child.id().cast_signed())
    }

    /// Runs `maestroctl` to its end; its output if that is JSON.
    pub async fn ctl(&self, args: &[&str]) -> Option<Value> {
        let mut command = self.setup.command(&self.maestroctl);
        command.args(args).env_remove("LD_PRELOAD").stderr(Stdio::null());
        let run = tokio::task::spawn_blocking(move || command.output());
        let output = tokio::time::timeout(Duration::from_secs(20), run)
            .await
            .ok()?
            .ok()?
            .ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }

    /// All processes that belong here, by what their command line names.
    pub fn processes(&self) -> Vec<Process> {
        let place = self.place().root().display().to_string();
        let connector = self.edge.binary().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let Ok(command) = fs::read(entry.path().join("cmdline")) else {
                continue;
            };
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
                continue;
            };
            let Some((_, rest)) = stat.rsplit_once(')') else {
                continue;
            };
            let mut words = rest.split_whitespace();
            let state = words.next().and_then(|word| word.chars().next()).unwrap_or('?');
            let parent = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            if command.contains(&place) || command.contains(&connector) || state == 'Z' {
                found.push(Process {
                    pid,
                    parent,
                    state,
                    what: command,
                });
            }
        }
        found
    }

    pub fn redis(&self) -> Vec<i32> {
        self.named("redis-server")
    }

    pub fn tunnel(&self) -> Vec<i32> {
        let connector = self.edge.binary().display().to_string();
        self.named(&connector)
    }

    fn named(&self, name: &str) -> Vec<i32> {
        let running = self.processes().into_iter();
        running
            .filter(|process| process.state != 'Z' && process.what.contains(name))
            .map(|process| process.pid)
            .collect()
    }

    /// Takes all room on one of the disks.
    pub fn fill(&self, which: usize) {
        let Some(disk) = self.disks.get(which % self.disks.len().max(1)) else {
            return;
        };
        let Ok(ballast) = File::create(disk.join("ballast")) else {
            return;
        };
        let (piece, mut at) = (vec![0; 64 << 10], 0);
        while let Ok(written) = ballast.write_at(&piece, at) {
            at += u64::try_from(written).expect("a length");
        }
    }

    /// Gives it back.
    pub fn make_room(&self) {
        for disk in &self.disks {
            let _none = fs::remove_file(disk.join("ballast"));
        }
    }

    /// Moves the hub's clocks (s): wall, and slept.
    pub fn move_clocks(&self, wall: i64, slept: i64) {
        let Some(clock) = &self.clock else { return };
        let mut numbers = [0; 16];
        let _read = clock.read_at(&mut numbers, 0);
        for (at, moved) in [(0, wall), (8, slept)] {
            let bytes: [u8; 8] = numbers[at..at + 8].try_into().expect("eight bytes");
            let now = i64::from_ne_bytes(bytes) + moved * 1_000_000_000;
            let _written = clock.write_at(&now.to_ne_bytes(), u64::try_from(at).expect("small"));
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.make_room();
        self.line.mend();
        if let Some(child) = self.hub.get_mut() {
            signal(child.id().cast_signed(), Signal::SIGCONT);
            signal(child.id().cast_signed(), Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(15);
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in self.redis().into_iter().chain(self.tunnel()) {
            signal(pid, Signal::SIGKILL);
        }
        if self.keep.load(Ordering::Relaxed) {
            let kept = format!("{}-kept", self.place().root().display());
            let from = self.place().root();
            let _ = Command::new("cp").arg("-a").arg(from).arg(&kept).status();
            println!("what is left is kept in {kept}");
        }
        for disk in &self.disks {
            let _ = Command::new("umount").arg("-l").arg(disk).status();
        }
    }
}

/// A disk without room, a port that is free in a moment: those pass. Nothing else does.
fn again(ended: ExitStatus) -> Result<(), String> {
    match ended.code() {
        Some(75) => Ok(()),
        _ => Err(format!("maestrod ended with {ended}, and nobody asked it to")),
    }
}

/// Sends a signal to whoever is there.
pub fn signal(pid: i32, signal: Signal) {
    let _gone = kill(Pid::from_raw(pid), signal);
}

/// Small disks of their own for the data and the state; none if we may not mount.
fn mount(place: &Place) -> Vec<PathBuf> {
    let mut mounted = Vec::new();
    for dir in [place.data_dir(), place.state_dir()] {
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", DISK, "tmpfs"])
            .arg(&dir)
            .output();
        if done.is_ok_and(|output| output.status.success()) {
            mounted.push(dir);
        }
    }
    mounted
}

/// Builds what moves the hub's clocks; `None` where that cannot be.
fn clock(place: &Place) -> Option<File> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/clock.c");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(place.root().join("clock.so"))
        .arg(source)
        .status();
    if !cfg!(target_os = "linux") || !built.is_ok_and(|status| status.success()) {
        return None;
    }
    let file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(place.root().join("clock"))
        .ok()?;
    file.write_at(&[0; 16], 0).ok()?;
    Some(file)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}
