//! What a cloudflared's answers and last words say about it while it runs. Pure.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{ask::Heard, ends};
use crate::supervisor::{Code, Facts, Outcome};

/// So many bytes of its newest output are looked at.
pub(super) const TAIL: u64 = 4 << 10;

/// What is known of a run when it is asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The port of its metrics server.
    pub port: u16,
    /// The connector it said it is, once it did.
    pub connector: Option<String>,
    /// It had a connection to Cloudflare before.
    pub was_connected: bool,
    /// It writes more than anybody could read.
    pub floods: bool,
    /// Why the public address does not lead to us, if that was found.
    pub astray: Option<Code>,
}

/// The answer of `/ready`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    #[serde(default)]
    ready_connections: u32,
    #[serde(default)]
    connector_id: Option<String>,
}

/// The verdict on the answer of `/ready`, given the newest output.
pub(super) fn judge(heard: &Heard, words: &str, known: &Known) -> (Outcome, Facts) {
    let none = |outcome| (outcome, Facts::new());
    if known.floods {
        return none(Outcome::Hung {
            code: "flooding".into(),
        });
    }
    let (status, body) = match heard {
        Heard::Nobody => return none(Outcome::miss("not_listening")),
        Heard::Silence => return none(Outcome::Hung { code: "hung".into() }),
        Heard::Noise => return none(Outcome::miss("unexpected_answer")),
        Heard::Answer { status, body } => (*status, body),
    };
    let Some((ready, connector)) = parsed(body) else {
        return none(Outcome::Foreign(ends::foreign_metrics(known.port)));
    };
    if known.connector.as_ref().is_some_and(|ours| *ours != connector) {
        return none(Outcome::Foreign(ends::foreign_metrics(known.port)));
    }
    let facts = [
        ("connector", connector),
        ("connections", ready.ready_connections.to_string()),
        ("metrics", format!("127.0.0.1:{}", known.port)),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let outcome = match (status, ready.ready_connections) {
        (200, 1..) => match &known.astray {
            Some(code) => Outcome::Impaired { code: code.clone() },
            None => Outcome::Ok,
        },
        _ if is_unauthorized(words) => Outcome::Impaired {
            code: "unauthorized".into(),
        },
        _ if known.was_connected => Outcome::miss("edge_lost"),
        _ => Outcome::miss("not_connected"),
    };
    (outcome, facts.into_iter().collect())
}

fn parsed(body: &[u8]) -> Option<(Ready, String)> {
    let mut ready: Ready = named(body)?;
    let connector = ready.connector_id.take().filter(|id| is_id(id))?;
    Some((ready, connector))
}

/// What is written by its names. A list would pass for its fields in the order in which they happen to be declared.
fn named<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let object: Map<String, Value> = serde_json::from_slice(body).ok()?;
    serde_json::from_value(object.into()).ok()
}

/// Connectors are named by a UUID. It is shown to people: whatever is no id comes from another program.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Is the newest word on registration that Cloudflare does not know this tunnel or its secret? It goes on trying by itself,
/// and succeeds when the cause is gone.
fn is_unauthorized(words: &str) -> bool {
    let said = |line: &&str| {
        line.contains("Registered tunnel connection")
            || line.contains("Register tunnel error from server side")
    };
    words
        .lines()
        .rfind(said)
        .is_some_and(|line| line.contains("Unauthorized"))
}

/// The version it tells in the first lines of a run.
pub(super) fn version(words: &str) -> Option<String> {
    let (_, rest) = words.split_once("Version ")?;
    let version: String = rest
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || ".-+".contains(*c))
        .take(40)
        .collect();
    (!version.is_empty()).then_some(version)
}

/// The host of a quick tunnel, from `/quicktunnel`: a name below Cloudflare's, without a scheme.
pub(super) fn quick_host(heard: &Heard) -> Option<String> {
    #[derive(Deserialize)]
    struct Quick {
        hostname: String,
    }
    let Heard::Answer { status: 200, body } = heard else {
        return None;
    };
    let Quick { hostname } = named(body)?;
    is_name(&hostname).then(|| hostname.to_ascii_lowercase())
}

