//! The one task of presence: gathers evidence, and brings sessions in line with the verdicts, through the application.
//!
//! It never waits for the disk or the shared registry itself: what takes a while runs beside it, a bounded number at a
//! time, at most one thing per session. What failed is tried again with the next sweep.

mod consult;

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::app::{App, AppError};
use crate::domain::{Beat, SessionId, Sighting, Verdict};
use crate::ports::PresenceError;
use crate::process::{Identity, Life, identity};
use crate::shutdown::TaskGroup;

use super::{
    Ask, Options, Roll,
    book::Book,
    judge::Process,
    record::Record,
    registry::Now,
    sensors::{Ended, Sensors},
    shared::{Left, Reach, Shared, SharedError},
};

/// Sessions brought in line at once.
const AT_ONCE: usize = 32;
/// Signs told to the shared registry in one go.
const TOLD_AT_ONCE: usize = 1000;
/// By how much an agent's word on when it began may be off.
const STARTED_SLACK: Duration = Duration::from_secs(2);

/// What ran beside the task has come to its end.
enum Done {
    Settled(SessionId, Verdict, Result<bool, AppError>),
    Stored(Result<(), PresenceError>),
    Read(Result<Vec<Left>, SharedError>),
    Told(Result<(), SharedError>),
    Nothing,
}

/// The task, before and while it runs.
pub struct Reconciler {
    options: Options,
    registry: Roll,
    book: Book,
    asks: mpsc::Receiver<Ask>,
}

impl Reconciler {
    pub(super) fn new(options: Options, registry: Roll, book: Book, asks: mpsc::Receiver<Ask>) -> Self {
        Self {
            options,
            registry,
            book,
            asks,
        }
    }

    /// The same, reading and telling what is in a registry that hubs and agents share.
    pub fn over(mut self, shared: Arc<dyn Shared>) -> Self {
        self.options.shared = Some(shared);
        self
    }

    /// Runs until the group stops. `resumes` changes whenever time went by without us.
    pub fn start<R: Send + Sync + 'static>(self, app: App, tasks: &TaskGroup, resumes: watch::Receiver<R>) {
        let (sensors, ends) = Sensors::new(tasks.clone());
        let run = Run {
            app,
            sensors,
            busy: HashSet::new(),
            failed: Vec::new(),
            jobs: FuturesUnordered::new(),
            reading: false,
            swept: (self.options.clock)(),
            options: self.options,
            registry: self.registry,
            book: self.book,
        };
        let asks = self.asks;
        tasks.spawn("presence", move |stop| run.run(stop, asks, ends, resumes));
    }
}

struct Run {
    app: App,
    options: Options,
    registry: Roll,
    book: Book,
    sensors: Sensors,
    /// Sessions that are being brought in line.
    busy: HashSet<SessionId>,
    /// Sessions that could not be; at most as many as there are agents.
    failed: Vec<SessionId>,
    jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    reading: bool,
    swept: Duration,
}

