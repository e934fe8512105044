//! One task per child: wishes and facts in, actions out, one alarm. It owns the process and decides nothing.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::{broadcast, mpsc, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    child::{Child, Phase, Then},
    clock,
    event::{Action, At, Change, Event, Exit, Generation, RunId, State, Want},
    handle::{Handle, INBOX, Wish},
    job::{self, Done},
    machine::step,
    output::{self, Output},
    process::Process,
    record::{Record, Spawned},
    spec::{BoxFuture, ChildSpec, ExitReport},
    status::{ChildStatus, ExitRecord, Facts, Health, Transition},
};
use crate::crash;
use crate::shutdown::TaskGroup;

/// Longest sleep before the clock that counts suspended time is asked again: tokio's own timer does not
/// run while the machine sleeps.
const NAP: Duration = Duration::from_secs(5);

/// Starts the tasks of a child in `group` and returns its remote control. The child itself is not wanted yet:
/// call [`Handle::start`]. Changes of state go to `transitions`, which several children may share.
///
/// When `group` is closed without [`Handle::shutdown`], the child is stopped with its policy's patience.
pub fn supervise(spec: ChildSpec, group: &TaskGroup, transitions: broadcast::Sender<Transition>) -> Handle {
    let output = Output::new(&spec.log_dir, &spec.name, spec.output);
    spec.program.attach(&output);
    let record = read_record(&spec);
    let status = first_status(&spec, record.as_ref());
    let (status, status_seen) = watch::channel(status);
    let (health, health_seen) = watch::channel(status.borrow().health());
    let (wishes, inbox) = mpsc::channel(INBOX);
    let handle = Handle {
        wishes,
        status: status_seen,
        health: health_seen,
        transitions: transitions.clone(),
        output: output.clone(),
    };
    let child = Child::resumed(status.borrow().run, status.borrow().restarts_total);
    let spawned = record.and_then(|record| record.spawned);
    let name = spec.name.clone();
    let driver = Driver {
        spec: Arc::new(spec),
        child,
        status,
        health,
        transitions,
        output: output.clone(),
        output_from: output::Mark::default(),
        spawned,
        process: None,
        adoptee: None,
        alarm: None,
        launch: None,
        job: None,
        exit: None,
        closing: false,
    };
    // The keeper ends with the group, the driver when its child is gone.
    group.spawn("child-output", move |stop| output::keep(name, output, stop));
    group.spawn("child", move |stop| driver.run(inbox, stop));
    handle
}

fn read_record(spec: &ChildSpec) -> Option<Record> {
    Record::read(&spec.state_dir, &spec.name).unwrap_or_else(|err| {
        warn!(child = %spec.name, %err, "the record of an earlier life is unreadable; its lock still tells");
        None
    })
}

/// What is remembered of an earlier life: numbers and history, not the state.
fn first_status(spec: &ChildSpec, record: Option<&Record>) -> ChildStatus {
    let mut status = ChildStatus::new(&spec.name, clock::wall_ms());
    if let Some(record) = record {
        let last = record.spawned.as_ref().map_or(RunId(0), |spawned| spawned.run);
        status.run = record.status.run.max(last);
        status.restarts_total = record.status.restarts_total;
        status.restart_times_ms = record.status.restart_times_ms.clone();
        status.exits = record.status.exits.clone();
    }
    status
}

struct Driver {
    spec: Arc<ChildSpec>,
    child: Child,
    status: watch::Sender<ChildStatus>,
    health: watch::Sender<Health>,
    transitions: broadcast::Sender<Transition>,
    output: Output,
    output_from: output::Mark,
    spawned: Option<Spawned>,
    process: Option<Arc<Process>>,
    adoptee: Option<Process>,
    alarm: Option<(Generation, At)>,
    /// Never dropped before its end: it may have brought a process into the world.
    launch: Option<BoxFuture<'static, Done>>,
    /// The latest question; a newer one replaces it.
    job: Option<BoxFuture<'static, Done>>,
    exit: Option<BoxFuture<'static, (RunId, Exit)>>,
    closing: bool,
}

/// The future in the slot, or for ever nothing; empties the slot at its end.
async fn slot<T>(slot: &mut Option<BoxFuture<'static, T>>) -> T {
    match slot {
        Some(future) => {
            let done = future.await;
            *slot = None;
            done
        }
        None => pending().await,
    }
}

async fn ring(alarm: Option<(Generation, At)>) -> Generation {
    let Some((g, at)) = alarm else {
        return pending().await;
    };
    loop {
        let left = at.saturating_sub(clock::boot());
        if left.is_zero() {
            return g;
        }
        sleep(left.min(NAP)).await;
    }
}

