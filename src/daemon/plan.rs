//! Carrying out a stop: named steps in order, each with a limit counted from the beginning of the stop.
//!
//! A step that is not done when its time is up is left behind, and said so. Whoever asks a second time takes the
//! patience out of all remaining steps; they are still taken, so that nothing is left running or half written.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::crash;

/// What a step does. It gets the time it has.
pub type Act<'a> = Box<dyn FnOnce(Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> + Send + 'a>;

/// One step of a stop.
pub struct Step<'a> {
    /// For the log.
    pub name: &'static str,
    /// When it must be done, counted from the beginning of the stop.
    pub until: Duration,
    /// The time it gets even then: what must not be cut short.
    pub least: Duration,
    /// What it does.
    pub act: Act<'a>,
}

impl<'a> Step<'a> {
    /// A step.
    pub fn new<F>(name: &'static str, until: Duration, act: impl FnOnce(Duration) -> F + Send + 'a) -> Self
    where
        F: Future<Output = ()> + Send + 'a,
    {
        Self {
            name,
            until,
            least: HURRIED,
            act: Box::new(move |limit| Box::pin(act(limit))),
        }
    }

    /// The same step, which gets at least this time.
    pub fn at_least(mut self, least: Duration) -> Self {
        self.least = least;
        self
    }
}

/// Least time a step gets once patience is gone: to do what takes no waiting.
const HURRIED: Duration = Duration::from_millis(50);

/// Takes all steps. `hurry` is cancelled when somebody asks a second time.
pub async fn carry_out(steps: Vec<Step<'_>>, hurry: &CancellationToken) {
    let began = Instant::now();
    for step in steps {
        let now = Instant::now();
        let planned = (began + step.until).max(now + HURRIED);
        let limit = if hurry.is_cancelled() {
            now + HURRIED
        } else {
            planned
        };
        let patience = async {
            tokio::select! {
                () = sleep_until(limit) => {}
                () = hurry.cancelled() => sleep_until(limit.min(Instant::now() + HURRIED)).await,
            }
        };
        tokio::select! {
            biased;
            () = (step.act)(limit - now) => {}
            () = patience => warn!(step = step.name, "not done in time: going on"),
        }
        crash::point("stop.stepped");
        info!(
            step = step.name,
            after_ms = began.elapsed().as_millis() as u64,
            "stopping"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    type Diary = Arc<Mutex<Vec<&'static str>>>;

    fn step(diary: &Diary, name: &'static str, until: u64, takes: u64) -> Step<'static> {
        let diary = diary.clone();
        Step::new(name, Duration::from_secs(until), move |_| async move {
            tokio::time::sleep(Duration::from_secs(takes)).await;
            diary.lock().unwrap().push(name);
        })
    }

    fn done(diary: &Diary) -> Vec<&'static str> {
        diary.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn steps_follow_each_other_as_soon_as_they_are_done() {
        let diary = Diary::default();
        let began = Instant::now();
        let steps = vec![step(&diary, "drain", 10, 2), step(&diary, "redis", 17, 1)];
        carry_out(steps, &CancellationToken::new()).await;
        assert_eq!(done(&diary), ["drain", "redis"]);
        assert_eq!(began.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_hangs_is_left_behind_at_its_time() {
        let diary = Diary::default();
        let began = Instant::now();
        let steps = vec![step(&diary, "drain", 10, 1000), step(&diary, "redis", 17, 1)];
        carry_out(steps, &CancellationToken::new()).await;
        assert_eq!(done(&diary), ["redis"]);
        assert_eq!(began.elapsed().as_secs(), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_wish_takes_the_patience_out_of_what_is_left_but_skips_nothing() {
        let diary = Diary::default();
        let began = Instant::now();
        let hurry = CancellationToken::new();
        let steps = vec![
            step(&diary, "drain", 10, 1000),
            step(&diary, "redis", 17, 1000),
            step(&diary, "kill", 20, 0),
        ];
        let impatient = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            hurry.cancel();
        };
        tokio::join!(carry_out(steps, &hurry), impatient);
        assert_eq!(done(&diary), ["kill"]);
        assert!(
            began.elapsed() < Duration::from_millis(3_200),
            "{:?}",
            began.elapsed()
        );
    }
}
