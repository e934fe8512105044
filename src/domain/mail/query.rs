//! What can be asked of an inbox.

use std::time::Duration;

use crate::domain::{Id, MailType, Millis, Problem, ProjectId, Refusal};

use super::form::{Form, Need};
use super::wish::TYPES;

const WHOLE: &str = "Invalid query parameters";

/// The furthest instant a query may name: what the clients' language can count without gaps.
const LAST_INSTANT: i64 = (1 << 53) - 1;

/// What is asked of `GET /api/mail/inbox/:id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxQuery {
    /// Without a project there is no mail (quirk 4).
    pub project: Option<ProjectId>,
    /// Only this kind.
    pub mail_type: Option<MailType>,
    /// Only what was sent after this instant.
    pub since: Millis,
}

/// What is asked of `GET /api/mail/wait/:id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitQuery {
    /// Without a project no mail ever comes (quirk 4).
    pub project: Option<ProjectId>,
    /// How long to wait.
    pub patience: Duration,
    /// What was sent after this instant is an answer already.
    pub since: Millis,
}

/// The id in the path of a mail route. Elsewhere in the contract what is no id names nothing; here it is refused.
pub fn mail_path_id<K>(text: &str) -> Result<Id<K>, Refusal> {
    Id::parse(text).map_err(|error| Refusal::Malformed {
        message: "Invalid URL parameters",
        details: vec![Problem {
            path: "id",
            message: error.to_string(),
        }],
    })
}

impl InboxQuery {
    /// Reads the query string's pairs, all problems at once.
    pub fn read(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Refusal> {
        let mut form = Form::of_query(WHOLE, pairs);
        let query = Self {
            project: form.id("projectId", Need::Optional).into_value(),
            mail_type: form.word("type", Need::Optional, TYPES).into_value(),
            since: since(&mut form),
        };
        form.end(Some(query))
    }
}

impl WaitQuery {
    /// Reads the query string's pairs, all problems at once.
    pub fn read(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Refusal> {
        let mut form = Form::of_query(WHOLE, pairs);
        let project = form.id("projectId", Need::Optional).into_value();
        let patience = form
            .number("timeout", Need::Optional, 1000..=120_000)
            .into_value();
        let query = Self {
            project,
            patience: Duration::from_millis(patience.unwrap_or(30_000).unsigned_abs()),
            since: since(&mut form),
        };
        form.end(Some(query))
    }
}

fn since(form: &mut Form) -> Millis {
    let since = form.number("since", Need::Optional, -LAST_INSTANT..=LAST_INSTANT);
    Millis(since.into_value().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
        query
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn paths<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Vec<&'static str> {
        match result {
            Err(Refusal::Malformed { message, details }) => {
                assert_eq!(message, "Invalid query parameters");
                details.into_iter().map(|problem| problem.path).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_asked_is_a_wait_of_half_a_minute_for_anything() {
        let query = WaitQuery::read([]).unwrap();
        assert_eq!(
            query,
            WaitQuery {
                project: None,
                patience: Duration::from_secs(30),
                since: Millis(0)
            }
        );
    }

    #[test]
    fn a_wait_is_one_second_to_two_minutes() {
        for text in [
            "999", "999.9", "120001", "120000.5", "", "soon", "NaN", "inf", "1e999", "-1",
        ] {
            assert_eq!(
                paths(WaitQuery::read(pairs(&[("timeout", text)]))),
                ["timeout"],
                "{text}"
            );
        }
        for (text, millis) in [
            ("1000", 1000),
            ("120000", 120_000),
            ("1500.7", 1500),
            ("2e3", 2000),
        ] {
            let query = WaitQuery::read(pairs(&[("timeout", text)])).unwrap();
            assert_eq!(query.patience, Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn since_is_any_instant_a_client_can_count() {
        for (text, since) in [
            ("0", 0),
            ("1700000000000", 1_700_000_000_000),
            ("5.9", 5),
            ("-3", -3),
        ] {
            let query = InboxQuery::read(pairs(&[("since", text)])).unwrap();
            assert_eq!(query.since, Millis(since), "{text}");
        }
        assert_eq!(paths(InboxQuery::read(pairs(&[("since", "1e300")]))), ["since"]);
    }

    #[test]
    fn every_problem_of_a_query_is_named_and_unknown_keys_together() {
        let query = pairs(&[
            ("a", "1"),
            ("since", "x"),
            ("type", "gossip"),
            ("projectId", "../etc"),
            ("timeout", "5000"), // a wait's word, unknown to an inbox
        ]);
        assert_eq!(paths(InboxQuery::read(query)), ["projectId", "type", "since", ""]);
    }

    #[test]
    fn a_repeated_key_is_a_list_and_no_value() {
        let query = pairs(&[("projectId", "p"), ("projectId", "p"), ("projectId", "p")]);
        assert_eq!(paths(InboxQuery::read(query.clone())), ["projectId"]);
        assert_eq!(paths(WaitQuery::read(query)), ["projectId"]);
    }
}
