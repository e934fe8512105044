//! The slow things a driver has done for it: launching, inspecting an orphan, probing, looking for a cause.
//!
//! Jobs decide nothing and change nothing in the driver; they return a [`Done`], and all but the launch may be
//! dropped at any point.

use std::{fs::DirBuilder, io, os::unix::fs::DirBuilderExt, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use crate::crash;
use crate::process::identity::{self, Identity, Life};

use super::{
    event::{Blocked, Code, Fault, Found, Generation, Outcome, RunId},
    lock,
    output::{Mark, Output},
    process::Process,
    record::{Record, Spawned},
    spawn::{self, Gifts},
    spec::ChildSpec,
    status::Facts,
};

/// A lock outlives its dead holder by a moment (0.7 ms measured).
const LOCK_PATIENCE: Duration = Duration::from_millis(300);
/// Pause between two questions to an orphan.
const ORPHAN_PAUSE: Duration = Duration::from_millis(100);

/// What a job brought.
pub(super) enum Done {
    Launched {
        run: RunId,
        process: Process,
        spawned: Spawned,
        output_from: Mark,
    },
    LockHeld {
        run: RunId,
    },
    LaunchFailed {
        run: RunId,
        fault: Fault,
    },
    Inspected {
        g: Generation,
        found: Found,
        adoptee: Option<(Process, Spawned)>,
        facts: Facts,
    },
    Probed {
        g: Generation,
        outcome: Outcome,
        facts: Facts,
    },
    Rechecked {
        g: Generation,
        cleared: bool,
    },
}

/// Takes the lock, prepares, records the intent, spawns, records the process.
pub(super) async fn launch(
    spec: Arc<ChildSpec>,
    output: Output,
    run: RunId,
    repair: bool,
    mut record: Record,
) -> Done {
    for dir in [&spec.state_dir, &spec.log_dir] {
        // If this fails, so will the lock, with a better reason.
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    }
    let lock = match take_lock(&spec).await {
        Ok(Some(lock)) => lock,
        Ok(None) => return Done::LockHeld { run },
        Err(err) => {
            return Done::LaunchFailed {
                run,
                fault: state_fault("lock_failed", &spec, &err),
            };
        }
    };
    crash::point("spawn.locked");
    let invocation = match spec.program.prepare(repair).await {
        Ok(invocation) => invocation,
        Err(fault) => return Done::LaunchFailed { run, fault },
    };
    let spawned = Spawned {
        run,
        program: invocation.program.clone(),
        fingerprint: spec.program.fingerprint(),
        identity: None,
        image: None,
    };
    let (grouping, oom_score_adj) = (spec.grouping, spec.oom_score_adj);
    let blocking = {
        let spec = spec.clone();
        move || {
            record.spawned = Some(spawned.clone());
            record
                .write(&spec.state_dir, false)
                .map_err(|err| state_fault("record_failed", &spec, &err))?;
            crash::point("spawn.intended");
            let opened = output.open();
            let file = opened.map_err(|err| state_fault("output_failed", &spec, &err))?;
            let output_from = output.mark();
            let gifts = Gifts {
                lock,
                output: file,
                grouping,
                oom_score_adj,
            };
            let pid = spawn::spawn(&invocation, &gifts).map_err(|err| spec.program.classify_spawn(&err))?;
            crash::point("spawn.forked");
            let (identity, spawned) = identify(pid, spawned, &spec, record);
            crash::point("spawn.recorded");
            Ok((identity, spawned, output_from))
        }
    };
    match tokio::task::spawn_blocking(blocking).await {
        Ok(Ok((identity, spawned, output_from))) => Done::Launched {
            run,
            process: Process::own(identity),
            spawned,
            output_from,
        },
        Ok(Err(fault)) => Done::LaunchFailed { run, fault },
        Err(err) => Done::LaunchFailed {
            run,
            fault: Fault::transient(format!("spawn_panicked: {err}")),
        },
    }
}

/// Records which process the fork became. A child that is dead already is still ours to reap, so it has an
/// identity in any case.
fn identify(pid: i32, spawned: Spawned, spec: &ChildSpec, mut record: Record) -> (Identity, Spawned) {
    let identity = identity::of(pid).ok().flatten();
    let spawned = Spawned {
        identity: identity.clone(),
        image: identity::image(pid),
        ..spawned
    };
    record.spawned = Some(spawned.clone());
    if let Err(err) = record.write(&spec.state_dir, true) {
        warn!(child = %spec.name, %err, "the record of a fresh child could not be written; its lock still names it");
    }
    (
        identity.unwrap_or(Identity {
            pid,
            token: 0,
            boot: String::new(),
        }),
        spawned,
    )
}

async fn take_lock(spec: &ChildSpec) -> io::Result<Option<std::fs::File>> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match lock::take(&spec.lock_path())? {
            None if Instant::now() < deadline => sleep(Duration::from_millis(1)).await,
            taken => return Ok(taken),
        }
    }
}

