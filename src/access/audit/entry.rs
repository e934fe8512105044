//! One line of the audit: who did what from where, and what came of it. Never a secret, never the text itself.

use std::{fmt::Write as _, net::IpAddr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::{Caller, Device, DeviceId, Millis, ProjectId, Scope, SessionId, for_terminal};

/// Longest text of somebody else's making in a line, in characters.
const LONGEST: usize = 120;

/// What was done, or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Something was looked at.
    View,
    /// An agent that waits for input was answered.
    Answer,
    /// Mail was sent, read or replied to.
    Mail,
    /// Text was sent to a working agent.
    Prompt,
    /// An agent was started.
    Spawn,
    /// Somebody showed what should prove a device.
    Authenticate,
    /// A pairing code was made.
    MintCode,
    /// A pairing code was taken back.
    WithdrawCode,
    /// All live pairing codes were given up because of wrong guesses.
    BurnCodes,
    /// A device was paired.
    Pair,
    /// A device was revoked.
    Revoke,
    /// A device's pairing ended with its time.
    Expire,
    /// A device got another name.
    Rename,
    /// A device got other scopes.
    Scopes,
    /// A device turned notifications on, or chose others.
    PushOn,
    /// A device turned notifications off.
    PushOff,
    /// All devices were revoked and the hub locked.
    Lockdown,
    /// The hub was opened again.
    Lift,
    /// The audit itself: lines could not be written for a while.
    Gap,
    /// Something a newer version knows.
    #[serde(other)]
    Other,
}

impl Action {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Answer => "answer",
            Self::Mail => "mail",
            Self::Prompt => "prompt",
            Self::Spawn => "spawn",
            Self::Authenticate => "authenticate",
            Self::MintCode => "mint_code",
            Self::WithdrawCode => "withdraw_code",
            Self::BurnCodes => "burn_codes",
            Self::Pair => "pair",
            Self::Revoke => "revoke",
            Self::Expire => "expire",
            Self::Rename => "rename",
            Self::Scopes => "scopes",
            Self::PushOn => "push_on",
            Self::PushOff => "push_off",
            Self::Lockdown => "lockdown",
            Self::Lift => "lift",
            Self::Gap => "gap",
            Self::Other => "other",
        }
    }
}

/// Where a request came from, as the tunnel's edge tells it. Hints for people; nothing is decided by them but budgets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// `CF-Connecting-IP`, if it is an address.
    pub ip: Option<IpAddr>,
    /// `CF-IPCountry`.
    pub country: Option<String>,
}

/// A text that was sent, without the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextPrint {
    /// SHA-256 in hex digits.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: usize,
}