impl Driver {
    async fn run(mut self, mut inbox: mpsc::Receiver<Wish>, stop: CancellationToken) {
        while !(self.closing && self.child.state() == State::Stopped && self.launch.is_none()) {
            tokio::select! {
                Some(wish) = inbox.recv() => self.wish(wish),
                () = stop.cancelled(), if !self.closing => {
                    self.closing = true;
                    self.tell(Event::Stop { kill_after: None });
                }
                done = slot(&mut self.launch) => self.done(done),
                done = slot(&mut self.job) => self.done(done),
                (run, exit) = slot(&mut self.exit) => self.exited(run, exit),
                g = ring(self.alarm) => self.tell(Event::Alarm { g }),
            }
        }
        debug!(child = %self.spec.name, "its supervisor ends");
    }

    fn wish(&mut self, wish: Wish) {
        match wish {
            // Nothing starts again once we are told to end.
            Wish::Start | Wish::Restart | Wish::Nudge(_) if self.closing => {}
            Wish::Start => self.tell(Event::Start),
            Wish::Restart => self.tell(Event::Restart),
            Wish::Nudge(nudge) => self.tell(Event::Nudge(nudge)),
            Wish::Stop { kill_after } => self.tell(Event::Stop { kill_after }),
            Wish::Shutdown { kill_after } => {
                self.closing = true;
                self.tell(Event::Stop {
                    kill_after: Some(kill_after),
                });
            }
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Launched {
                run,
                process,
                spawned,
                output_from,
            } => {
                let pid = process.pid();
                self.output_from = output_from;
                self.watch(run, process, spawned);
                crash::point("spawn.watched");
                self.tell(Event::Launched { run, pid });
            }
            Done::LockHeld { run } => self.tell(Event::LockHeld { run }),
            Done::LaunchFailed { run, fault } => {
                info!(child = %self.spec.name, reason = %fault.code(), "the launch failed");
                self.tell(Event::LaunchFailed { run, fault });
            }
            Done::Inspected {
                g,
                found,
                adoptee,
                facts,
            } => {
                if let Some((process, spawned)) = adoptee {
                    self.adoptee = Some(process);
                    self.spawned = Some(spawned);
                }
                self.note_facts(facts);
                self.tell(Event::Inspected { g, found });
            }
            Done::Probed { g, outcome, facts } => {
                self.note_facts(facts);
                self.tell(Event::Probed { g, outcome });
            }
            Done::Rechecked { g, cleared } => self.tell(Event::Rechecked { g, cleared }),
        }
    }

    /// Facts alone wake nobody: they change with every probe.
    fn note_facts(&mut self, facts: Facts) {
        if !facts.is_empty() {
            self.status.send_if_modified(|status| {
                status.facts = facts;
                false
            });
        }
    }

    fn watch(&mut self, run: RunId, process: Process, spawned: Spawned) {
        let process = Arc::new(process);
        let watched = process.clone();
        self.exit = Some(Box::pin(async move { (run, watched.exited().await) }));
        self.process = Some(process);
        self.spawned = Some(Spawned { run, ..spawned });
    }

    fn exited(&mut self, run: RunId, exit: Exit) {
        self.process = None;
        let started = self.child.run().map_or(Duration::ZERO, |run| run.started);
        let uptime = clock::boot().saturating_sub(started);
        let last_lines = self.output.last_lines(self.output_from);
        let report = ExitReport {
            exit,
            uptime,
            last_lines,
        };
        let fault = self.spec.program.classify(&report);
        let asked = self.child.want == Want::Down
            || matches!(
                self.child.phase,
                Phase::Stopping {
                    then: Then::Asked,
                    ..
                }
            );
        let fault = if asked {
            fault
        } else {
            self.spec.program.remember(fault)
        };
        let record = ExitRecord {
            at_ms: clock::wall_ms(),
            exit,
            uptime_ms: millis(uptime),
            reason: if asked { "asked".into() } else { fault.code() },
            asked,
            last_lines: report.last_lines,
        };
        self.status.send_modify(|status| status.remember_exit(record));
        self.tell(Event::Exited { run, exit, fault });
    }

    // ---- deciding, and doing what was decided ----

    fn tell(&mut self, event: Event) {
        let restarts = self.child.restarts_total;
        let child = std::mem::take(&mut self.child);
        let (child, mut actions) = step(&self.spec.policy, child, event, clock::now());
        self.child = child;
        if self.child.restarts_total > restarts {
            self.status.send_if_modified(|status| {
                status.remember_restart(clock::wall_ms());
                false
            });
        }
        // The world hears of a change before what follows from it happens: a launch records the new state.
        actions.sort_by_key(|action| !matches!(action, Action::Publish(_) | Action::Adopt { .. }));
        for action in actions {
            self.perform(action);
        }
        self.refresh();
    }