/// Failing to write our own files: a full disk is a cause to wait for, the rest may pass.
fn state_fault(code: &'static str, spec: &ChildSpec, err: &io::Error) -> Fault {
    let dir = spec.state_dir.display();
    match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fault::Permanent(Blocked::new(
            "disk_full",
            format!("no space left for {dir}; free some"),
        )),
        io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound | io::ErrorKind::ReadOnlyFilesystem => {
            let remedy = format!(
                "{dir} and {} must be writable directories ({err})",
                spec.log_dir.display()
            );
            Fault::Permanent(Blocked::new("dir_unwritable", remedy))
        }
        _ => Fault::transient(format!("{code}: {err}")),
    }
}

/// Can our own directories be written again?
fn state_writable(spec: &ChildSpec) -> bool {
    [&spec.state_dir, &spec.log_dir]
        .into_iter()
        .all(|dir| try_writing(dir, &spec.name).is_ok())
}

fn try_writing(dir: &std::path::Path, name: &str) -> io::Result<()> {
    let path = dir.join(format!(".{name}.writable"));
    std::fs::write(&path, [0u8; 4096])?;
    std::fs::remove_file(path)
}

/// Whether the cause of a blocked child is gone.
pub(super) async fn recheck(
    spec: Arc<ChildSpec>,
    record: Option<Spawned>,
    g: Generation,
    why: Blocked,
    after: Duration,
) -> Done {
    sleep(after).await;
    let cleared = if why.code == Blocked::ORPHAN {
        holder(&spec, record).await.found != Found::Unverified
    } else {
        state_writable(&spec) && spec.program.cleared(&why).await
    };
    Done::Rechecked { g, cleared }
}

/// Is there a child of an earlier life? Whoever does not want it has to say so: start it and stop it.
pub fn is_orphaned(spec: &ChildSpec) -> bool {
    spec.lock_path().exists() && !lock::is_free(&spec.lock_path()).unwrap_or(true)
}

/// Asks the child how it is, with a deadline.
pub(super) async fn probe(
    spec: Arc<ChildSpec>,
    process: Arc<Process>,
    g: Generation,
    after: Duration,
) -> Done {
    sleep(after).await;
    let (mut outcome, facts) = ask(&spec, process.pid()).await;
    if let Outcome::Miss { frozen, .. } = &mut outcome {
        *frozen = process.is_frozen();
    }
    Done::Probed { g, outcome, facts }
}

async fn ask(spec: &ChildSpec, pid: i32) -> (Outcome, Facts) {
    let answer = timeout(spec.policy.probe_timeout, spec.program.probe(pid)).await;
    answer.unwrap_or_else(|_| (Outcome::miss("probe_timeout"), Facts::new()))
}

