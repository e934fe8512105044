//! What is sent to a phone: ids and labels, never a sentence (its worker writes that), for how long it is worth
//! delivering, and how urgently. Pure.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::time::Duration;

use crate::domain::{Millis, for_terminal};

use super::{choice::Privacy, content::INSIDE, news::News};

/// Longest name, in characters.
const NAME: usize = 80;
/// Longest text, in characters.
const TEXT: usize = 300;

/// What the page's worker gets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Payload {
    v: u8,
    kind: &'static str,
    tag: String,
    at: Millis,
    /// Questions that are open: the number on the icon.
    badge: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Millis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Names of things, for those who may see them.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// The project's.
    pub project: Option<String>,
    /// The sender's, if it is an agent that is known.
    pub sender: Option<String>,
}

impl Payload {
    /// What a device is told.
    pub fn new(news: &News, labels: &Labels, privacy: Privacy, badge: usize, at: Millis) -> Self {
        let mut payload = Self {
            v: 1,
            kind: kind(news),
            tag: news.tag(),
            at,
            badge,
            project: news.project().map(ToString::to_string),
            session: None,
            request: None,
            mail: None,
            thread: None,
            from: None,
            until: None,
            waiting: None,
            failed: None,
            others: None,
            agent: None,
            project_name: labels.project.as_deref().map(name),
            by: None,
            device: None,
            text: None,
        };
        match news {
            News::Asks {
                about,
                request,
                message,
            } => {
                payload.session = Some(about.session.to_string());
                payload.request = Some(request.to_string());
                payload.agent = Some(name(&about.name));
                payload.text = message.as_deref().map(text);
            }
            News::Over { about, request, by } => {
                payload.session = Some(about.session.to_string());
                payload.request = Some(request.to_string());
                payload.agent = Some(name(&about.name));
                payload.by = by.as_deref().map(name);
            }
            News::Failed { about, why } => {
                payload.session = Some(about.session.to_string());
                payload.agent = Some(name(&about.name));
                payload.text = why.as_deref().map(text);
            }
            News::Finished { about } => {
                payload.session = Some(about.session.to_string());
                payload.agent = Some(name(&about.name));
            }
            News::Mail {
                mail,
                thread,
                from,
                subject,
                ..
            } => {
                payload.mail = Some(mail.to_string());
                payload.thread = Some(thread.to_string());
                payload.agent = Some(name(labels.sender.as_deref().unwrap_or(from)));
                payload.text = Some(text(subject));
            }
            News::Paired { name: device, .. } => payload.device = Some(name(device)),
            News::Woke {
                from,
                until,
                waiting,
                failed,
                others,
            } => {
                (payload.from, payload.until) = (Some(*from), Some(*until));
                (payload.waiting, payload.failed) = (Some(*waiting), Some(*failed));
                payload.others = Some(*others);
            }
            News::Test => {}
        }
        if privacy != Privacy::Preview {
            payload.text = None;
        }
        if privacy == Privacy::Nothing {
            payload.agent = None;
            payload.project_name = None;
            payload.by = None;
            payload.device = None;
        }
        payload
    }

    /// As it is encrypted: what is too long loses its text.
    pub fn bytes(mut self) -> Result<Vec<u8>, serde_json::Error> {
        loop {
            let bytes = serde_json::to_vec(&self)?;
            if bytes.len() <= INSIDE {
                return Ok(bytes);
            }
            let halved = self.text.take().map(|text| {
                let half = text.chars().count() / 2;
                text.chars().take(half).collect::<String>()
            });
            self.text = halved.filter(|text| !text.is_empty());
            if self.text.is_none() {
                // Ids and names are bounded: this fits.
                (self.agent, self.project_name, self.by, self.device) = (None, None, None, None);
                return serde_json::to_vec(&self);
            }
        }
    }
}