    fn perform(&mut self, action: Action) {
        let spec = self.spec.clone();
        match action {
            Action::Launch { run, repair } => {
                let record = self.record();
                self.job = None;
                self.launch = Some(Box::pin(job::launch(
                    spec,
                    self.output.clone(),
                    run,
                    repair,
                    record,
                )));
            }
            Action::Inspect { g } => self.job = Some(Box::pin(job::inspect(spec, self.spawned.clone(), g))),
            Action::Adopt { run, .. } => {
                if let (Some(process), Some(spawned)) = (self.adoptee.take(), self.spawned.clone()) {
                    self.output_from = self.output.mark();
                    self.watch(run, process, spawned);
                    crash::point("adopt.taken");
                }
            }
            Action::Probe { g, after } => {
                self.job = self.process.clone().map(|process| -> BoxFuture<'static, Done> {
                    Box::pin(job::probe(spec, process, g, after))
                });
            }
            Action::Recheck { g, after } => {
                let Some(why) = self.child.blocked().cloned() else {
                    return;
                };
                self.job = Some(Box::pin(job::recheck(spec, self.spawned.clone(), g, why, after)));
            }
            Action::Signal { blow, .. } => {
                if let Some(Err(err)) = self.process.as_ref().map(|process| process.signal(blow)) {
                    warn!(child = %self.spec.name, ?blow, %err, "the signal could not be sent");
                }
            }
            Action::SetAlarm { g, at } => self.alarm = Some((g, at)),
            Action::ClearAlarm => self.alarm = None,
            Action::Publish(change) => self.publish(change),
        }
    }

    fn publish(&mut self, change: Change) {
        let transition = self.transition(change);
        log(&transition);
        // In one go, so that nobody sees a ready child without a process.
        let child = &self.child;
        self.status.send_modify(|status| {
            status.state = transition.to;
            status.since_ms = transition.at_ms;
            status.reason = transition.reason.clone();
            mirror(child, status);
        });
        self.publish_health();
        // Nobody listening is fine.
        let _ = self.transitions.send(transition);
        if let Err(err) = self.record().write(&self.spec.state_dir, false) {
            debug!(child = %self.spec.name, %err, "the record could not be written");
        }
    }

    fn transition(&self, change: Change) -> Transition {
        Transition {
            child: self.spec.name.clone(),
            at_ms: clock::wall_ms(),
            from: change.from,
            to: change.to,
            reason: change.reason,
            exit: change.exit,
            uptime_ms: change.uptime.map(millis),
            n: change.n,
            restarts_total: change.restarts_total,
            next_retry_at_ms: change.next_retry.map(wall),
        }
    }

    /// Brings status and health in line with the machine; wakes only those for whom something changed.
    fn refresh(&mut self) {
        let child = &self.child;
        self.status.send_if_modified(|status| {
            let before = (status.want, status.pid, status.n, status.run);
            mirror(child, status);
            before != (status.want, status.pid, status.n, status.run)
        });
        self.publish_health();
    }

    fn publish_health(&self) {
        let health = self.status.borrow().health();
        self.health.send_if_modified(|known| {
            let changed = *known != health;
            *known = health;
            changed
        });
    }

    fn record(&self) -> Record {
        let mut status = self.status.borrow().clone();
        status.count_restarts(clock::wall_ms());
        Record {
            version: Record::VERSION,
            supervisor_pid: std::process::id(),
            written_ms: clock::wall_ms(),
            g: self.child.g,
            spawned: self.spawned.clone(),
            status,
        }
    }
}

/// What the status says of the machine, apart from the state itself.
fn mirror(child: &Child, status: &mut ChildStatus) {
    status.want = child.want;
    status.pid = child.run().map(|run| run.pid);
    status.adopted = child.run().is_some_and(|run| run.adopted);
    status.run = child.last_run;
    status.n = child.n;
    status.restarts_total = child.restarts_total;
    status.remedy = child.blocked().map(|why| why.remedy.clone());
    status.next_retry_at_ms = child.next_retry().map(wall);
}

/// A time of ours as people read it.
fn wall(at: At) -> u64 {
    clock::wall_ms() + millis(at.saturating_sub(clock::boot()))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn log(t: &Transition) {
    let exit = t.exit.map(|exit| exit.to_string()).unwrap_or_default();
    let bad = matches!(
        t.to,
        State::Backoff | State::CrashLoop | State::Blocked | State::Degraded
    );
    let (child, from, to, reason) = (&t.child, t.from, t.to, &t.reason);
    let (uptime_ms, n, restarts_total, next_retry_at_ms) =
        (t.uptime_ms, t.n, t.restarts_total, t.next_retry_at_ms);
    if bad {
        warn!(%child, ?from, ?to, %reason, exit, uptime_ms, n, restarts_total, next_retry_at_ms, "child");
    } else {
        info!(%child, ?from, ?to, %reason, exit, uptime_ms, n, restarts_total, next_retry_at_ms, "child");
    }
}