/// A name of DNS with a dot in it, and no address.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit_once('.').map(|(_, last)| last);
    host.len() <= 253
        && host.split('.').all(is_label)
        && last.is_some_and(|last| last.bytes().any(|b| b.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: &str = "Unauthorized: Invalid tunnel secret";

    fn answer(status: u16, connections: u32) -> Heard {
        let body = format!(r#"{{"status":{status},"readyConnections":{connections},"connectorId":"c1"}}"#);
        Heard::Answer {
            status,
            body: body.into(),
        }
    }

    fn known() -> Known {
        Known {
            port: 7,
            ..Known::default()
        }
    }

    fn verdict(heard: &Heard) -> Outcome {
        judge(heard, "", &known()).0
    }

    #[test]
    fn only_a_connection_to_cloudflare_makes_it_ready() {
        assert_eq!(verdict(&answer(200, 1)), Outcome::Ok);
        assert_eq!(verdict(&answer(200, 0)), Outcome::miss("not_connected"));
        assert_eq!(verdict(&answer(503, 0)), Outcome::miss("not_connected"));
        assert_eq!(verdict(&Heard::Nobody), Outcome::miss("not_listening"));
        let facts = judge(&answer(200, 4), "", &known()).1;
        assert_eq!(facts["connections"], "4");
        assert_eq!(facts["connector"], "c1");
    }

    #[test]
    fn lost_is_told_apart_from_never_connected_and_from_hung() {
        let before = Known {
            was_connected: true,
            ..known()
        };
        assert_eq!(judge(&answer(503, 0), "", &before).0, Outcome::miss("edge_lost"));
        assert_eq!(verdict(&Heard::Silence), Outcome::Hung { code: "hung".into() });
    }

    #[test]
    fn a_flood_is_seen_whatever_it_answers() {
        let flooding = Known {
            floods: true,
            ..known()
        };
        assert_eq!(
            judge(&answer(503, 0), "", &flooding).0,
            Outcome::Hung {
                code: "flooding".into()
            }
        );
    }

    #[test]
    fn unauthorized_is_the_newest_word_on_registration_and_ends_with_a_registration() {
        let refused = format!(
            r#"{{"level":"error","error":"{LOST}","message":"Register tunnel error from server side"}}"#
        );
        let retry = r#"{"level":"info","message":"Retrying connection in up to 4s"}"#;
        let words = format!("{refused}\n{retry}\n");
        let seen = judge(&answer(503, 0), &words, &known()).0;
        assert_eq!(
            seen,
            Outcome::Impaired {
                code: "unauthorized".into()
            }
        );
        let cured = format!("{words}{{\"message\":\"Registered tunnel connection\"}}\n{retry}\n");
        assert_eq!(
            judge(&answer(503, 0), &cured, &known()).0,
            Outcome::miss("not_connected")
        );
        assert_eq!(judge(&answer(200, 1), &words, &known()).0, Outcome::Ok);
    }

    #[test]
    fn a_connector_that_changes_and_an_answer_of_another_program_are_foreign() {
        let ours = |connector: &str| Known {
            connector: Some(connector.into()),
            ..known()
        };
        assert_eq!(judge(&answer(200, 1), "", &ours("c1")).0, Outcome::Ok);
        assert!(matches!(
            judge(&answer(200, 1), "", &ours("c2")).0,
            Outcome::Foreign(_)
        ));
        let other = Heard::Answer {
            status: 200,
            body: "OK\n".into(),
        };
        assert!(matches!(verdict(&other), Outcome::Foreign(_)));
    }

    #[test]
    fn a_list_is_no_answer_and_what_is_no_id_is_no_connector() {
        for body in [
            r#"[1,"c1"]"#,
            r#"{"readyConnections":1}"#,
            r#"{"readyConnections":1,"connectorId":""}"#,
            r#"{"readyConnections":1,"connectorId":"\u001b[2J"}"#,
            r#"{"readyConnections":1,"connectorId":"a\nb"}"#,
        ] {
            let heard = Heard::Answer {
                status: 200,
                body: body.into(),
            };
            assert!(matches!(verdict(&heard), Outcome::Foreign(_)), "{body}");
        }
    }

    #[test]
    fn an_address_that_leads_elsewhere_degrades_and_is_not_cured_by_a_restart() {
        let astray = Known {
            astray: Some("wrong_answer".into()),
            ..known()
        };
        assert_eq!(
            judge(&answer(200, 1), "", &astray).0,
            Outcome::Impaired {
                code: "wrong_answer".into()
            }
        );
    }

    #[test]
    fn a_quick_host_is_a_plain_name() {
        let told = |text: &str| {
            quick_host(&Heard::Answer {
                status: 200,
                body: text.to_owned().into(),
            })
        };
        assert_eq!(
            told(r#"{"hostname":"Big-red.trycloudflare.com"}"#).as_deref(),
            Some("big-red.trycloudflare.com")
        );
        for text in [
            r#"{"hostname":""}"#,
            r#"{"hostname":"a b.c"}"#,
            r#"{"hostname":"x/y.z"}"#,
            r#"{"hostname":"a..b"}"#,
            r#"{"hostname":".com"}"#,
            r#"{"hostname":"-a.com"}"#,
            r#"{"hostname":"127.0.0.1"}"#,
            r#"{"hostname":"a.com:80"}"#,
            r#"["a.com"]"#,
            "{}",
            "",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn the_version_is_found_in_both_forms_of_the_log() {
        assert_eq!(
            version(r#"{"level":"info","message":"Version 2026.8.2 (Checksum ab)"}"#).as_deref(),
            Some("2026.8.2")
        );
        assert_eq!(version("INF Version 2026.8.2\n").as_deref(), Some("2026.8.2"));
        assert_eq!(version("nothing"), None);
    }
}
