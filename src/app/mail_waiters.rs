//! Who waits for mail, and how a mail finds them: no polling, nothing to do while nothing comes.
//!
//! A waiter is an entry in a map, made before its inbox is looked at, so that no mail falls between the two; it goes
//! when it was woken, gave up, or its client hung up (the guard is dropped with the request). What the store commits is
//! heard through the event bus, other hubs' mail too. When something may not have been heard, everybody looks again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::domain::{Event, Mail, ProjectId, SessionId};
use crate::ports::EventBus;

use super::heard::heard;

/// Most waiters at once. More are refused: each holds a connection of its own, so there are other limits before this.
const MOST: usize = 20_000;

/// All who wait, by project and session.
#[derive(Debug, Default)]
pub struct MailWaiters {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_project: HashMap<ProjectId, HashMap<SessionId, Vec<Waiter>>>,
    count: usize,
    last_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    wake: oneshot::Sender<News>,
}

/// Why somebody is woken.
#[derive(Clone, Debug)]
pub enum News {
    /// This came.
    Mail(Arc<Mail>),
    /// Something may have come: the inbox says.
    LookAgain,
}

/// One who waits. Dropping it ends the wait.
#[derive(Debug)]
pub struct Waiting {
    all: Arc<MailWaiters>,
    project: ProjectId,
    session: SessionId,
    ticket: u64,
    woken: oneshot::Receiver<News>,
}

impl MailWaiters {
    /// Registers one who waits for mail to `session` of `project`; `None` if too many wait already.
    pub fn register(self: &Arc<Self>, project: &ProjectId, session: &SessionId) -> Option<Waiting> {
        let (wake, woken) = oneshot::channel();
        let mut state = self.lock();
        if state.count >= MOST {
            return None;
        }
        state.count += 1;
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        let sessions = state.by_project.entry(project.clone()).or_default();
        sessions
            .entry(session.clone())
            .or_default()
            .push(Waiter { ticket, wake });
        Some(Waiting {
            all: self.clone(),
            project: project.clone(),
            session: session.clone(),
            ticket,
            woken,
        })
    }

    /// Wakes everybody this mail is for.
    pub fn wake(&self, mail: &Arc<Mail>) {
        // Woken outside the lock: each of them takes it to leave.
        for waiter in self.take(mail) {
            let _ = waiter.wake.send(News::Mail(mail.clone())); // gave up just now
        }
    }

    /// Makes everybody look into their inbox: mail may have come that was not heard of.
    pub fn look_again(&self) {
        let all = {
            let mut state = self.lock();
            state.count = 0;
            std::mem::take(&mut state.by_project)
        };
        for waiter in all.into_values().flat_map(HashMap::into_values).flatten() {
            let _ = waiter.wake.send(News::LookAgain); // gave up just now
        }
    }

    fn take(&self, mail: &Mail) -> Vec<Waiter> {
        let mut state = self.lock();
        let taken = match &mail.to_session_id {
            None => {
                let sessions = state.by_project.remove(&mail.project_id);
                sessions
                    .into_iter()
                    .flat_map(HashMap::into_values)
                    .flatten()
                    .collect()
            }
            Some(to) => {
                let sessions = state.by_project.get_mut(&mail.project_id);
                let taken = sessions
                    .and_then(|sessions| sessions.remove(to))
                    .unwrap_or_default();
                state.forget_if_empty(&mail.project_id);
                taken
            }
        };
        state.count -= taken.len();
        taken
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().count
    }

    /// True if nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A bus that delivers to `bus` and then wakes who waits for a delivered mail.
    pub fn behind(self: &Arc<Self>, bus: Arc<dyn EventBus>) -> Arc<dyn EventBus> {
        let waiters = self.clone();
        heard(bus, move |event| waiters.hear(event))
    }

