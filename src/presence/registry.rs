//! Who is present: every agent we know with the last sign of it, its verdict, and when to look at it again.
//!
//! A value: time comes in as an argument (a clock that counts suspended time), and nothing is done here. Age is counted
//! from receipt; agents' own clocks are never asked.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use crate::domain::{Millis, SessionId, Sighting, Verdict};
use crate::process::{Identity, Life};

use super::{
    judge::{Evidence, Lease, Process, judge},
    record::Record,
    shared::Sign,
};

/// Nobody was looked at for so long, though everybody who is due is each second: we, or the machine, stood still.
const LATE: Duration = Duration::from_secs(2);
/// How soon we look again at an agent whose verdict had to be kept.
const AGAIN: Duration = Duration::from_secs(1);
/// How soon we look again at one of whom nothing is due: its session may be gone.
const SELDOM: Duration = Duration::from_secs(60);
/// How much later than it is a lease may look after a way through the shared registry.
const ECHO: Duration = Duration::from_millis(500);
/// How long a dead agent is shown.
const DEAD_SHOWN: Duration = Duration::from_secs(3600);

/// Tells watches of one agent apart: an exit that a former watch reports is not news.
pub type WatchId = u64;

/// An instant, on the clock that counts suspended time and on the one on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For timers.
    pub boot: Duration,
    /// For people.
    pub wall: Millis,
}

struct Entry {
    record: Record,
    process: Process,
    watch: WatchId,
    /// The last sign is believed until then; `None` if there was none since we started.
    held_until: Option<Duration>,
    /// The last sign was read in the shared registry: while that cannot be read, silence means nothing.
    through_registry: bool,
    /// Until when the shared registry was told to believe it.
    told_until: Option<Duration>,
    last_seen: Option<Millis>,
    verdict: Verdict,
    due: Duration,
}

/// What became of a sign of life.
#[derive(Debug, PartialEq)]
pub struct Noted {
    /// What we remember of the agent has changed: store it.
    pub news: bool,
    /// Watch its process under this number; an earlier watch of the agent is over.
    pub watch: Option<(Identity, WatchId)>,
}

/// No more agents can be known.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// All agents we know.
pub struct Registry {
    entries: HashMap<SessionId, Entry>,
    due: BTreeSet<(Duration, SessionId)>,
    most: usize,
    watches: WatchId,
    resumed_at: Duration,
    /// Since when the shared registry could be read without a break; `None` while it cannot.
    readable_since: Option<Duration>,
    /// When we last looked at anybody.
    awake_at: Duration,
    unsettled: BTreeSet<SessionId>,
}

