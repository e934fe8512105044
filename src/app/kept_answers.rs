//! Answers that were taken and went nowhere yet, because mail was away or the hub ended: mailed as soon as mail takes them.

use std::time::Duration;

use tokio::time;
use tracing::{debug, info};

use crate::domain::{Answer, Ending, How, RequestId, SessionId};

use super::App;

/// How long it is waited from one try to the next; values, so that tests need not wait.
#[derive(Clone, Copy, Debug)]
pub struct AnswerPauses {
    /// After the first try.
    pub first: Duration,
    /// Doubling up to this.
    pub longest: Duration,
}

impl Default for AnswerPauses {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
        }
    }
}

impl AnswerPauses {
    fn after(self, pause: Duration) -> Duration {
        pause.saturating_mul(2).min(self.longest)
    }
}

impl App {
    /// Mails what is kept now, and whatever will be, as long as it is polled. One such loop per hub.
    pub async fn keep_sending_answers(&self, pauses: AnswerPauses) {
        let mut pause = pauses.first;
        loop {
            if self.send_kept_answers().await == 0 {
                self.answer_kept.notified().await;
                pause = pauses.first; // it was tried just now, in vain
            }
            time::sleep(pause).await;
            pause = pauses.after(pause);
        }
    }

    /// Mails the answers that were kept; how many still are.
    pub async fn send_kept_answers(&self) -> usize {
        let mut left = 0;
        for (session, request) in self.kept_answers() {
            // Looked at anew: its agent may have asked for it while others were mailed.
            let Some(mut answer) = self.kept_answer(&session, &request) else {
                continue;
            };
            if let Err(error) = self.mail_answer(&session, &answer).await {
                debug!(%session, %request, "an answer is still kept: {error}");
                left += 1;
                continue;
            }
            (answer.how, answer.pending) = (How::Mail, false);
            match self.note_way(&session, &answer).await {
                true => info!(%session, %request, "an answer that was kept is mailed"),
                false => left += 1,
            }
        }
        left
    }

    fn kept_answers(&self) -> Vec<(SessionId, RequestId)> {
        let heads = self.view().session_heads(None);
        let at_work = heads.iter().filter(|head| Ending::of(&head.status).is_none());
        at_work
            .flat_map(|head| {
                let kept = head.answers.iter().filter(|answer| answer.pending);
                kept.map(|answer| (head.id.clone(), answer.request_id.clone()))
            })
            .collect()
    }

    fn kept_answer(&self, session: &SessionId, request: &RequestId) -> Option<Answer> {
        let head = self.view().session_head(session)?;
        let answer = head.answers.iter().find(|answer| answer.request_id == *request)?;
        answer.pending.then(|| answer.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_a_second_to_a_minute() {
        let pauses = AnswerPauses::default();
        let all = std::iter::successors(Some(pauses.first), |pause| Some(pauses.after(*pause)));
        let secs: Vec<u64> = all.take(8).map(|pause| pause.as_secs()).collect();
        assert_eq!(secs, [1, 2, 4, 8, 16, 32, 60, 60]);
    }
}