impl Run {
    async fn run<R>(
        mut self,
        stop: CancellationToken,
        mut asks: mpsc::Receiver<Ask>,
        mut ends: mpsc::Receiver<Ended>,
        mut resumes: watch::Receiver<R>,
    ) {
        let (quiet, silence) = watch::channel(Reach::Away);
        let mut reach = self
            .options
            .shared
            .as_ref()
            .map_or(silence, |shared| shared.reach());
        if self.options.shared.is_some() {
            reach.mark_changed();
        }
        self.recall().await;
        loop {
            self.settle();
            let pause = self.until_sweep();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ask) = asks.recv() => self.take(ask),
                Some(ended) = ends.recv() => self.end(&ended),
                Ok(()) = resumes.changed() => {
                    let now = self.now();
                    self.registry.lock().resumed(now.boot);
                }
                Ok(()) = reach.changed() => self.reached(*reach.borrow_and_update()),
                Some(done) = self.jobs.next() => self.done(done),
                () = sleep(pause) => self.sweep(),
            }
        }
        drop(quiet);
    }

    fn now(&self) -> Now {
        Now {
            boot: (self.options.clock)(),
            wall: self.app.now(),
        }
    }

    /// Finds again whom an earlier life of the hub knew; who died meanwhile is found here.
    async fn recall(&mut self) {
        let book = self.book.clone();
        let records = match tokio::task::spawn_blocking(move || book.all()).await {
            Ok(Ok(records)) => records,
            Ok(Err(error)) => return warn!("agents of the hub's earlier life are not known: {error}"),
            Err(error) => return warn!("agents of the hub's earlier life are not known: {error}"),
        };
        let now = self.now();
        let known = records.len();
        for record in records {
            let process = self.verify(&record);
            let session = record.session.clone();
            let watch = self.registry.lock().recall(record, process, now);
            if let Some((identity, watch)) = watch {
                self.sensors.watch(session, identity, watch);
            }
        }
        if known > 0 {
            info!(agents = known, "looking after agents of an earlier life again");
        }
    }

    /// What the kernel says of a remembered process.
    fn verify(&self, record: &Record) -> Process {
        if !self.is_here(&record.host) {
            return Process::Elsewhere;
        }
        let Some(identity) = &record.identity else {
            return Process::Unverifiable;
        };
        if identity.is_of_another_namespace().unwrap_or(true) {
            return Process::Elsewhere;
        }
        match identity.life() {
            Ok(Life::Alive | Life::Frozen) => Process::Running,
            Ok(Life::Dead) => Process::Gone,
            Err(_) => Process::Unverifiable,
        }
    }

    fn is_here(&self, host: &str) -> bool {
        host.eq_ignore_ascii_case(&self.options.host)
    }

    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Beat(beat, answer) => self.beat(beat, answer),
            Ask::Leave(session, answer) => self.leave(session, answer),
        }
    }

    fn beat(&mut self, beat: Beat, answer: oneshot::Sender<Result<Sighting, PresenceError>>) {
        let session = beat.session.clone();
        let news = match self.note(beat) {
            Ok(news) => news,
            Err(error) => return drop(answer.send(Err(error))),
        };
        let roll = self.registry.clone();
        let respond = move |stored: Result<(), PresenceError>| {
            let sighting = roll.lock().sighting(&session).ok_or(PresenceError::Stopping);
            let _ = answer.send(stored.and(sighting)); // the client may have gone
        };
        match news {
            None => respond(Ok(())),
            Some(record) => {
                let stored = self.book.put(&record);
                self.jobs.push(Box::pin(async move {
                    respond(stored.await);
                    Done::Nothing
                }));
            }
        }
    }

    /// Takes a sign of life; the record if it is to be stored.
    fn note(&mut self, beat: Beat) -> Result<Option<Record>, PresenceError> {
        let (session, now) = (beat.session.clone(), self.now());
        let unwatchable = beat.pid.filter(|_| beat.watch);
        let (record, process, sign) = self.introduce(beat, now);
        if let Some(pid) = unwatchable.filter(|_| process != Process::Running) {
            return Err(PresenceError::Unwatchable(pid));
        }
        let mut registry = self.registry.lock();
        let noted = registry
            .beat(record, process, sign, now)
            .map_err(|_| PresenceError::Full)?;
        // Lost in an earlier life of the hub, or while nobody could be told.
        if lost_its_agent(&self.app, &session) {
            registry.unsettle(&session);
        }
        let record = registry.record(&session).cloned().filter(|_| noted.news);
        drop(registry);
        if let Some((identity, watch)) = noted.watch {
            self.sensors.watch(session, identity, watch);
        }
        Ok(record)
    }

    /// What a sign of life says, held against what the kernel says.
    fn introduce(&self, beat: Beat, now: Now) -> (Record, Process, bool) {
        let host = beat.host.unwrap_or_else(|| self.options.host.clone());
        let here = self.is_here(&host);
        let identity = beat
            .pid
            .filter(|_| here)
            .and_then(|pid| identity::of(pid).ok().flatten());
        // A process that began after the agent has taken over its pid.
        let identity = identity.filter(|identity| {
            let began = identity.age().map(|age| now.wall.0.saturating_sub(millis(age)));
            let (Some(began), Some(said)) = (began, beat.started_at) else {
                return true;
            };
            began <= said.0.saturating_add(millis(STARTED_SLACK))
        });
        let (process, sign) = match &identity {
            // Whoever sent this sign, a process that is stopped gives none.
            Some(identity) => (Process::Running, !matches!(identity.life(), Ok(Life::Frozen))),
            None if here => (Process::Unverifiable, true),
            None => (Process::Elsewhere, true),
        };
        let ttl = beat.ttl.unwrap_or(self.options.ttl);
        let record = Record {
            session: beat.session,
            pid: beat.pid,
            host,
            started_at: beat.started_at,
            ttl: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            watch: beat.watch,
            identity,
        };
        (record, process, sign)
    }

    fn leave(&mut self, session: SessionId, answer: oneshot::Sender<Result<bool, PresenceError>>) {
        let known = self.registry.lock().forget(&session);
        self.sensors.unwatch(&session);
        if let Some(shared) = self.options.shared.clone() {
            let session = session.clone();
            self.jobs
                .push(Box::pin(async move { Done::Told(shared.remove(session).await) }));
        }
        let removed = self.book.remove(vec![session]);
        self.jobs.push(Box::pin(async move {
            let _ = answer.send(removed.await.map(|()| known)); // the client may have gone
            Done::Nothing
        }));
    }

    fn end(&mut self, ended: &Ended) {
        let now = self.now();
        if self.registry.lock().ended(&ended.session, ended.watch, now) {
            debug!(session = %ended.session, "the agent's process is gone");
            self.sensors.unwatch(&ended.session);
        }
    }

    fn until_sweep(&self) -> Duration {
        let now = (self.options.clock)();
        let due = self.registry.lock().next_due();
        let next = self.swept + self.options.sweep;
        // Not at once even if somebody is due: whoever is due all the time must not keep us busy all the time.
        let soonest = Duration::from_millis(1);
        due.map_or(next, |due| due.min(next))
            .saturating_sub(now)
            .max(soonest)
    }

    fn sweep(&mut self) {
        let now = self.now();
        let view = self.app.view();
        let life = |identity: &Identity| identity.life().unwrap_or(Life::Dead);
        let known = |session: &SessionId| view.session_head(session).is_some();
        let mut registry = self.registry.lock();
        for session in self.failed.drain(..) {
            registry.unsettle(&session);
        }
        let forgotten = registry.sweep(now, life, known);
        drop(registry);
        self.drop_from_book(forgotten);
        if now.boot >= self.swept + self.options.sweep {
            self.swept = now.boot;
            self.consult();
        }
    }

    fn drop_from_book(&mut self, sessions: Vec<SessionId>) {
        if sessions.is_empty() {
            return;
        }
        for session in &sessions {
            self.sensors.unwatch(session);
        }
        let removed = self.book.remove(sessions);
        self.jobs
            .push(Box::pin(async move { Done::Stored(removed.await) }));
    }

    /// Brings sessions in line with verdicts, as many as may be worked on at once.
    fn settle(&mut self) {
        let room = AT_ONCE.saturating_sub(self.busy.len());
        if room == 0 {
            return;
        }
        let due = self
            .registry
            .lock()
            .take_unsettled(room, |session| self.busy.contains(session));
        for (session, verdict) in due {
            self.busy.insert(session.clone());
            let app = self.app.clone();
            self.jobs.push(Box::pin(async move {
                let outcome = match verdict.loss() {
                    Some(loss) => app.agent_lost(session.clone(), loss).await,
                    None => app.agent_returned(session.clone()).await,
                };
                Done::Settled(session, verdict, outcome)
            }));
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Settled(session, verdict, outcome) => {
                self.busy.remove(&session);
                self.settled(session, verdict, outcome);
            }
            Done::Stored(Err(error)) => warn!("the book of agents could not be written: {error}"),
            Done::Read(outcome) => {
                self.reading = false;
                self.heard(outcome);
            }
            Done::Told(Err(error)) => {
                debug!("{error}");
                self.registry.lock().tell_again();
            }
            Done::Stored(Ok(())) | Done::Told(Ok(())) | Done::Nothing => {}
        }
    }

    fn settled(&mut self, session: SessionId, verdict: Verdict, outcome: Result<bool, AppError>) {
        let changed = match outcome {
            Ok(changed) => changed,
            Err(error) => {
                warn!(%session, "the session does not know yet how its agent is: {error}");
                return self.failed.push(session);
            }
        };
        if changed {
            info!(%session, ?verdict, "the session follows its agent");
        }
        let still = self.registry.lock().verdict(&session).and_then(Verdict::loss);
        if verdict.loss().is_none() || still.is_none() {
            return;
        }
        // It need not be looked for again; if its session ended by itself, it has left.
        if !changed && !lost_its_agent(&self.app, &session) {
            self.registry.lock().forget(&session);
        }
        self.drop_from_book(vec![session]);
    }
}

fn lost_its_agent(app: &App, session: &SessionId) -> bool {
    app.session_head(session)
        .is_some_and(|head| !head.failure.is_absent())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
