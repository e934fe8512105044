//! A child as a value: what to run, how to ask it, what its ends mean, and how patient to be.

use std::{ffi::OsString, future::Future, io, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use super::{
    event::{Blocked, Exit, Fault, Outcome},
    output::{Limits, Output},
    policy::Policy,
    status::Facts,
};

/// A boxed future, so that programs can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The file to execute.
    pub program: PathBuf,
    /// Its arguments. Never a secret: everybody can read them.
    pub args: Vec<OsString>,
    /// Added to the few variables a child gets (see `spawn::environment`).
    pub env: Vec<(OsString, OsString)>,
}

/// An exit to be judged.
#[derive(Clone, Debug)]
pub struct ExitReport {
    /// How it ended.
    pub exit: Exit,
    /// How long it had lived.
    pub uptime: Duration,
    /// The last lines it wrote, oldest first.
    pub last_lines: Vec<String>,
}

/// What the supervisor must know of a program to keep it running. Implementations hold no process.
pub trait Program: Send + Sync + 'static {
    /// Told once, before anything else, where the child's output goes.
    fn attach(&self, _output: &Output) {}

    /// Hash of arguments and configuration: an orphan of another fingerprint is replaced, not adopted.
    fn fingerprint(&self) -> String;

    /// Makes everything ready for a spawn. Called with the child's lock held, so never beside a living child.
    /// `repair`: its data were found damaged; repair them first.
    fn prepare(&self, repair: bool) -> BoxFuture<'_, Result<Invocation, Fault>>;

    /// Asks process `pid` how it is. The caller sets the deadline; dropping the future must be harmless.
    fn probe(&self, pid: i32) -> BoxFuture<'_, (Outcome, Facts)>;

    /// What an exit that nobody asked for means. Pure.
    fn classify(&self, report: &ExitReport) -> Fault;

    /// Told once of every end that nobody asked for, before anything follows from it. A program may remember it
    /// beyond our own life, and demand a longer pause than it said (a rate limit, say).
    fn remember(&self, fault: Fault) -> Fault {
        fault
    }

    /// What it means that the program could not be executed. Pure.
    fn classify_spawn(&self, err: &io::Error) -> Fault;

    /// Is the cause gone? Must not change anything.
    fn cleared<'a>(&'a self, why: &'a Blocked) -> BoxFuture<'a, bool>;
}

/// Whose process group a child belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Its own: signals reach its forks too.
    Own,
    /// Ours: launchd then sweeps it when we die.
    Ours,
}

/// A child.
#[derive(Clone)]
pub struct ChildSpec {
    /// Its name: of its files, in logs and for the operator.
    pub name: String,
    /// What it is.
    pub program: Arc<dyn Program>,
    /// How patient we are.
    pub policy: Policy,
    /// Holds lock and record; must be on a local filesystem.
    pub state_dir: PathBuf,
    /// Holds its output.
    pub log_dir: PathBuf,
    /// How much of its output is kept.
    pub output: Limits,
    /// Its process group.
    pub grouping: Grouping,
    /// Linux: how readily the kernel kills it when memory is short (-1000 to 1000).
    pub oom_score_adj: Option<i32>,
}

impl ChildSpec {
    /// A child with default patience, in its own process group.
    pub fn new(
        name: impl Into<String>,
        program: Arc<dyn Program>,
        state_dir: PathBuf,
        log_dir: PathBuf,
    ) -> ChildSpec {
        ChildSpec {
            name: name.into(),
            program,
            policy: Policy::default(),
            state_dir,
            log_dir,
            output: Limits::default(),
            grouping: Grouping::Own,
            oom_score_adj: None,
        }
    }

    pub(super) fn lock_path(&self) -> PathBuf {
        self.state_dir.join(format!("{}.lock", self.name))
    }
}
