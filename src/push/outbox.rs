//! What waits for one device: short, and one word about each thing. Pure but for the clock it is given.

use std::{collections::VecDeque, time::Duration};

use tokio::{sync::oneshot, task::AbortHandle, time::Instant};

use crate::domain::{Millis, RequestId, SessionId};

use super::{news::News, record::Last};

/// Letters that may wait; beyond it the oldest go.
const MOST: usize = 32;
/// Pauses after failures that do not say how long to wait.
const PAUSES: [u64; 5] = [2, 8, 30, 120, 600];

/// One piece of news on its way.
#[derive(Debug)]
pub struct Letter {
    pub news: News,
    /// When it happened.
    pub at: Millis,
    /// It is not worth delivering after this.
    pub until: Instant,
    /// True if a service may have it, although it did not say so.
    pub tried: bool,
    /// Who waits for what comes of it.
    pub told: Option<oneshot::Sender<Last>>,
}

/// The queue of one device.
#[derive(Default)]
pub struct Outbox {
    letters: VecDeque<Letter>,
    /// The question that is being carried, and the task that does it.
    carried: Option<(Option<(SessionId, RequestId)>, AbortHandle)>,
    pause: Option<Instant>,
    failures: usize,
}

impl Outbox {
    /// Takes a letter; it replaces what waits under the same tag. Taking back what nobody was told yet takes both away.
    pub fn put(&mut self, letter: Letter) {
        let tag = letter.news.tag();
        let same = self.letters.iter().position(|waiting| waiting.news.tag() == tag);
        if let Some(waiting) = same.and_then(|at| self.letters.remove(at)) {
            let untold = matches!(waiting.news, News::Asks { .. }) && !waiting.tried;
            if untold && matches!(letter.news, News::Over { .. }) {
                return;
            }
        }
        if self.letters.len() >= MOST {
            self.letters.pop_front();
        }
        self.letters.push_back(letter);
    }

    /// A letter that was not taken comes back, unless there is a newer word.
    pub fn give_back(&mut self, letter: Letter) {
        let tag = letter.news.tag();
        if !self.letters.iter().any(|waiting| waiting.news.tag() == tag) {
            self.letters.push_front(letter);
        }
    }

    /// The question of a session that is on its way, if one is.
    pub fn question(&self, session: &SessionId) -> Option<&RequestId> {
        let waiting = self.letters.iter().rev().find_map(|letter| match &letter.news {
            News::Asks { about, request, .. } if about.session == *session => Some(request),
            _ => None,
        });
        let carried = || match &self.carried {
            Some((Some((of, request)), _)) if of == session => Some(request),
            _ => None,
        };
        waiting.or_else(carried)
    }

    /// The next letter, if one may be carried now.
    pub fn next(&mut self, now: Instant) -> Option<Letter> {
        if self.carried.is_some() || self.pause.is_some_and(|pause| pause > now) {
            return None;
        }
        self.letters.pop_front()
    }

    /// A letter is being carried.
    pub fn carries(&mut self, news: &News, task: AbortHandle) {
        let question = match news {
            News::Asks { about, request, .. } => Some((about.session.clone(), request.clone())),
            _ => None,
        };
        self.carried = Some((question, task));
    }

    /// It arrived, or will not.
    pub fn settled(&mut self) {
        self.carried = None;
        self.pause = None;
        self.failures = 0;
    }

    /// It did not arrive: when to try again.
    pub fn failed(&mut self, asked: Option<Duration>, now: Instant) -> Instant {
        self.carried = None;
        let usual = PAUSES[self.failures.min(PAUSES.len() - 1)];
        self.failures += 1;
        let again = now + asked.unwrap_or(Duration::from_secs(usual));
        self.pause = Some(again);
        again
    }

    /// When there is something to do, if nothing happens before.
    pub fn due(&self) -> Option<Instant> {
        let waits = self.carried.is_none() && !self.letters.is_empty();
        self.pause.filter(|_| waits)
    }

    /// True if nothing waits and nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.letters.is_empty() && self.carried.is_none()
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.carried {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Id;

    use super::{super::news::About, *};

    fn about(session: &str) -> About {
        About {
            session: Id::parse(session).unwrap(),
            project: Id::parse("p").unwrap(),
            name: "Ada".into(),
        }
    }

    fn letter(news: News) -> Letter {
        Letter {
            news,
            at: Millis(1),
            until: Instant::now() + Duration::from_secs(60),
            tried: false,
            told: None,
        }
    }

    fn asks(session: &str, request: &str) -> News {
        News::Asks {
            about: about(session),
            request: Id::parse(request).unwrap(),
            message: None,
        }
    }

    fn over(session: &str) -> News {
        News::Over {
            about: about(session),
            request: Id::parse("r").unwrap(),
            by: None,
        }
    }

    #[tokio::test]
    async fn a_newer_word_takes_the_place_of_the_older_one() {
        let mut outbox = Outbox::default();
        outbox.put(letter(asks("s", "r1")));
        outbox.put(letter(asks("t", "r2")));
        outbox.put(letter(News::Failed {
            about: about("s"),
            why: None,
        }));
        let now = Instant::now();
        assert_eq!(
            outbox.question(&Id::parse("t").unwrap()),
            Some(&Id::parse("r2").unwrap())
        );
        assert!(outbox.question(&Id::parse("s").unwrap()).is_none());
        assert!(matches!(outbox.next(now).unwrap().news, News::Asks { .. }));
        assert!(matches!(outbox.next(now).unwrap().news, News::Failed { .. }));
        assert!(outbox.next(now).is_none());
    }

    #[tokio::test]
    async fn what_nobody_was_told_needs_no_taking_back_but_what_somebody_may_know_does() {
        let mut outbox = Outbox::default();
        outbox.put(letter(asks("s", "r")));
        outbox.put(letter(over("s")));
        assert!(outbox.is_idle());
        outbox.put(Letter {
            tried: true,
            ..letter(asks("s", "r"))
        });
        outbox.put(letter(over("s")));
        assert!(matches!(
            outbox.next(Instant::now()).unwrap().news,
            News::Over { .. }
        ));
    }

    #[tokio::test]
    async fn it_is_bounded() {
        let mut outbox = Outbox::default();
        for n in 0..100 {
            outbox.put(letter(asks(&format!("s{n}"), "r")));
        }
        assert_eq!(outbox.letters.len(), MOST);
        assert!(outbox.question(&Id::parse("s99").unwrap()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_a_service_may_ask_for_another() {
        let mut outbox = Outbox::default();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let now = Instant::now();
            pauses.push((outbox.failed(None, now) - now).as_secs());
        }
        assert_eq!(pauses, [2, 8, 30, 120, 600, 600]);
        let now = Instant::now();
        assert_eq!(
            (outbox.failed(Some(Duration::from_secs(7)), now) - now).as_secs(),
            7
        );
        outbox.put(letter(News::Test));
        assert!(outbox.next(now).is_none());
        assert_eq!(outbox.due(), Some(now + Duration::from_secs(7)));
        assert!(outbox.next(now + Duration::from_secs(7)).is_some());
    }
}
