//! Who sent a mail or a prompt, as far as it is proved. Set by the hub from the credential; nobody says it of himself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::{
    Caller, Device, DeviceId, Refusal, SessionId, Speaker, Speaks, for_reading, for_terminal,
};

use super::{
    form::Problem,
    wish::{NewMail, WHOLE},
};

/// Who sent it. Its absence means that nothing was proved: the sender is who the text says it is, unverified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sender {
    /// What it is.
    pub kind: SenderKind,
    /// True if a credential proved it. The hub says it of nobody else.
    pub verified: bool,
    /// The device in a person's hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<SenderDevice>,
}

/// What can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SenderKind {
    /// The agent of the session that is named as the sender.
    Agent,
    /// A person.
    Human,
}

/// The device a person used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SenderDevice {
    /// Which one.
    pub id: DeviceId,
    /// What it was called at the time.
    pub name: String,
}

impl Sender {
    /// The agent of the session that is named as the sender.
    pub fn agent() -> Self {
        Self {
            kind: SenderKind::Agent,
            verified: true,
            device: None,
        }
    }

    /// A person with this device.
    pub fn human(device: &Device) -> Self {
        Self::with(device.id.clone(), &device.name)
    }

    /// A person with the device of this id and name.
    pub fn with(id: DeviceId, name: &str) -> Self {
        let name = for_terminal(name);
        Self {
            kind: SenderKind::Human,
            verified: true,
            device: Some(SenderDevice { id, name }),
        }
    }
}

impl NewMail {
    /// The mail as `caller` may send it: its sender is who has proved to be it, and what comes from outside commands no
    /// terminal.
    pub fn signed(mut self, caller: &Caller) -> Result<Self, Refusal> {
        let said = self.letter.from_session_id.as_str();
        (self.letter.from_session_id, self.letter.sender) = match caller.speaks(Speaks::Mail, Some(said))? {
            Speaker::AsSaid | Speaker::Nobody => return Ok(self),
            Speaker::Session(session) => (session, Some(Sender::agent())),
            Speaker::Human => (
                SessionId::human(),
                caller.device().map(|device| Sender::human(device)),
            ),
        };
        if caller.device().is_some() {
            self.letter.subject = for_terminal(&self.letter.subject);
            self.letter.body = readable(std::mem::take(&mut self.letter.body));
            if self.letter.subject.is_empty() {
                return Err(Refusal::Malformed {
                    message: WHOLE,
                    details: vec![Problem {
                        path: "subject",
                        message: "has nothing that can be read".into(),
                    }],
                });
            }
        }
        Ok(self)
    }
}

/// The same fields with texts that can be read safely.
fn readable(fields: Map<String, Value>) -> Map<String, Value> {
    fn value(content: Value) -> Value {
        match content {
            Value::String(text) => for_reading(&text).into(),
            Value::Array(list) => list.into_iter().map(value).collect(),
            Value::Object(fields) => readable(fields).into(),
            other => other,
        }
    }
    fields
        .into_iter()
        .map(|(name, content)| (for_terminal(&name), value(content)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::domain::{Letter, Mail, MailId, Millis, samples};

    use super::*;

    fn with(changes: Value) -> Value {
        let mut body = json!({"projectId": "p", "fromSessionId": "s", "type": "query", "subject": "x"});
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    fn phone() -> Caller {
        Caller::Device(samples::device("dev_1"))
    }

    #[test]
    fn a_mail_is_from_whoever_proved_to_send_it_and_says_so() {
        let agent = |id: &str| Caller::Agent(SessionId::parse(id).unwrap());
        let wish = NewMail::read_from(&Caller::Local, Some(with(json!({})))).unwrap();
        assert_eq!(
            wish.clone().signed(&Caller::Local),
            Ok(wish.clone()),
            "unverified"
        );
        let proved = wish.clone().signed(&agent("s")).unwrap().letter;
        assert_eq!(json!(proved.sender), json!({"kind": "agent", "verified": true}));
        assert!(matches!(wish.signed(&agent("other")), Err(Refusal::Forbidden(_))));
    }

    #[test]
    fn a_device_writes_as_a_person_whatever_it_says() {
        for from in [json!("s"), json!(7), json!(null)] {
            let body = with(json!({"fromSessionId": from}));
            let letter = NewMail::read_from(&phone(), Some(body))
                .unwrap()
                .signed(&phone())
                .unwrap()
                .letter;
            assert_eq!(letter.from_session_id.as_str(), "human");
            assert_eq!(
                json!(letter.sender),
                json!({"kind": "human", "verified": true, "device": {"id": "dev_1", "name": "dev_1"}})
            );
        }
    }

    #[test]
    fn nobody_says_himself_that_he_is_verified() {
        let body = with(json!({"sender": {"kind": "human", "verified": true}}));
        for caller in [Caller::Local, phone()] {
            assert!(matches!(
                NewMail::read_from(&caller, Some(body.clone())),
                Err(Refusal::Malformed { .. })
            ));
        }
    }

    #[test]
    fn what_a_device_writes_commands_no_terminal() {
        let body = with(json!({
            "subject": "stop\u{1b}]0;x\u{7}\nnow",
            "body": {"text": "a\u{1b}[2Jb\r\nc", "list": ["\u{9b}1mx", 7], "de\u{7}ep": {"er": "\u{8}y"}},
        }));
        let wish = |caller: &Caller| {
            NewMail::read_from(caller, Some(body.clone()))
                .unwrap()
                .signed(caller)
                .unwrap()
                .letter
        };
        let letter = wish(&phone());
        assert_eq!(letter.subject, "stop now");
        assert_eq!(
            json!(letter.body),
            json!({"text": "ab\nc", "list": ["x", 7], "deep": {"er": "y"}})
        );
        assert_eq!(
            json!(wish(&Caller::Local).body),
            body["body"],
            "agents' mail is as they wrote it"
        );
    }

    #[test]
    fn a_subject_of_nothing_but_commands_is_no_subject() {
        let body = with(json!({"subject": "\u{1b}[2J\n"}));
        let wish = NewMail::read_from(&phone(), Some(body)).unwrap();
        match wish.signed(&phone()) {
            Err(Refusal::Malformed { details, .. }) => assert_eq!(details[0].path, "subject"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_sender_goes_with_the_letter_into_the_mail_and_out_again() {
        let wish = NewMail::read_from(&phone(), Some(with(json!({}))))
            .unwrap()
            .signed(&phone())
            .unwrap();
        let mail = wish
            .letter
            .seal(MailId::parse("mail_1").unwrap(), Millis(1), None, None);
        assert_eq!(mail.sender, wish.letter.sender);
        assert_eq!(Letter::of(&mail), wish.letter);
        let text = serde_json::to_string(&mail).unwrap();
        assert_eq!(serde_json::from_str::<Mail>(&text).unwrap(), mail);
    }
}
