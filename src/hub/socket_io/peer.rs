//! One socket of ours: what it wants to hear, what waits for it, and how it ends.
//!
//! The library drops silently what does not fit its buffer, and cannot say for whom. So everything goes through a
//! bounded queue here, events, answers and acknowledgements in one order, as with the raw WebSocket; from it a pump
//! feeds the library as fast as the client takes it. Who does not keep up is cut off and told so.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::access::{Denied, Devices, Origin};
use crate::bus::{Bounds, Cut};
use crate::domain::{Caller, Device, DeviceId, ProjectId, Scope};
use crate::push::Look;

use super::{
    reply::Reply,
    requests::Requests,
    session::{Lines, Session},
};

/// Items that wait for a socket now and then.
const USUAL: usize = 32;

/// An event as it is sent: rendered once for everybody who gets it.
#[derive(Debug)]
pub struct Rendered {
    /// Name of the event.
    pub name: String,
    /// The whole payload.
    pub body: Box<RawValue>,
}

/// What an event is about, for those who choose.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// By the contract's filtering rule (EVENTS.md section 3).
    pub filter: Option<&'a str>,
    /// The project it belongs to.
    pub project: Option<&'a str>,
    /// What a device needs to hear of it.
    pub scope: Scope,
}

/// Which projects a phone is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// This one, named in the handshake.
    Project(ProjectId),
    /// All that it may see.
    All,
}

impl Audience {
    fn includes(&self, project: &str) -> bool {
        match self {
            Self::Project(one) => one.as_str() == project,
            Self::All => true,
        }
    }
}

/// What a socket wants to hear.
#[derive(Debug)]
pub enum Wants {
    /// A desktop: everything, or what is about these sessions or about none.
    Desktop(Option<HashSet<String>>),
    /// A phone: its projects, and sessions it has asked for besides.
    Phone {
        /// Said in the handshake.
        audience: Audience,
        /// By `session:subscribe`.
        sessions: HashSet<String>,
    },
}

impl Wants {
    /// True if this is to be heard by `caller`. Decided once per event, so nobody gets one twice.
    pub fn hear(&self, about: About<'_>, caller: &Caller) -> bool {
        match self {
            Self::Desktop(filter) => match (filter, about.filter) {
                (Some(filter), Some(id)) => filter.contains(id),
                (None, _) | (_, None) => true,
            },
            Self::Phone { audience, sessions } => {
                // What cannot be placed is not for phones.
                let Some(of) = about.project else { return false };
                let asked = || about.filter.is_some_and(|id| sessions.contains(id));
                caller.may(about.scope, Some(of)) && (audience.includes(of) || asked())
            }
        }
    }
}

/// Something on its way to a socket.
#[derive(Debug)]
pub enum Item {
    /// A fact.
    Event(Arc<Rendered>),
    /// Something for this socket alone.
    Said(&'static str, Box<RawValue>),
    /// The answer to a request.
    Ack(Reply, Box<RawValue>),
}

impl Item {
    fn weight(&self) -> usize {
        match self {
            Self::Event(event) => event.body.get().len(),
            Self::Said(_, body) | Self::Ack(_, body) => body.get().len(),
        }
    }
}

/// Why a socket ends.
#[derive(Clone, Debug)]
pub enum End {
    /// It did not keep up.
    Slow(Cut),
    /// Its device may not be here any more.
    Gone(Denied),
    /// It has left: nothing can be said to it.
    Left,
    /// The hub stops, and everything was said.
    Stopped,
}

struct State {
    wants: Wants,
    waiting: VecDeque<Item>,
    bytes: usize,
    last_said: bool,
    end: Option<End>,
}

/// A socket.
pub struct Peer {
    /// The library's name of it.
    pub sid: String,
    bounds: Bounds,
    caller: ArcSwap<Caller>,
    session: Option<Session>,
    state: Mutex<State>,
    wake: Notify,
    /// Whether its page is on a screen.
    look: Mutex<Option<Look>>,
    /// What it asks for.
    pub requests: Requests,
}

impl Peer {
    /// A socket that has just come.
    pub fn new(sid: String, caller: Caller, wants: Wants, session: Option<Session>, bounds: Bounds) -> Self {
        let state = State {
            wants,
            waiting: VecDeque::new(),
            bytes: 0,
            last_said: false,
            end: None,
        };
        Self {
            sid,
            bounds,
            caller: ArcSwap::from_pointee(caller),
            session,
            state: Mutex::new(state),
            wake: Notify::new(),
            look: Mutex::default(),
            requests: Requests::default(),
        }
    }

    /// Who it is, as far as it was proved.
    pub fn caller(&self) -> Arc<Caller> {
        self.caller.load_full()
    }

