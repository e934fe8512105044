//! One Engine.IO session: counted for as long as the library holds the request it began with, and cut if need be.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::access::Origin;
use crate::hub::{Line, LineRef};

use super::{
    clients::{Clients, Counted},
    outside::Place,
};

/// Failed CONNECTs on one session before it is cut: the library itself would let a client guess for ever.
const FAILURES: u32 = 5;
/// From how many noted lines on those that are gone are looked for.
const TIDY: usize = 64;

/// Put into the extensions of the request a session begins with. Clones are the same session.
#[derive(Clone, Debug)]
pub struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    line: Option<Line>,
    failures: AtomicU32,
    from: Origin,
    _counted: Counted,
    _outside: Option<Place>,
}

impl Session {
    /// Counts one more. `line`: the connection, if the session has it to itself, as WebSockets do and polls do not.
    /// `from`: where from, as the door knows it. `outside`: its place among those from outside, if it is one.
    pub fn begin(clients: &Clients, line: Option<Line>, from: Origin, outside: Option<Place>) -> Self {
        Self(Arc::new(Inner {
            line,
            failures: AtomicU32::new(0),
            from,
            _counted: clients.session(),
            _outside: outside,
        }))
    }

    /// The connection that is its own.
    pub fn line(&self) -> Option<&Line> {
        self.0.line.as_ref()
    }

    /// Where it comes from, as far as the door could know.
    pub fn origin(&self) -> &Origin {
        &self.0.from
    }

    /// Notes a CONNECT that was refused; true if that was one too many.
    pub fn fail(&self) -> bool {
        self.0.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES
    }
}

/// The connections of sessions that began with polls and became WebSockets, by session id.
#[derive(Debug)]
pub struct Lines {
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    lines: HashMap<String, LineRef>,
    tidy_at: usize,
}

impl Default for Lines {
    fn default() -> Self {
        let known = Known {
            lines: HashMap::new(),
            tidy_at: TIDY,
        };
        Self {
            known: Mutex::new(known),
        }
    }
}

impl Lines {
    /// Notes the connection of an upgrade. Those that are gone are forgotten, so that what is kept is bounded by what
    /// is open.
    pub fn note(&self, sid: &str, line: &Line) {
        let mut known = self.known();
        if known.lines.len() >= known.tidy_at {
            known.lines.retain(|_, line| line.upgrade().is_some());
            known.tidy_at = TIDY.max(2 * known.lines.len());
        }
        known.lines.insert(sid.to_owned(), line.downgrade());
    }

    /// Cuts the connection of this session, if it has one of its own.
    pub fn cut(&self, sid: &str) {
        let line = self.known().lines.get(sid).and_then(LineRef::upgrade);
        if let Some(line) = line {
            line.cut();
        }
    }

    // A poisoned lock is taken all the same: the map is whole after every step.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, duplex};

    use crate::hub::Stall;

    use super::*;

    #[test]
    fn a_session_is_counted_until_its_last_clone_is_gone_and_may_fail_a_few_times() {
        let clients = Clients::default();
        let session = Session::begin(&clients, None, Origin::default(), None);
        let other = session.clone();
        drop(session);
        assert_eq!(clients.sessions(), 1);
        assert_eq!((0..5).map(|_| other.fail()).filter(|many| *many).count(), 1);
        drop(other);
        assert_eq!(clients.sessions(), 0);
    }

    #[tokio::test]
    async fn an_upgraded_session_is_cut_by_its_id_and_lines_that_are_gone_are_forgotten() {
        let lines = Lines::default();
        let (near, _far) = duplex(8);
        let mut stall = Stall::new(near, Duration::from_secs(5), None);
        lines.note("mine", &stall.line());
        for n in 0..1000 {
            let (near, _far) = duplex(8);
            lines.note(
                &n.to_string(),
                &Stall::new(near, Duration::from_secs(5), None).line(),
            );
        }
        assert!(lines.known().lines.len() <= TIDY);
        lines.cut("nobody's");
        lines.cut("mine");
        assert!(stall.read_u8().await.is_err());
    }
}