fn kind(news: &News) -> &'static str {
    match news {
        News::Asks { .. } => "needsInput",
        News::Over { .. } => "answered",
        News::Failed { .. } => "failed",
        News::Finished { .. } => "finished",
        News::Mail { .. } => "mail",
        News::Paired { .. } => "paired",
        News::Woke { .. } => "woke",
        News::Test => "test",
    }
}

fn name(text: &str) -> String {
    one_line(text, NAME)
}

fn text(text: &str) -> String {
    one_line(text, TEXT)
}

/// On one line, without what writes on terminals or turns text around, and not too long.
fn one_line(text: &str, most: usize) -> String {
    let clean = for_terminal(text);
    let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// How long it is worth delivering.
pub fn good_for(news: &News) -> Duration {
    Duration::from_secs(match news {
        News::Test => 60,
        News::Finished { .. } => 600,
        News::Asks { .. } | News::Over { .. } | News::Woke { .. } => 3600,
        News::Failed { .. } | News::Mail { .. } | News::Paired { .. } => 24 * 3600,
    })
}

/// How urgently: a phone that saves its battery is woken for a question, and for nothing else.
pub fn urgency(news: &News) -> &'static str {
    match news {
        News::Asks { .. } | News::Test => "high",
        _ => "normal",
    }
}

/// Under which name the service replaces what it has not delivered yet. It says nothing to the service, and differs from
/// device to device.
pub fn topic(tag: &str, secret: &[u8]) -> String {
    let print = Sha256::new().chain_update(secret).chain_update(tag).finalize();
    URL_SAFE_NO_PAD.encode(&print[..24])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::domain::Id;

    use super::{super::news::About, *};

    fn asks(name: &str, message: &str) -> News {
        News::Asks {
            about: About {
                session: Id::parse("sess_1").unwrap(),
                project: Id::parse("p1").unwrap(),
                name: name.into(),
            },
            request: Id::parse("req_1").unwrap(),
            message: Some(message.into()),
        }
    }

    fn told(privacy: Privacy) -> Value {
        let labels = Labels {
            project: Some("Demo".into()),
            sender: None,
        };
        let news = asks("Ada", "Which\n\u{1b}[31mport?");
        let bytes = Payload::new(&news, &labels, privacy, 2, Millis(5)).bytes();
        serde_json::from_slice(&bytes.unwrap()).unwrap()
    }

    #[test]
    fn a_locked_screen_says_as_much_as_was_chosen() {
        let nothing = json!({
            "v": 1, "kind": "needsInput", "tag": "session:sess_1", "at": 5, "badge": 2, "project": "p1",
            "session": "sess_1", "request": "req_1",
        });
        assert_eq!(told(Privacy::Nothing), nothing);
        let mut names = nothing;
        names["agent"] = "Ada".into();
        names["projectName"] = "Demo".into();
        assert_eq!(told(Privacy::Names), names);
        names["text"] = "Which port?".into();
        assert_eq!(told(Privacy::Preview), names);
    }

    #[test]
    fn whatever_agents_say_it_fits() {
        for text in ["😀", "\\", "\u{7f}", "a b", "\"", "\u{1}"] {
            let long = text.repeat(10_000);
            let news = asks(&long, &long);
            let labels = Labels {
                project: Some(long.clone()),
                sender: Some(long.clone()),
            };
            let bytes = Payload::new(&news, &labels, Privacy::Preview, 1, Millis(i64::MAX))
                .bytes()
                .unwrap();
            assert!(bytes.len() <= INSIDE, "{} bytes of {text:?}", bytes.len());
            serde_json::from_slice::<Value>(&bytes).unwrap();
        }
    }

    #[test]
    fn a_topic_is_short_and_says_nothing() {
        let topic_of = |secret: &[u8]| topic("session:sess_1", secret);
        assert_eq!(topic_of(b"a").len(), 32);
        assert_eq!(topic_of(b"a"), topic_of(b"a"));
        assert_ne!(topic_of(b"a"), topic_of(b"b"));
    }
}
