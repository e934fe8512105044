//! One device's subscription: what the browser gave us, what the person chose, and how it went.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::domain::{Millis, SessionId};

use super::{
    choice::{Kinds, Privacy},
    content::{Keys, POINT},
    question::Told,
};

/// Questions that are remembered as told, for one device.
const REMEMBERED: usize = 256;

/// What a page asks for: the browser's subscription as it is, and the choices.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    pub(super) subscription: Address,
    /// How much a notification says.
    #[serde(default)]
    pub(super) privacy: Privacy,
    /// Which kinds of news.
    #[serde(default)]
    pub(super) kinds: Kinds,
}

/// Where a browser takes pushes, and what for. Browsers say more than that; the rest is not needed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub endpoint: String,
    pub keys: TextKeys,
}

/// The browser's keys as it writes them: base64url.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextKeys {
    pub p256dh: String,
    pub auth: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

impl TextKeys {
    /// The keys, if they are of the right size; `None` if not.
    pub fn read(&self) -> Option<Keys> {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        let point: [u8; POINT] = decode(&self.p256dh)?.try_into().ok()?;
        // An uncompressed point; whether it lies on the curve shows when it is used.
        (point[0] == 4).then_some(())?;
        Some(Keys {
            point,
            secret: decode(&self.auth)?.try_into().ok()?,
        })
    }
}

/// What came of the newest push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// When.
    pub at: Millis,
    /// `accepted`, `retrying`, `refused`, `unreachable`, `gone`, `expired`.
    pub outcome: String,
    /// For people, if there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Nothing is pushed any more, until the page subscribes anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Since when.
    pub since: Millis,
    /// For people.
    pub reason: String,
}

/// All that is kept of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Gone once the service has said that it is.
    pub to: Option<Address>,
    /// The service, for people.
    pub service: String,
    /// Where its operator can reach us.
    pub contact: String,
    pub privacy: Privacy,
    pub kinds: Kinds,
    pub since: Millis,
    #[serde(default)]
    pub last: Option<Last>,
    #[serde(default)]
    pub stopped: Option<Stopped>,
    /// The questions it was told of.
    #[serde(default)]
    pub told: BTreeMap<SessionId, Told>,
}

/// What may be shown of it: not where it goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// The push service.
    pub service: String,
    /// How much a notification says.
    pub privacy: Privacy,
    /// Which kinds of news.
    pub kinds: Kinds,
    /// Since when.
    pub since: Millis,
    /// How the newest push went.
    pub last: Option<Last>,
    /// Since when and why there are none any more, if there are none.
    pub stopped: Option<Stopped>,
}

impl Record {
    /// What may be shown.
    pub fn shown(&self) -> Shown {
        Shown {
            service: self.service.clone(),
            privacy: self.privacy,
            kinds: self.kinds,
            since: self.since,
            last: self.last.clone(),
            stopped: self.stopped.clone(),
        }
    }

    /// It was told of a question; the oldest such words are forgotten when there are too many.
    pub fn note(&mut self, session: SessionId, told: Told) {
        self.told.insert(session, told);
        while self.told.len() > REMEMBERED {
            let oldest = self.told.iter().min_by_key(|(_, told)| told.at);
            let Some(oldest) = oldest.map(|(session, _)| session.clone()) else {
                return;
            };
            self.told.remove(&oldest);
        }
    }

    /// The service says that nobody is there any more: it is not asked again.
    pub fn stop(&mut self, since: Millis, reason: &str) {
        self.to = None;
        self.told.clear();
        self.stopped = Some(Stopped {
            since,
            reason: reason.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(p256dh: usize, auth: usize) -> TextKeys {
        let text = |size: usize| {
            let mut bytes = vec![0; size];
            if let Some(first) = bytes.first_mut() {
                *first = 4;
            }
            URL_SAFE_NO_PAD.encode(bytes)
        };
        TextKeys {
            p256dh: text(p256dh),
            auth: text(auth),
        }
    }

    #[test]
    fn keys_have_their_sizes() {
        assert!(keys(65, 16).read().is_some());
        for (p256dh, auth) in [(64, 16), (66, 16), (33, 16), (65, 15), (65, 17), (0, 0)] {
            assert!(keys(p256dh, auth).read().is_none(), "{p256dh} {auth}");
        }
        let strange = TextKeys {
            p256dh: "no base64!".into(),
            ..keys(65, 16)
        };
        assert!(strange.read().is_none());
    }

    #[test]
    fn a_wish_is_what_browsers_say_with_choices_and_nothing_else() {
        let subscription = serde_json::json!({
            "endpoint": "https://a/b", "expirationTime": null, "keys": {"p256dh": "a", "auth": "b"},
        });
        let wish = |json: serde_json::Value| serde_json::from_value::<Wish>(json);
        let plain = wish(serde_json::json!({"subscription": subscription.clone()})).unwrap();
        assert_eq!((plain.privacy, plain.kinds), (Privacy::Names, Kinds::default()));
        let chosen = serde_json::json!({
            "subscription": subscription, "privacy": "nothing", "kinds": {"finished": false},
        });
        let chosen = wish(chosen).unwrap();
        assert!(chosen.privacy == Privacy::Nothing && !chosen.kinds.finished && chosen.kinds.mail);
        for wrong in ["{}", r#"{"subscription": {"endpoint": "x"}}"#] {
            assert!(serde_json::from_str::<Wish>(wrong).is_err(), "{wrong}");
        }
    }
}
