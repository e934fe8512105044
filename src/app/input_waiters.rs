//! Agents that wait for a person's answer: no polling inside, nothing to do while nobody answers.
//!
//! A waiter is an entry in a map, made before its question is looked at, so that no answer falls between the two. An
//! answer *claims* those who wait for it inside its transaction, which settles that it goes to them, and gives itself to
//! them after the commit. A waiter that is let go without an answer (its question is over, or the claim came to nothing)
//! looks again. One whose client hung up is gone with its request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::domain::{Answer, Ending, Event, InputState, RequestId, Session, SessionId};
use crate::ports::EventBus;

use super::heard::heard;

/// Most waiters at once. More are refused: each holds a connection of its own, so there are other limits before this.
const MOST: usize = 20_000;

/// All who wait, by session.
#[derive(Debug, Default)]
pub struct InputWaiters {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_session: HashMap<SessionId, Vec<Waiter>>,
    count: usize,
    last_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    /// The question; whatever comes next if none.
    request: Option<RequestId>,
    wake: oneshot::Sender<Arc<Answer>>,
}

/// One who waits. Dropping it ends the wait.
#[derive(Debug)]
pub struct WaitingForInput {
    all: Arc<InputWaiters>,
    session: SessionId,
    ticket: u64,
    woken: oneshot::Receiver<Arc<Answer>>,
}

/// Those an answer goes to. Dropped without [`Claimed::give`] they look again.
#[derive(Debug, Default)]
pub(super) struct Claimed(Vec<Waiter>);

impl InputWaiters {
    /// Registers one who waits for an answer to `request` of `session`, or to whatever it asks next; `None` if too many
    /// wait already.
    pub fn register(
        self: &Arc<Self>,
        session: &SessionId,
        request: Option<&RequestId>,
    ) -> Option<WaitingForInput> {
        let (wake, woken) = oneshot::channel();
        let mut state = self.lock();
        if state.count >= MOST {
            return None;
        }
        state.count += 1;
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        let waiters = state.by_session.entry(session.clone()).or_default();
        waiters.push(Waiter {
            ticket,
            request: request.cloned(),
            wake,
        });
        Some(WaitingForInput {
            all: self.clone(),
            session: session.clone(),
            ticket,
            woken,
        })
    }

    /// Takes out those who wait for an answer to `request`, and have not hung up.
    pub(super) fn claim(&self, session: &SessionId, request: &RequestId) -> Claimed {
        let is_for = |waiter: &Waiter| waiter.request.as_ref().is_none_or(|wanted| wanted == request);
        let mut claimed = self.lock().take(session, is_for);
        claimed.retain(|waiter| !waiter.wake.is_closed());
        Claimed(claimed)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().count
    }

    /// True if nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A bus that delivers to `bus` and then lets go who waits for an answer that will not come.
    pub fn behind(self: &Arc<Self>, bus: Arc<dyn EventBus>) -> Arc<dyn EventBus> {
        let waiters = self.clone();
        heard(bus, move |event| waiters.hear(event))
    }

