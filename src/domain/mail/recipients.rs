//! Who gets a mail.

use std::sync::Arc;

use crate::domain::{Maybe, ProjectId, Refusal, Rendered, SessionHead, SessionId};

use super::wish::{MailScope, NewMail};

/// Who gets the mail, in the order of `sessions`; `None` is everybody in the project. Never empty.
///
/// `sessions` are those of the mail's project, in order of creation; `sender_parent` is who spawned the sender, if
/// known: it counts for the scope `team` only. The first rule of API.md section 10 that applies; two of its quirks are kept, because changing them changes
/// who receives mail: a scope counts only where `toSessionId` is absent, and one that nobody fits means everybody.
pub fn recipients(
    wish: &NewMail,
    sender_parent: Option<&str>,
    sessions: &[Arc<Rendered<SessionHead>>],
) -> Result<Vec<Option<SessionId>>, Refusal> {
    let those = |fits: &dyn Fn(&SessionHead) -> bool| active(wish, sessions, fits);
    if let (Some(member), None) = (&wish.to_member, wish.to.value()) {
        let found = those(&|head| {
            head.team_member_id
                .value()
                .is_some_and(|id| id == member.as_str())
        });
        return match found.is_empty() {
            false => Ok(found),
            true => Err(Refusal::Unknown {
                kind: "Active session for team member",
                id: member.to_string(),
            }),
        };
    }
    if wish.is_from_a_person() {
        return of_a_person(wish, sessions);
    }
    let sender = &wish.letter.from_session_id;
    let scoped = match (&wish.to, wish.scope) {
        (Maybe::Absent, Some(MailScope::MyWorkers)) => {
            those(&|head| head.parent_session_id.as_deref() == Some(sender.as_str()))
        }
        (Maybe::Absent, Some(MailScope::Team)) if sender_parent.is_some() => {
            those(&|head| head.parent_session_id.as_deref() == sender_parent && head.id != *sender)
        }
        _ => Vec::new(),
    };
    Ok(match scoped.is_empty() {
        false => scoped,
        true => vec![wish.to.value().cloned()],
    })
}

/// A person has seen whom the mail is for before sending it, so nothing falls back to everybody here. People have no
/// session that could be a parent: their workers are those that no session spawned, and a team is named by the session
/// that leads it.
fn of_a_person(
    wish: &NewMail,
    sessions: &[Arc<Rendered<SessionHead>>],
) -> Result<Vec<Option<SessionId>>, Refusal> {
    let (found, whose) = match (wish.scope, wish.to.value()) {
        (None | Some(MailScope::All), to) => return Ok(vec![to.cloned()]),
        (Some(MailScope::MyWorkers), Some(_)) => {
            return Err(Refusal::invalid(
                "scope \"my-workers\" is for no session in particular: leave toSessionId out",
            ));
        }
        (Some(MailScope::MyWorkers), None) => {
            let mine = |head: &SessionHead| head.parent_session_id.as_deref().is_none_or(str::is_empty);
            (
                active(wish, sessions, &mine),
                "was started by a person".to_owned(),
            )
        }
        (Some(MailScope::Team), None) => {
            return Err(Refusal::invalid(
                "scope \"team\" needs toSessionId: the session that leads the team",
            ));
        }
        (Some(MailScope::Team), Some(lead)) => {
            let theirs = |head: &SessionHead| {
                head.id == *lead || head.parent_session_id.as_deref() == Some(lead.as_str())
            };
            (
                active(wish, sessions, &theirs),
                format!("is in the team of '{lead}'"),
            )
        }
    };
    match found.is_empty() {
        false => Ok(found),
        true => Err(Refusal::Rule(format!(
            "No active session {whose}: nobody would get this mail"
        ))),
    }
}

/// How many agents get what is sent to `to` now: everybody is who is active in the project.
pub fn head_count(
    wish: &NewMail,
    to: &[Option<SessionId>],
    sessions: &[Arc<Rendered<SessionHead>>],
) -> usize {
    let each = to.iter().map(|to| match to {
        Some(_) => 1,
        None => active(wish, sessions, &|_| true).len(),
    });
    each.sum()
}

/// Those that are at work in the mail's project and fit.
fn active(
    wish: &NewMail,
    sessions: &[Arc<Rendered<SessionHead>>],
    fits: &dyn Fn(&SessionHead) -> bool,
) -> Vec<Option<SessionId>> {
    let heads = sessions.iter().map(|head| &***head);
    heads
        .filter(|head: &&SessionHead| is_active(head, &wish.letter.project_id) && fits(head))
        .map(|head| Some(head.id.clone()))
        .collect()
}