/// One line. Made with [`Entry::new`] and filled in by what is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, milliseconds since the epoch.
    pub at: Millis,
    /// What was done or tried.
    pub action: Action,
    /// `ok`, or the code of the refusal.
    pub result: String,
    /// `operator` (somebody on this machine), `agent`, `device`, `hub` (by itself) or `stranger`.
    pub by: String,
    /// The device that did it; of changes to a device, the device that was changed is in `of`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// Its name at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// The device it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<DeviceId>,
    /// The scope it needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The session it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The project it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// The request's id in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The client's address as told by the tunnel's edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The client's country as told by the tunnel's edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The text that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextPrint>,
    /// A few words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// So many of the same kind, this line standing for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Entry {
    /// That something was done by nobody we know.
    pub fn new(action: Action, at: Millis) -> Self {
        Self {
            at,
            action,
            result: "ok".into(),
            by: "stranger".into(),
            device: None,
            device_name: None,
            of: None,
            scope: None,
            session: None,
            project: None,
            request: None,
            ip: None,
            country: None,
            text: None,
            note: None,
            times: None,
        }
    }

    /// Who did it.
    pub fn by(self, caller: &Caller) -> Self {
        match caller {
            Caller::Device(device) => self.by_device(device),
            Caller::Agent(session) => Self {
                by: "agent".into(),
                session: Some(session.clone()),
                ..self
            },
            Caller::Local => Self {
                by: "operator".into(),
                ..self
            },
        }
    }

    /// A device did it.
    pub fn by_device(self, device: &Device) -> Self {
        Self {
            by: "device".into(),
            device: Some(device.id.clone()),
            device_name: Some(device.name.clone()),
            ..self
        }
    }

    /// The hub did it by itself.
    pub fn by_itself(self) -> Self {
        Self {
            by: "hub".into(),
            ..self
        }
    }

    /// The device it was done to.
    pub fn of(self, device: &DeviceId) -> Self {
        Self {
            of: Some(device.clone()),
            ..self
        }
    }

    /// The scope it needed.
    pub fn scope(self, scope: Scope) -> Self {
        Self {
            scope: Some(scope),
            ..self
        }
    }

    /// The session it was about.
    pub fn session(self, session: &SessionId) -> Self {
        Self {
            session: Some(session.clone()),
            ..self
        }
    }

    /// The project it was about.
    pub fn project(self, project: &ProjectId) -> Self {
        Self {
            project: Some(project.clone()),
            ..self
        }
    }

    /// The request's id in the log.
    pub fn request(self, id: &str) -> Self {
        Self {
            request: Some(tidy(id)),
            ..self
        }
    }

    /// Where it came from.
    pub fn from(self, origin: &Origin) -> Self {
        Self {
            ip: origin.ip,
            country: origin.country.as_deref().map(tidy),
            ..self
        }
    }

    /// The text that was sent: its hash and length are kept.
    pub fn text(self, text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let mut sha256 = String::with_capacity(64);
        for byte in digest {
            let _infallible = write!(sha256, "{byte:02x}");
        }
        Self {
            text: Some(TextPrint {
                sha256,
                bytes: text.len(),
            }),
            ..self
        }
    }

    /// A few words for people.
    pub fn note(self, words: &str) -> Self {
        Self {
            note: Some(tidy(words)),
            ..self
        }
    }

    /// It was refused, with this code.
    pub fn refused(self, code: &str) -> Self {
        Self {
            result: tidy(code),
            ..self
        }
    }

    /// True if it was done.
    pub fn is_ok(&self) -> bool {
        self.result == "ok"
    }
}

/// A line is read on terminals, and is no novel.
fn tidy(text: &str) -> String {
    for_terminal(text).chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Id;

    #[test]
    fn a_line_has_what_is_known_and_never_the_text() {
        let session = Id::parse("sess_1").unwrap();
        let origin = Origin {
            ip: "192.0.2.7".parse().ok(),
            country: Some("DE".into()),
        };
        let entry = Entry::new(Action::Answer, Millis(5))
            .session(&session)
            .scope(Scope::Answer)
            .from(&origin)
            .request("req-9")
            .text("delete it all");
        let line = serde_json::to_string(&entry).unwrap();
        assert_eq!(
            line,
            r#"{"at":5,"action":"answer","result":"ok","by":"stranger","scope":"answer","session":"sess_1","request":"req-9","ip":"192.0.2.7","country":"DE","text":{"sha256":"3c8d1ccfa686bcb8e9cafdd74538a96c1e1354289c5de74a16d6b2d8161f0786","bytes":13}}"#
        );
        assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
    }

    #[test]
    fn words_of_others_cannot_write_on_the_terminal() {
        let entry = Entry::new(Action::Pair, Millis(0)).note("\u{1b}[2Jhi\n\u{7}there");
        assert_eq!(entry.note.as_deref(), Some("hi there"));
        let long = Entry::new(Action::Pair, Millis(0)).note(&"x".repeat(10_000));
        assert_eq!(long.note.map(|note| note.len()), Some(LONGEST));
    }

    #[test]
    fn a_line_of_a_newer_version_can_be_read() {
        let entry: Entry =
            serde_json::from_str(r#"{"at":1,"action":"levitate","result":"ok","by":"moon","x":1}"#).unwrap();
        assert_eq!(entry.action, Action::Other);
    }
}