/// Who holds the child's lock, and is it fit to go on?
pub(super) async fn inspect(spec: Arc<ChildSpec>, record: Option<Spawned>, g: Generation) -> Done {
    let holder = holder(&spec, record).await;
    Done::Inspected {
        g,
        found: holder.found,
        adoptee: holder.adoptee,
        facts: holder.facts,
    }
}

/// The holder of a child's lock.
struct Holder {
    found: Found,
    adoptee: Option<(Process, Spawned)>,
    facts: Facts,
}

async fn holder(spec: &ChildSpec, record: Option<Spawned>) -> Holder {
    let nobody = |found| Holder {
        found,
        adoptee: None,
        facts: Facts::new(),
    };
    if lock::is_free(&spec.lock_path()).unwrap_or(false) {
        return nobody(Found::Free);
    }
    let Some(spawned) = record else {
        return nobody(Found::Unverified);
    };
    crash::point("adopt.found");
    let Some(identity) = verified(spec, &spawned).await else {
        return nobody(Found::Unverified);
    };
    let pid = identity.pid;
    let Ok(Some(process)) = Process::adopted(identity.clone()) else {
        return nobody(Found::Unverified);
    };
    crash::point("adopt.verified");
    let (found, facts) = if spawned.fingerprint == spec.program.fingerprint() {
        fitness(spec, &process).await
    } else {
        (
            Found::Unfit {
                pid,
                code: Code::Borrowed("config_changed"),
                kill: false,
            },
            Facts::new(),
        )
    };
    let spawned = Spawned {
        image: identity::image(pid),
        identity: Some(identity),
        ..spawned
    };
    Holder {
        found,
        adoptee: Some((process, spawned)),
        facts,
    }
}

/// The identity of the lock's holder, if it is proven to be the child of the record.
async fn verified(spec: &ChildSpec, spawned: &Spawned) -> Option<Identity> {
    let path = spec.lock_path();
    let pid = lock::holder(&path)?;
    let seen = identity::of(pid).ok().flatten()?;
    if identity::has_open(pid, &path) == Some(false) {
        return None;
    }
    match &spawned.identity {
        // The record names it: the very process, still executing the very file.
        Some(known) if *known == seen => {
            let same = spawned
                .image
                .as_ref()
                .is_none_or(|image| identity::image(pid).is_some_and(|now| now.inode == image.inode));
            same.then_some(seen)
        }
        // Recorded, but as another process: whoever wrote that pid is not in the record.
        Some(known) if matches!(known.life(), Ok(Life::Alive | Life::Frozen)) => None,
        // The supervisor died between fork and record: the open lock proves it, or the child's own protocol.
        _ if identity::has_open(pid, &path) == Some(true) => Some(seen),
        _ => matches!(ask(spec, pid).await.0, Outcome::Ok).then_some(seen),
    }
}

/// Asks the child itself, by its own protocol, for as long as an adoption may take.
async fn fitness(spec: &ChildSpec, process: &Process) -> (Found, Facts) {
    let pid = process.pid();
    let begin = Instant::now();
    let mut limit = spec.policy.adopt_timeout;
    loop {
        let (outcome, facts) = ask(spec, pid).await;
        match outcome {
            Outcome::Ok | Outcome::Impaired { .. } => return (Found::Ours { pid }, facts),
            Outcome::Foreign(why) => {
                return (
                    Found::Unfit {
                        pid,
                        code: why.code,
                        kill: true,
                    },
                    facts,
                );
            }
            Outcome::Progress { allow } => limit = limit.max(allow),
            Outcome::Miss { code, .. } if process.is_frozen() => {
                return (
                    Found::Unfit {
                        pid,
                        code,
                        kill: false,
                    },
                    facts,
                );
            }
            Outcome::Miss { .. } | Outcome::Hung { .. } => {}
        }
        if begin.elapsed() >= limit {
            return (
                Found::Unfit {
                    pid,
                    code: Code::Borrowed("unhealthy"),
                    kill: false,
                },
                facts,
            );
        }
        sleep(ORPHAN_PAUSE).await;
    }
}