impl Registry {
    /// An empty one that holds up to `most` agents. Nothing is certain for one TTL from `now`.
    pub fn new(most: usize, now: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            due: BTreeSet::new(),
            most,
            watches: 0,
            resumed_at: now,
            readable_since: Some(now),
            awake_at: now,
            unsettled: BTreeSet::new(),
        }
    }

    /// Takes an agent of an earlier life of the hub. Its process is to be watched if it is returned.
    pub fn recall(&mut self, record: Record, process: Process, now: Now) -> Option<(Identity, WatchId)> {
        let session = record.session.clone();
        let (runs, ttl) = (process == Process::Running, record.ttl());
        self.insert(record, process, now);
        // That its process runs is a sign as good as any to begin with.
        if let Some(entry) = self.entries.get_mut(&session).filter(|_| runs) {
            entry.held_until = Some(now.boot + ttl);
        }
        self.look(&session, now);
        self.watch_of(&session)
    }

    fn insert(&mut self, record: Record, process: Process, now: Now) {
        let session = record.session.clone();
        let watch = self.next_watch();
        let entry = Entry {
            record,
            process,
            watch,
            held_until: None,
            through_registry: false,
            told_until: None,
            last_seen: None,
            verdict: Verdict::Unknown,
            due: now.boot,
        };
        self.forget(&session);
        self.due.insert((now.boot, session.clone()));
        self.entries.insert(session, entry);
    }

    /// Takes a sign of life. A process that does not run gives none (`sign` is false): it is then only introduced.
    pub fn beat(&mut self, record: Record, process: Process, sign: bool, now: Now) -> Result<Noted, Full> {
        let session = record.session.clone();
        if !self.entries.contains_key(&session) {
            if self.entries.len() >= self.most {
                return Err(Full);
            }
            self.insert(record, process, now);
            // Introduced only: whoever does that has more to say, and otherwise the next sweep looks.
            if sign || process == Process::Running {
                self.sign(&session, sign, now);
            }
            return Ok(Noted {
                news: true,
                watch: self.watch_of(&session),
            });
        }
        let watch = self.next_watch();
        let mut rewatch = false;
        let (mut news, mut sign) = (false, sign);
        if let Some(entry) = self.entries.get_mut(&session) {
            // A sign without a pid comes from somebody near the agent: what we know of its process stands.
            let bare = record.pid.is_none() && record.host == entry.record.host;
            let gone = entry.process == Process::Gone;
            // A sign on its way when the process ended is no sign of a new life.
            let same = (record.pid, record.started_at) == (entry.record.pid, entry.record.started_at);
            if gone && same && record.pid.is_some() && record.identity.is_none() {
                sign = false;
            }
            let next = match bare && !gone {
                true => Record {
                    pid: entry.record.pid,
                    identity: entry.record.identity.clone(),
                    started_at: record.started_at.or(entry.record.started_at),
                    watch: entry.record.watch,
                    ..record
                },
                false if gone && !sign => entry.record.clone(),
                false => {
                    rewatch = gone || record.identity != entry.record.identity;
                    entry.process = process;
                    record
                }
            };
            if rewatch {
                entry.watch = watch;
            }
            news = next != entry.record || entry.verdict.loss().is_some();
            entry.record = next;
            entry.through_registry = false;
        }
        self.sign(&session, sign, now);
        Ok(Noted {
            news,
            watch: if rewatch { self.watch_of(&session) } else { None },
        })
    }

    fn watch_of(&self, session: &SessionId) -> Option<(Identity, WatchId)> {
        let entry = self.entries.get(session)?;
        let runs = entry.process == Process::Running;
        let identity = entry.record.identity.clone().filter(|_| runs)?;
        Some((identity, entry.watch))
    }

    fn sign(&mut self, session: &SessionId, sign: bool, now: Now) {
        if let Some(entry) = self.entries.get_mut(session).filter(|_| sign) {
            entry.held_until = Some(now.boot + entry.record.ttl());
            entry.last_seen = Some(now.wall);
        }
        self.look(session, now);
    }

    /// The shared registry holds a key of this agent for `left` longer. It never shortens what we know.
    pub fn seen(&mut self, session: &SessionId, left: Duration, now: Now) {
        if let Some(entry) = self.entries.get_mut(session) {
            let until = now.boot + left;
            // Our own signs come back as well, by a moment later than we left them there.
            if entry.held_until.is_none_or(|held| held + ECHO < until) {
                entry.through_registry = true;
                entry.held_until = Some(until);
                entry.last_seen = Some(now.wall);
            }
        }
        self.look(session, now);
    }

    /// Signs that the shared registry does not know of, up to `most`; they count as told from now on.
    pub fn untold(&mut self, now: Duration, most: usize) -> Vec<Sign> {
        let mut signs = Vec::new();
        for entry in self.entries.values_mut() {
            let Some(until) = entry.held_until.filter(|until| *until > now) else {
                continue;
            };
            if entry.through_registry || entry.told_until == Some(until) {
                continue;
            }
            if signs.len() == most {
                break;
            }
            entry.told_until = Some(until);
            signs.push(Sign {
                session: entry.record.session.clone(),
                pid: entry.record.pid,
                host: entry.record.host.clone(),
                started_at: entry.record.started_at,
                ttl: entry.record.ttl(),
                left: until - now,
            });
        }
        signs
    }

    /// The shared registry has forgotten, or may have forgotten, what it was told.
    pub fn tell_again(&mut self) {
        for entry in self.entries.values_mut() {
            entry.told_until = None;
        }
    }

    /// A watched process ended. False if that is not news.
    pub fn ended(&mut self, session: &SessionId, watch: WatchId, now: Now) -> bool {
        match self.entries.get_mut(session) {
            Some(entry) if entry.watch == watch => entry.process = Process::Gone,
            _ => return false,
        }
        self.look(session, now);
        true
    }

    /// Forgets an agent. False if it was not known.
    pub fn forget(&mut self, session: &SessionId) -> bool {
        self.unsettled.remove(session);
        match self.entries.remove(session) {
            Some(entry) => self.due.remove(&(entry.due, session.clone())),
            None => false,
        }
    }

    /// Time went by without us: all silence until now is no evidence.
    pub fn resumed(&mut self, now: Duration) {
        self.resumed_at = now;
    }

    /// We are awake now, and find out if we were not a while ago. Before any verdict: nobody else has told us yet.
    fn awake(&mut self, now: Duration) {
        if now.saturating_sub(self.awake_at) > LATE {
            self.resumed(now);
        }
        self.awake_at = now;
    }

    /// Since when the shared registry can be read without a break; `None` if it cannot.
    pub fn readable(&mut self, since: Option<Duration>) {
        self.readable_since = since;
    }

    /// The shared registry was just read: it is readable at least from now on.
    pub fn readable_from(&mut self, now: Duration) {
        self.readable_since.get_or_insert(now);
    }

    /// Looks at every agent that is due. `life` asks the kernel about processes that the hub gives signs for; agents
    /// whose session is not `known` any more are forgotten, and returned.
    pub fn sweep(
        &mut self,
        now: Now,
        life: impl Fn(&Identity) -> Life,
        known: impl Fn(&SessionId) -> bool,
    ) -> Vec<SessionId> {
        self.awake(now.boot);
        let mut forgotten = Vec::new();
        while let Some((due, session)) = self.due.first().cloned() {
            if due > now.boot {
                break;
            }
            if !known(&session) || self.has_been_dead_for_long(&session, now.boot) {
                self.forget(&session);
                forgotten.push(session);
                continue;
            }
            let entry = self.entries.get(&session);
            let on_behalf = entry.filter(|entry| entry.record.watch && entry.process == Process::Running);
            let identity = on_behalf.and_then(|entry| entry.record.identity.as_ref());
            let runs = identity.is_some_and(|identity| life(identity) == Life::Alive);
            self.sign(&session, runs, now);
        }
        forgotten
    }

    fn has_been_dead_for_long(&self, session: &SessionId, now: Duration) -> bool {
        let dead = |entry: &Entry| entry.verdict.loss().is_some() && entry.due <= now;
        self.entries.get(session).is_none_or(dead) && !self.unsettled.contains(session)
    }

    /// When somebody is due next.
    pub fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Judges one agent anew, and decides when to look at it again.
    fn look(&mut self, session: &SessionId, now: Now) {
        self.awake(now.boot);
        let Some(entry) = self.entries.get_mut(session) else {
            return;
        };
        let (resumed_at, readable_since) = (self.resumed_at, self.readable_since);
        let ttl = entry.record.ttl();
        let held = entry.held_until.is_some_and(|until| now.boot < until);
        let deaf = readable_since.is_none()
            && (entry.through_registry
                || matches!(entry.process, Process::Elsewhere | Process::Unverifiable));
        let verdict = judge(Evidence {
            process: entry.process,
            lease: match (held, deaf) {
                (true, _) => Lease::Held,
                (false, true) => Lease::Unreadable,
                (false, false) => Lease::Lapsed,
            },
            readable_for_a_ttl: readable_since.is_some_and(|since| now.boot >= since + ttl),
            just_resumed: now.boot < resumed_at + ttl,
        });
        let last = entry.verdict;
        if verdict != Verdict::Unknown {
            entry.verdict = verdict;
        }
        if entry.verdict.loss() != last.loss() {
            self.unsettled.insert(session.clone());
        }
        let stands = entry.verdict;
        let due = match (stands, verdict) {
            (Verdict::Crashed | Verdict::Lost, _) if last.loss().is_some() && entry.due > now.boot => {
                entry.due
            }
            (Verdict::Crashed | Verdict::Lost, _) => now.boot + DEAD_SHOWN,
            (_, Verdict::Unknown) => {
                let certain = readable_since.map(|since| since.max(resumed_at) + ttl);
                certain.filter(|at| *at > now.boot).unwrap_or(now.boot + AGAIN)
            }
            (Verdict::Alive, _) if held => entry.held_until.unwrap_or(now.boot),
            (Verdict::Alive, _) => now.boot + AGAIN,
            _ => now.boot + SELDOM,
        };
        // The hub must give signs for it before the last one is too old, and notices when it goes on again.
        let on_behalf = entry.record.watch && entry.process == Process::Running;
        let due = if on_behalf {
            due.min(now.boot + ttl / 3)
        } else {
            due
        };
        if due != entry.due {
            self.due.remove(&(entry.due, session.clone()));
            entry.due = due;
            self.due.insert((due, session.clone()));
        }
    }

    /// Up to `most` sessions whose records do not agree with their verdicts yet, without those that are `busy`. They
    /// count as settled from now on: one that could not be is given back by [`unsettle`](Self::unsettle).
    pub fn take_unsettled(
        &mut self,
        most: usize,
        busy: impl Fn(&SessionId) -> bool,
    ) -> Vec<(SessionId, Verdict)> {
        let found = self.unsettled.iter().filter(|session| !busy(session)).take(most);
        let found: Vec<SessionId> = found.cloned().collect();
        let mut taken = Vec::new();
        for session in found {
            self.unsettled.remove(&session);
            if let Some(entry) = self.entries.get(&session) {
                taken.push((session, entry.verdict));
            }
        }
        taken
    }

    /// The session's record is still to be brought in line with its verdict.
    pub fn unsettle(&mut self, session: &SessionId) {
        if self.entries.contains_key(session) {
            self.unsettled.insert(session.clone());
        }
    }

    /// What is remembered of an agent.
    pub fn record(&self, session: &SessionId) -> Option<&Record> {
        self.entries.get(session).map(|entry| &entry.record)
    }

    /// The verdict that stands.
    pub fn verdict(&self, session: &SessionId) -> Option<Verdict> {
        self.entries.get(session).map(|entry| entry.verdict)
    }

    /// What is known of a session's agent.
    pub fn sighting(&self, session: &SessionId) -> Option<Sighting> {
        let Entry {
            record,
            process,
            last_seen,
            verdict,
            ..
        } = self.entries.get(session)?;
        Some(Sighting {
            session_id: record.session.clone(),
            verdict: *verdict,
            pid: record.pid,
            host: Some(record.host.clone()),
            started_at: record.started_at,
            last_seen: *last_seen,
            ttl: record.ttl,
            watched: *process == Process::Running,
        })
    }

    /// What is known of all, by session.
    pub fn sightings(&self) -> Vec<Sighting> {
        let mut all: Vec<_> = self
            .entries
            .keys()
            .filter_map(|session| self.sighting(session))
            .collect();
        all.sort_unstable_by(|a, b| a.session_id.cmp(&b.session_id));
        all
    }

    fn next_watch(&mut self) -> WatchId {
        self.watches += 1;
        self.watches
    }
}
