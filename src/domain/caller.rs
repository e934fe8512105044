//! Who asks. Made where a request comes in, from the listener and what was proved there; never from what it says.

use std::sync::Arc;

use super::{Device, Refusal, Scope, SessionId};

/// The name under which people send and get mail. No session has it, in whatever case.
pub const HUMAN: &str = "human";

/// Who asks, and how far that is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody on this machine, through the local listener: as today's clients, unverified.
    Local,
    /// An agent that has proved which session is its own.
    Agent(SessionId),
    /// A paired device, from outside.
    Device(Arc<Device>),
}

impl Caller {
    /// True if the caller may do this in that project; `None` is what belongs to no project. Who is on this machine
    /// may do everything, as with the server we replace.
    pub fn may(&self, scope: Scope, project: Option<&str>) -> bool {
        match self {
            Self::Local | Self::Agent(_) => true,
            Self::Device(device) => device.may(scope, project),
        }
    }

    /// The device, if it is one.
    pub fn device(&self) -> Option<&Arc<Device>> {
        match self {
            Self::Device(device) => Some(device),
            Self::Local | Self::Agent(_) => None,
        }
    }

    /// Refuses what the caller may not do in that project.
    pub fn permit(&self, scope: Scope, project: Option<&str>) -> Result<(), Refusal> {
        match self.may(scope, project) {
            true => Ok(()),
            false => Err(Refusal::Forbidden(format!(
                "this device may not do this here: it takes `{scope}`"
            ))),
        }
    }

    /// Whom a request comes from that says it comes from `said`: nobody who has proved who he is says otherwise.
    ///
    /// This is asked where a request speaks *as* a session (the roles of [`Speaks`]). Everything else a request says of
    /// a session is about it: timelines, documents, statuses, links, heartbeats, claims, modals. Coordinators do all of
    /// that for their workers, so it stays open to everybody on this machine.
    pub fn speaks(&self, role: Speaks, said: Option<&str>) -> Result<Speaker, Refusal> {
        match (self, role) {
            (Self::Local, _) => Ok(Speaker::AsSaid),
            (Self::Agent(session), _) => match said {
                Some(said) if said != session.as_str() => Err(Refusal::Forbidden(format!(
                    "this client has proved to be the agent of session '{session}': it cannot {} as '{said}'",
                    role.deed()
                ))),
                Some(_) | None => Ok(Speaker::Session(session.clone())),
            },
            // Whatever a phone says of itself: who holds it is a person.
            (Self::Device(_), Speaks::Mail | Speaks::Prompt) => Ok(Speaker::Human),
            (Self::Device(_), Speaks::Spawn) => Ok(Speaker::Nobody),
        }
    }
}

/// Where a request speaks as a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// The sender of a mail.
    Mail,
    /// Who sends a text to a terminal.
    Prompt,
    /// The parent of a new session.
    Spawn,
}

impl Speaks {
    fn deed(self) -> &'static str {
        match self {
            Self::Mail => "send mail",
            Self::Prompt => "send a prompt",
            Self::Spawn => "spawn",
        }
    }
}

/// Whom a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Nothing is proved: from whom it says.
    AsSaid,
    /// From this session's agent; proved.
    Session(SessionId),
    /// From a person: [`HUMAN`].
    Human,
    /// From no session.
    Nobody,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples;

    #[test]
    fn who_has_proved_who_he_is_speaks_for_nobody_else() {
        use Speaker::{AsSaid, Human, Nobody, Session};
        let agent = SessionId::parse("sess_1").unwrap();
        let callers = [
            Caller::Local,
            Caller::Agent(agent.clone()),
            Caller::Device(samples::device("dev_1")),
        ];
        let mine = || Some(Session(agent.clone()));
        // For each role and what is said: Local, Agent, Device; `None` is refused.
        for (role, said, expected) in [
            (Speaks::Mail, Some("sess_1"), [Some(AsSaid), mine(), Some(Human)]),
            (Speaks::Mail, Some("sess_2"), [Some(AsSaid), None, Some(Human)]),
            (Speaks::Mail, Some("SESS_1"), [Some(AsSaid), None, Some(Human)]),
            (Speaks::Mail, Some("human"), [Some(AsSaid), None, Some(Human)]),
            (Speaks::Mail, None, [Some(AsSaid), mine(), Some(Human)]),
            (
                Speaks::Prompt,
                Some("sess_1"),
                [Some(AsSaid), mine(), Some(Human)],
            ),
            (Speaks::Prompt, Some("sess_2"), [Some(AsSaid), None, Some(Human)]),
            (Speaks::Prompt, None, [Some(AsSaid), mine(), Some(Human)]),
            (
                Speaks::Spawn,
                Some("sess_1"),
                [Some(AsSaid), mine(), Some(Nobody)],
            ),
            (Speaks::Spawn, Some("sess_2"), [Some(AsSaid), None, Some(Nobody)]),
            (Speaks::Spawn, None, [Some(AsSaid), mine(), Some(Nobody)]),
        ] {
            for (caller, expected) in callers.iter().zip(expected) {
                let got = caller.speaks(role, said);
                match expected {
                    Some(speaker) => assert_eq!(got, Ok(speaker), "{caller:?} {role:?} {said:?}"),
                    None => assert!(
                        matches!(&got, Err(Refusal::Forbidden(text)) if text.contains("sess_1")),
                        "{caller:?} {role:?} {said:?}: {got:?}"
                    ),
                }
            }
        }
    }
}