    fn hear(&self, event: &Event) {
        let gone = match event {
            Event::SessionUpdated(session) => {
                let mut state = self.lock();
                if !state.by_session.contains_key(&session.head.id) {
                    return; // hardly any session has anybody who waits
                }
                state.take(&session.head.id, |waiter| is_over(session, waiter))
            }
            Event::SessionDeleted { id, .. } => self.lock().take(id, |_| true),
            _ => return,
        };
        drop(gone); // outside the lock: each of them takes it to look again
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_over(session: &Session, waiter: &Waiter) -> bool {
    match &waiter.request {
        Some(request) => !matches!(session.head.input(Some(request)), InputState::Waiting(_)),
        None => Ending::of(&session.head.status).is_some(),
    }
}

impl State {
    fn take(&mut self, session: &SessionId, which: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let Some(waiters) = self.by_session.get_mut(session) else {
            return Vec::new();
        };
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(waiters).into_iter().partition(which);
        if left.is_empty() {
            self.by_session.remove(session);
        } else {
            *waiters = left;
        }
        self.count -= taken.len();
        taken
    }
}

impl Claimed {
    /// True if nobody waits for the answer.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives everybody the answer; how many were still there to take it.
    pub(super) fn give(self, answer: &Answer) -> usize {
        let answer = Arc::new(answer.clone());
        let given = self.0.into_iter().map(|waiter| waiter.wake.send(answer.clone()));
        given.filter(Result::is_ok).count()
    }
}

impl WaitingForInput {
    /// The answer that comes; `None` if things have changed and must be looked at again.
    pub async fn answer(mut self) -> Option<Arc<Answer>> {
        (&mut self.woken).await.ok()
    }
}

impl Drop for WaitingForInput {
    fn drop(&mut self) {
        let ticket = self.ticket;
        let left = self
            .all
            .lock()
            .take(&self.session, |waiter| waiter.ticket == ticket);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str) -> SessionId {
        SessionId::parse(id).unwrap()
    }

    fn request(id: &str) -> RequestId {
        RequestId::parse(id).unwrap()
    }

    fn answer(id: &str) -> Answer {
        let answer = serde_json::json!({
            "requestId": id, "text": "yes", "answeredBy": {"kind": "local", "name": "here"}, "answeredAt": 1, "how": "poll",
        });
        serde_json::from_value(answer).unwrap()
    }

    fn got(waiting: &mut WaitingForInput) -> Option<Arc<Answer>> {
        waiting.woken.try_recv().ok()
    }

    #[test]
    fn an_answer_goes_to_all_who_wait_for_it_and_to_nobody_else() {
        let all = Arc::new(InputWaiters::default());
        let mut one = all.register(&session("s"), Some(&request("r1"))).unwrap();
        let mut any = all.register(&session("s"), None).unwrap();
        let mut older = all.register(&session("s"), Some(&request("r0"))).unwrap();
        let mut other = all.register(&session("t"), Some(&request("r1"))).unwrap();
        let claimed = all.claim(&session("s"), &request("r1"));
        assert_eq!(all.len(), 2, "who is claimed waits no more");
        assert_eq!(claimed.give(&answer("r1")), 2);
        assert!(got(&mut one).is_some() && got(&mut any).is_some());
        assert!(got(&mut older).is_none() && got(&mut other).is_none());
        assert!(all.claim(&session("s"), &request("r1")).is_empty());
    }

    #[tokio::test]
    async fn a_claim_that_comes_to_nothing_lets_them_look_again() {
        let all = Arc::new(InputWaiters::default());
        let waiting = all.register(&session("s"), None).unwrap();
        drop(all.claim(&session("s"), &request("r")));
        assert_eq!(waiting.answer().await, None);
        assert!(all.is_empty());
    }

    #[test]
    fn who_hung_up_is_not_given_an_answer() {
        let all = Arc::new(InputWaiters::default());
        let waiting = all.register(&session("s"), None).unwrap();
        let claimed = all.claim(&session("s"), &request("r"));
        drop(waiting); // after it was claimed
        assert_eq!(claimed.give(&answer("r")), 0);
        drop(all.register(&session("s"), None).unwrap());
        assert!(all.claim(&session("s"), &request("r")).is_empty() && all.is_empty());
        assert!(all.lock().by_session.is_empty());
    }

    #[test]
    fn there_is_an_end_to_how_many_may_wait() {
        let all = Arc::new(InputWaiters::default());
        let waiting: Vec<_> = (0..MOST)
            .map(|n| all.register(&session(&format!("s{n}")), None).unwrap())
            .collect();
        assert!(all.register(&session("late"), None).is_none());
        drop(waiting);
        assert!(all.register(&session("late"), None).is_some());
    }
}
