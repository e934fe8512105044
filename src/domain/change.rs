//! What a rule decided and nobody has done yet: records to store and facts to say, in order.

use std::sync::Arc;

use super::{Event, Session, Task};

/// The outcome of a rule about tasks and sessions. Carried out whole, in one transaction, or not at all.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Tasks to store.
    pub tasks: Vec<Arc<Task>>,
    /// The session to store; `None` if it stays as it is.
    pub session: Option<Session>,
    /// What to say, in the order of EVENTS.md section 5.
    pub events: Vec<Event>,
}

#[cfg(test)]
impl Change {
    /// Names of the events, in order: what the stories compare.
    pub(super) fn says(&self) -> Vec<&str> {
        self.events.iter().map(Event::name).collect()
    }
}
