//! What operators are told of mail.

use std::time::Duration;

use tokio::time::timeout;

use crate::control::protocol::{Component, LeftBehind, Mail, State, Warning};

use super::MailHouse;

/// How long a count may take; then the last one is shown.
const COUNTING: Duration = Duration::from_millis(500);

impl MailHouse {
    /// Counts what there is, for the next report.
    pub async fn count(&self) {
        if let Ok(Ok(mails)) = timeout(COUNTING, self.home.count()).await {
            self.progress().mails = Some(mails);
        }
    }

    /// All of it, for programs.
    pub fn told(&self) -> Mail {
        let progress = self.progress();
        let left = progress.stuck.iter().map(|stuck| LeftBehind {
            place: stuck.place.clone(),
            why: stuck.why.clone(),
            remedy: stuck.remedy.clone(),
        });
        Mail {
            place: self.told.into(),
            state: match (self.home.is_moving(), self.home.is_open()) {
                (true, _) => "moving",
                (false, true) => "open",
                (false, false) => "closed",
            }
            .into(),
            mails: progress.mails,
            moved: progress.moved,
            waiting: self.waiters.len(),
            left_behind: left.collect(),
        }
    }

    /// The line in the list of parts.
    pub fn part(&self, since: i64) -> Component {
        let told = self.told();
        let mut detail = vec![match told.mails {
            Some(mails) => format!("{mails} {}", told.place),
            None => told.place.clone(),
        }];
        if told.waiting > 0 {
            detail.push(format!("{} wait", told.waiting));
        }
        if told.moved > 0 {
            detail.push(format!("{} moved here", told.moved));
        }
        let link = self.link.as_ref().map(|link| link.state());
        let down = link.filter(|state| state.up().is_none());
        let (state, reason) = match (&down, &*told.state) {
            (Some(state), _) => (State::Degraded, Some(state.trouble().word())),
            (None, "open") => (State::Ready, None),
            (None, _) => (State::Starting, Some("moving")),
        };
        Component {
            name: "mail".into(),
            state,
            since,
            reason: reason.map(Into::into),
            detail: detail.join(", "),
            remedy: down
                .map(|_| "mail is refused until redis is back; clients try again by themselves".into()),
            ..Component::default()
        }
    }

    /// What an operator should know first.
    pub fn warnings(&self) -> Vec<Warning> {
        let left = self.told().left_behind.into_iter();
        left.map(|left| Warning {
            code: "mail_left_behind".into(),
            text: format!("mail is left in {}: {}", left.place, left.why),
            remedy: Some(left.remedy),
        })
        .collect()
    }
}