/// Works on it, or is about to: it will look into its inbox.
fn is_active(head: &SessionHead, project: &ProjectId) -> bool {
    head.project_id == *project && matches!(head.status.as_str(), "working" | "idle" | "spawning")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Caller, samples};
    use serde_json::{Value, json};

    fn wish(extra: Value) -> NewMail {
        let mut body = json!({"projectId": "p", "fromSessionId": "lead", "type": "query", "subject": "s"});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        NewMail::read(Some(body)).unwrap()
    }

    /// A project at work: `lead` has three workers, of which one is done; `w1` has a worker of its own.
    fn sessions() -> Vec<Arc<Rendered<SessionHead>>> {
        [
            ("lead", "p", "working", Value::Null, Value::Null),
            ("w1", "p", "idle", json!("lead"), json!("tm")),
            ("w2", "p", "spawning", json!("lead"), json!("tm")),
            ("w3", "p", "completed", json!("lead"), json!("tm")),
            ("w11", "p", "working", json!("w1"), json!("other")),
            ("far", "q", "working", json!("lead"), json!("tm")),
        ]
        .map(|(id, project, status, parent, member)| {
            let mut head = json!({
                "id": id, "projectId": project, "status": status, "name": id, "parentSessionId": parent,
                "startedAt": 0, "lastActivity": 0, "hostname": "h", "platform": "linux",
            });
            if !member.is_null() {
                head["teamMemberId"] = member;
            }
            serde_json::from_value(head).unwrap()
        })
        .into()
    }

    /// `*` is everybody.
    #[track_caller]
    fn assert_goes_to(extra: Value, parent: Option<&str>, expected: &[&str]) {
        let got = recipients(&wish(extra), parent, &sessions()).unwrap();
        let got: Vec<&str> = got
            .iter()
            .map(|to| to.as_ref().map_or("*", SessionId::as_str))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn a_named_session_gets_the_mail_whether_it_exists_or_not() {
        assert_goes_to(json!({"toSessionId": "nobody"}), None, &["nobody"]);
        assert_goes_to(json!({"toSessionId": "w3"}), None, &["w3"]);
        assert_goes_to(
            json!({"toSessionId": "w1", "toTeamMemberId": "tm"}),
            None,
            &["w1"],
        );
        assert_goes_to(json!({"toSessionId": "w1", "scope": "my-workers"}), None, &["w1"]);
    }

    #[test]
    fn a_team_member_stands_for_all_its_active_sessions_in_the_project() {
        assert_goes_to(json!({"toTeamMemberId": "tm"}), None, &["w1", "w2"]);
        assert_goes_to(
            json!({"toTeamMemberId": "tm", "toSessionId": null}),
            None,
            &["w1", "w2"],
        );
        assert_goes_to(
            json!({"toTeamMemberId": "other", "scope": "team"}),
            Some("lead"),
            &["w11"],
        );
    }

    #[test]
    fn a_team_member_without_an_active_session_cannot_be_written_to() {
        let refusal = recipients(&wish(json!({"toTeamMemberId": "gone"})), None, &sessions()).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "Active session for team member with id 'gone' not found"
        );
    }

    #[test]
    fn my_workers_are_the_active_sessions_the_sender_spawned() {
        assert_goes_to(json!({"scope": "my-workers"}), None, &["w1", "w2"]);
    }

    #[test]
    fn a_team_is_who_was_spawned_by_the_same_session_without_the_sender() {
        assert_goes_to(
            json!({"scope": "team", "fromSessionId": "w1"}),
            Some("lead"),
            &["w2"],
        );
    }

    #[test]
    fn a_scope_that_nobody_fits_means_everybody() {
        assert_goes_to(
            json!({"scope": "my-workers", "fromSessionId": "w2"}),
            None,
            &["*"],
        );
        assert_goes_to(json!({"scope": "team"}), None, &["*"]);
        assert_goes_to(
            json!({"scope": "team", "fromSessionId": "w11"}),
            Some("w1"),
            &["*"],
        );
    }

    #[test]
    fn a_scope_counts_only_where_no_session_is_named_not_even_null() {
        assert_goes_to(json!({"scope": "my-workers", "toSessionId": null}), None, &["*"]);
        assert_goes_to(json!({"scope": "all"}), None, &["*"]);
        assert_goes_to(json!({}), None, &["*"]);
    }

    #[track_caller]
    fn assert_a_person_reaches(extra: Value, expected: &[&str], agents: usize) {
        let phone = Caller::Device(samples::device("dev_1"));
        let wish = wish(extra).signed(&phone).unwrap();
        let to = recipients(&wish, None, &sessions()).unwrap();
        let names: Vec<&str> = to
            .iter()
            .map(|to| to.as_ref().map_or("*", SessionId::as_str))
            .collect();
        assert_eq!(names, expected);
        assert_eq!(head_count(&wish, &to, &sessions()), agents);
    }

    #[test]
    fn a_person_writes_to_one_to_a_team_to_those_people_started_or_to_everybody() {
        assert_a_person_reaches(json!({"toSessionId": "w1"}), &["w1"], 1);
        assert_a_person_reaches(json!({"scope": "my-workers"}), &["lead"], 1);
        assert_a_person_reaches(
            json!({"scope": "team", "toSessionId": "lead"}),
            &["lead", "w1", "w2"],
            3,
        );
        assert_a_person_reaches(json!({"scope": "team", "toSessionId": "w1"}), &["w1", "w11"], 2);
        assert_a_person_reaches(json!({"toTeamMemberId": "tm"}), &["w1", "w2"], 2);
        assert_a_person_reaches(json!({"toSessionId": null}), &["*"], 4);
        assert_a_person_reaches(json!({"scope": "all"}), &["*"], 4);
        assert_a_person_reaches(json!({}), &["*"], 4);
    }

    #[test]
    fn what_a_person_means_for_some_never_goes_to_all() {
        let phone = Caller::Device(samples::device("dev_1"));
        for (extra, expected) in [
            (json!({"scope": "team"}), "needs toSessionId"),
            (
                json!({"scope": "team", "toSessionId": "w3"}),
                "is in the team of 'w3'",
            ),
            (
                json!({"scope": "my-workers", "toSessionId": "w1"}),
                "leave toSessionId out",
            ),
            (
                json!({"scope": "my-workers", "projectId": "q"}),
                "was started by a person",
            ),
        ] {
            let wish = wish(extra).signed(&phone).unwrap();
            let refusal = recipients(&wish, None, &sessions()).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