    /// Where it comes from, as far as the door could know.
    pub fn origin(&self) -> Origin {
        self.session
            .as_ref()
            .map(Session::origin)
            .cloned()
            .unwrap_or_default()
    }

    /// Its device, if it is one.
    pub fn device(&self) -> Option<DeviceId> {
        self.caller.load().device().map(|device| device.id.clone())
    }

    /// Follows what became of its device; false if that may not be here any more.
    pub fn follow(&self, devices: &Devices) -> bool {
        let Some(id) = self.device() else { return true };
        match devices.device(&id) {
            Some(device) => {
                self.caller.store(Arc::new(Caller::Device(device)));
                true
            }
            None => false,
        }
    }

    /// Its page can be seen, or not. Nothing once it has ended.
    pub fn looks(&self, visible: bool, begin: impl FnOnce() -> Look) {
        let mut look = self.look();
        if self.ending().is_none() {
            look.get_or_insert_with(begin).say(visible);
        }
    }

    /// Its device is this now.
    pub fn become_device(&self, device: &Arc<Device>) {
        self.caller.store(Arc::new(Caller::Device(device.clone())));
    }

    /// The projects it is about, if it is a phone.
    pub fn audience(&self) -> Option<Audience> {
        match &self.state().wants {
            Wants::Phone { audience, .. } => Some(audience.clone()),
            Wants::Desktop(_) => None,
        }
    }

    /// The one project named in its handshake.
    pub fn project(&self) -> Option<ProjectId> {
        match self.audience()? {
            Audience::Project(project) => Some(project),
            Audience::All => None,
        }
    }

    /// True if it would be told of this.
    pub fn wants(&self, about: About<'_>) -> bool {
        self.state().wants.hear(about, &self.caller.load())
    }

    /// Queues an event if it is wanted.
    pub fn offer(&self, about: About<'_>, render: impl FnOnce() -> Option<Arc<Rendered>>) {
        let state = self.state();
        if state.end.is_some() || !state.wants.hear(about, &self.caller.load()) {
            return;
        }
        if let Some(event) = render() {
            self.push(state, Item::Event(event));
        }
    }

    /// Queues something for it alone.
    pub fn say(&self, item: Item) {
        self.push(self.state(), item);
    }

    /// Changes what it wants to hear and queues the answer, in one step.
    pub fn choose(&self, change: impl FnOnce(&mut Wants), answers: impl IntoIterator<Item = Item>) {
        let mut state = self.state();
        change(&mut state.wants);
        for answer in answers {
            self.push(state, answer);
            state = self.state();
        }
    }

    /// Queues its last words: after them it ends.
    pub fn say_last(&self, item: Item) {
        let mut state = self.state();
        state.last_said = true;
        self.push(state, item);
    }

    /// Ends it; the first reason counts. What was waiting is dropped.
    pub fn end(&self, end: End) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        state.waiting = VecDeque::new();
        state.bytes = 0;
        drop(state);
        self.look().take();
        self.wake.notify_one();
    }

    /// Why it ends, if it does.
    pub fn ending(&self) -> Option<End> {
        self.state().end.clone()
    }

    /// The next thing to be sent, waited for. Cancel-safe.
    pub async fn next(&self) -> Result<Item, End> {
        loop {
            {
                let mut state = self.state();
                if let Some(end) = &state.end {
                    return Err(end.clone());
                }
                if let Some(item) = state.waiting.pop_front() {
                    state.bytes -= item.weight();
                    if state.waiting.is_empty() && state.waiting.capacity() > USUAL {
                        // It was behind for once. A crowd that was needs no room for that ever after.
                        state.waiting = VecDeque::new();
                    }
                    return Ok(item);
                }
                if state.last_said {
                    return Err(End::Stopped);
                }
            }
            self.wake.notified().await;
        }
    }

    /// Ends its connection, if that is its own: at once, whatever it does not read.
    pub fn cut(&self, lines: &Lines) {
        match self.session.as_ref().and_then(Session::line) {
            Some(line) => line.cut(),
            None => lines.cut(&self.sid),
        }
    }

    fn push(&self, mut state: MutexGuard<'_, State>, item: Item) {
        if state.end.is_some() {
            return;
        }
        let weight = item.weight();
        let full = state.waiting.len() >= self.bounds.frames || state.bytes + weight > self.bounds.bytes;
        if full && !state.waiting.is_empty() {
            state.end = Some(End::Slow(Cut {
                frames: state.waiting.len(),
                bytes: state.bytes,
            }));
            state.waiting = VecDeque::new();
            state.bytes = 0;
        } else {
            state.bytes += weight;
            state.waiting.push_back(item);
        }
        drop(state);
        self.wake.notify_one();
    }

    fn look(&self) -> MutexGuard<'_, Option<Look>> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // A poisoned lock is taken all the same: what it guards is valid after every single step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