    fn hear(&self, event: &Event) {
        match event {
            Event::MailReceived(mail) => self.wake(mail),
            Event::Remote(remote) if remote.name == "mail:received" && !self.is_empty() => {
                // Another hub's words: what does not read as a mail wakes nobody.
                if let Ok(mail) = serde_json::from_slice(&remote.data) {
                    self.wake(&Arc::new(mail));
                }
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_if_empty(&mut self, project: &ProjectId) {
        if self.by_project.get(project).is_some_and(HashMap::is_empty) {
            self.by_project.remove(project);
        }
    }
}

impl Waiting {
    /// What comes.
    pub async fn news(mut self) -> News {
        // No error can come: a waiter leaves the map by being woken or by the guard's drop, and the guard is here. If it
        // did, the inbox would tell.
        (&mut self.woken).await.unwrap_or(News::LookAgain)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.all.lock();
        let Some(sessions) = state.by_project.get_mut(&self.project) else {
            return;
        };
        let Some(waiters) = sessions.get_mut(&self.session) else {
            return;
        };
        let before = waiters.len();
        waiters.retain(|waiter| waiter.ticket != self.ticket);
        let left = before - waiters.len();
        if waiters.is_empty() {
            sessions.remove(&self.session);
        }
        state.count -= left;
        state.forget_if_empty(&self.project);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use crate::domain::{Millis, Published, Remote};

    use super::*;

    fn project(id: &str) -> ProjectId {
        ProjectId::parse(id).unwrap()
    }

    fn session(id: &str) -> SessionId {
        SessionId::parse(id).unwrap()
    }

    fn mail(project: &str, to: Option<&str>) -> Arc<Mail> {
        let mail = json!({
            "id": "mail_1", "projectId": project, "fromSessionId": "x", "toSessionId": to, "replyToMailId": null,
            "type": "query", "subject": "s", "body": {}, "createdAt": 1, "threadId": "mail_1",
        });
        Arc::new(serde_json::from_value(mail).unwrap())
    }

    fn woken(waiting: &mut Waiting) -> bool {
        waiting.woken.try_recv().is_ok()
    }

    #[test]
    fn a_mail_wakes_those_it_is_for_and_nobody_else() {
        let all = Arc::new(MailWaiters::default());
        let mut b1 = all.register(&project("p"), &session("b")).unwrap();
        let mut b2 = all.register(&project("p"), &session("b")).unwrap();
        let mut c = all.register(&project("p"), &session("c")).unwrap();
        let mut other = all.register(&project("q"), &session("b")).unwrap();
        all.wake(&mail("p", Some("b")));
        assert_eq!(
            [&mut b1, &mut b2, &mut c, &mut other].map(woken),
            [true, true, false, false]
        );
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn a_broadcast_wakes_the_whole_project() {
        let all = Arc::new(MailWaiters::default());
        let mut b = all.register(&project("p"), &session("b")).unwrap();
        let mut c = all.register(&project("p"), &session("c")).unwrap();
        let mut other = all.register(&project("q"), &session("b")).unwrap();
        all.wake(&mail("p", None));
        assert_eq!([&mut b, &mut c, &mut other].map(woken), [true, true, false]);
    }

    #[test]
    fn when_something_may_have_been_missed_everybody_is_woken_to_look() {
        let all = Arc::new(MailWaiters::default());
        let mut b = all.register(&project("p"), &session("b")).unwrap();
        let c = all.register(&project("q"), &session("c")).unwrap();
        all.look_again();
        assert!(matches!(b.woken.try_recv(), Ok(News::LookAgain)));
        assert!(all.is_empty());
        drop((b, c)); // woken already: not to be counted twice
        assert!(all.is_empty());
    }

    #[test]
    fn who_gives_up_leaves_nothing_behind() {
        let all = Arc::new(MailWaiters::default());
        let first = all.register(&project("p"), &session("b")).unwrap();
        let mut second = all.register(&project("p"), &session("b")).unwrap();
        drop(first);
        assert_eq!(all.len(), 1);
        all.wake(&mail("p", Some("b")));
        assert!(woken(&mut second));
        drop(second); // woken already: not to be counted twice
        assert!(all.is_empty());
        assert!(all.lock().by_project.is_empty());
    }

    #[test]
    fn there_is_an_end_to_how_many_may_wait() {
        let all = Arc::new(MailWaiters::default());
        let waiting: Vec<Waiting> = (0..MOST)
            .map(|n| all.register(&project("p"), &session(&format!("s{n}"))).unwrap())
            .collect();
        assert!(all.register(&project("p"), &session("late")).is_none());
        drop(waiting);
        assert!(all.register(&project("p"), &session("late")).is_some());
    }

    #[test]
    fn mail_of_this_hub_and_of_others_is_heard_after_the_bus_delivered_it() {
        #[derive(Default)]
        struct Ear(Mutex<usize>);
        impl EventBus for Ear {
            fn publish(&self, events: Vec<Arc<Published>>) {
                *self.0.lock().unwrap() += events.len();
            }
        }
        let (all, ear) = (Arc::new(MailWaiters::default()), Arc::new(Ear::default()));
        let bus = all.behind(ear.clone());
        let mut ours = all.register(&project("p"), &session("b")).unwrap();
        let mut theirs = all.register(&project("q"), &session("b")).unwrap();
        let remote = |data: Vec<u8>| {
            Event::Remote(Arc::new(Remote {
                name: "mail:received".into(),
                data: Bytes::from(data),
                session: None,
                project: None,
            }))
        };
        let events = [
            remote(b"{}".to_vec()),
            Event::MailReceived(mail("p", Some("b"))),
            remote(serde_json::to_vec(&*mail("q", None)).unwrap()),
        ];
        let published = events
            .into_iter()
            .map(|event| Arc::new(Published::new(1, Millis(1), event)));
        bus.publish(published.collect());
        assert!(woken(&mut ours) && woken(&mut theirs));
        assert_eq!(*ear.0.lock().unwrap(), 3);
    }
}
