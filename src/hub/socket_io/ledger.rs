//! What was done under which request id: a request that is repeated after a lost answer is not done again.
//!
//! In memory and bounded: the last few of each sender. Only what succeeded is remembered; what was refused may be tried
//! again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::shutdown::TaskGroup;

use super::verbs::Refusal;

/// Requests remembered of one sender.
const EACH: usize = 64;
/// Senders remembered.
const SENDERS: usize = 256;

type Outcome = Option<Result<Value, Refusal>>;

/// The ledger. Clones share it.
#[derive(Clone, Default)]
pub struct Ledger {
    /// The sender seen last comes last.
    senders: Arc<Mutex<VecDeque<Sender>>>,
}

struct Sender {
    name: String,
    entries: VecDeque<Entry>,
}

struct Entry {
    id: String,
    fingerprint: [u8; 32],
    outcome: watch::Receiver<Outcome>,
}

enum Found {
    New(watch::Sender<Outcome>),
    Known(watch::Receiver<Outcome>),
    Refused(Refusal),
}

impl Ledger {
    /// Does `work` unless it was done before under this id by this sender; then answers as the first time. It is done to
    /// its end even if nobody waits any more.
    pub async fn once(
        &self,
        sender: &str,
        id: &str,
        body: &Value,
        tasks: &TaskGroup,
        work: impl Future<Output = Result<Value, Refusal>> + Send + 'static,
    ) -> Result<Value, Refusal> {
        let mut outcome = match self.look_up(sender, id, body) {
            Found::Refused(refusal) => return Err(refusal),
            Found::Known(outcome) => outcome,
            Found::New(told) => {
                let outcome = told.subscribe();
                let (ledger, sender, id) = (self.clone(), sender.to_owned(), id.to_owned());
                tasks.spawn("request", move |_| async move {
                    let done = work.await;
                    if done.is_err() {
                        ledger.forget(&sender, &id);
                    }
                    told.send_replace(Some(done));
                });
                outcome
            }
        };
        let told = outcome.wait_for(Option::is_some).await;
        // It is never taken back; if nobody told it, the work panicked.
        told.ok().and_then(|told| told.clone()).unwrap_or_else(|| {
            self.forget(sender, id);
            Err(Refusal::new(
                "internal",
                "The hub made a mistake. Its log says more.",
            ))
        })
    }

    fn look_up(&self, sender: &str, id: &str, body: &Value) -> Found {
        let fingerprint: [u8; 32] = Sha256::digest(body.to_string()).into();
        let mut senders = self.senders();
        let known = senders.iter().position(|known| known.name == sender);
        let mut known = known.and_then(|at| senders.remove(at)).unwrap_or_else(|| Sender {
            name: sender.to_owned(),
            entries: VecDeque::new(),
        });
        let found = known.look_up(id, fingerprint);
        if senders.len() >= SENDERS {
            senders.pop_front();
        }
        senders.push_back(known);
        found
    }

    fn forget(&self, sender: &str, id: &str) {
        let mut senders = self.senders();
        if let Some(known) = senders.iter_mut().find(|known| known.name == sender) {
            known.entries.retain(|entry| entry.id != id);
        }
    }

    // A poisoned lock is taken all the same: what may be lost is one memory.
    fn senders(&self) -> MutexGuard<'_, VecDeque<Sender>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender {
    fn look_up(&mut self, id: &str, fingerprint: [u8; 32]) -> Found {
        if let Some(entry) = self.entries.iter().find(|entry| entry.id == id) {
            if entry.fingerprint != fingerprint {
                let refusal = Refusal::new("conflict", "this requestId was used for another request");
                return Found::Refused(refusal);
            }
            return Found::Known(entry.outcome.clone());
        }
        if self.entries.len() >= EACH {
            let done = self
                .entries
                .iter()
                .position(|entry| entry.outcome.borrow().is_some());
            match done {
                Some(at) => drop(self.entries.remove(at)),
                None => return Found::Refused(Refusal::new("busy", "too many requests are under way")),
            }
        }
        let (told, outcome) = watch::channel(None);
        self.entries.push_back(Entry {
            id: id.to_owned(),
            fingerprint,
            outcome,
        });
        Found::New(told)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;

    async fn work(done: Arc<AtomicUsize>) -> Result<Value, Refusal> {
        tokio::task::yield_now().await;
        Ok(json!({"n": done.fetch_add(1, Ordering::SeqCst)}))
    }

    #[tokio::test]
    async fn a_repeated_request_gets_the_first_answer_and_another_body_is_refused() {
        let (ledger, tasks, done) = (
            Ledger::default(),
            TaskGroup::default(),
            Arc::new(AtomicUsize::new(0)),
        );
        let (one, other) = (json!({"a": 1}), json!({"a": 2}));
        let ask = |sender, body| ledger.once(sender, "r", body, &tasks, work(done.clone()));
        let (first, again) = tokio::join!(ask("dev", &one), ask("dev", &one));
        assert_eq!(
            (first.unwrap(), again.unwrap()),
            (json!({"n": 0}), json!({"n": 0}))
        );
        assert_eq!(ask("dev", &other).await.unwrap_err().code, "conflict");
        assert_eq!(ask("other", &other).await.unwrap(), json!({"n": 1}));
    }

    #[tokio::test]
    async fn what_was_refused_or_broke_may_be_tried_again() {
        let (ledger, tasks) = (Ledger::default(), TaskGroup::default());
        let body = json!({});
        let refused = ledger.once("dev", "r", &body, &tasks, async {
            Err(Refusal::new("busy", "x"))
        });
        assert_eq!(refused.await.unwrap_err().code, "busy");
        let broken = ledger.once("dev", "r", &body, &tasks, async { panic!("a mistake") });
        assert_eq!(broken.await.unwrap_err().code, "internal");
        let done = ledger.once("dev", "r", &body, &tasks, async { Ok(json!(1)) });
        assert_eq!(done.await.unwrap(), json!(1));
    }

    #[tokio::test]
    async fn memory_is_bounded_in_both_directions() {
        let (ledger, tasks, body) = (Ledger::default(), TaskGroup::default(), json!({}));
        for n in 0..3 * SENDERS {
            let sender = n.to_string();
            let done = ledger.once(&sender, "r", &body, &tasks, async { Ok(json!(1)) });
            done.await.unwrap();
        }
        for n in 0..3 * EACH {
            let id = n.to_string();
            let done = ledger.once("one", &id, &body, &tasks, async { Ok(json!(1)) });
            done.await.unwrap();
        }
        let senders = ledger.senders();
        assert_eq!(senders.len(), SENDERS);
        assert_eq!(senders.back().unwrap().entries.len(), EACH);
    }
}
