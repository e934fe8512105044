//! What there is to tell. Made from events; says nothing yet of who is told.

use std::sync::Arc;

use crate::domain::{
    DeviceId, Event, HUMAN, Mail, MailId, Maybe, Millis, ProjectId, RequestId, Scope, SessionHead, SessionId,
};

use super::choice::Kind;

/// A session, as far as news of it go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub session: SessionId,
    pub project: ProjectId,
    /// What the agent is called.
    pub name: String,
}

/// Something that a person who is not looking may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// An agent waits for a person.
    Asks {
        about: About,
        request: RequestId,
        message: Option<String>,
    },
    /// It does not any more.
    Over {
        about: About,
        request: RequestId,
        /// Who answered, if it is known.
        by: Option<String>,
    },
    /// A session failed.
    Failed { about: About, why: Option<String> },
    /// A session is done.
    Finished { about: About },
    /// Mail to people.
    Mail {
        mail: MailId,
        thread: MailId,
        project: ProjectId,
        from: String,
        subject: String,
        /// The device that sent it, if one did.
        sender: Option<DeviceId>,
    },
    /// Another device was paired.
    Paired { device: DeviceId, name: String },
    /// The machine slept; this is what came together meanwhile.
    Woke {
        from: Millis,
        until: Millis,
        waiting: usize,
        failed: usize,
        others: usize,
    },
    /// The person asked for one, to see whether it comes.
    Test,
}

impl About {
    pub fn of(head: &SessionHead) -> Self {
        Self {
            session: head.id.clone(),
            project: head.project_id.clone(),
            name: head.name.clone(),
        }
    }
}

impl News {
    /// That this session asks, if it does.
    pub fn question(head: &SessionHead) -> Option<Self> {
        Some(Self::Asks {
            request: head.open_request()?.clone(),
            about: About::of(head),
            message: head
                .needs_input
                .value()
                .and_then(|needs| needs.message.value().cloned()),
        })
    }

    /// That what this session asked under this name is over.
    pub fn over(head: &SessionHead, request: &RequestId) -> Self {
        let by = head
            .answer_to(request)
            .map(|answer| answer.answered_by.name.clone())
            .or_else(|| {
                let needs = head.needs_input.value()?;
                let same = needs.request_id.as_ref() == Some(request);
                needs
                    .answered_by
                    .as_ref()
                    .filter(|_| same)
                    .map(|by| by.name.clone())
            });
        Self::Over {
            about: About::of(head),
            request: request.clone(),
            by,
        }
    }

    /// What an event says that happened once. Questions are not among it: they are looked at as they stand.
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::NotifySessionFailed(session) => Some(Self::Failed {
                about: About::of(&session.head),
                why: match &session.head.failure {
                    Maybe::Value(failure) => Some(failure.reason.replace('_', " ")),
                    _ => None,
                },
            }),
            Event::NotifySessionCompleted(session) => Some(Self::Finished {
                about: About::of(&session.head),
            }),
            Event::MailReceived(mail) => Self::of_mail(mail),
            // Hubs may share their mail: what was sent at another one is for the people here as well.
            Event::Remote(remote) if remote.name == "mail:received" => {
                Self::of_mail(&Arc::new(serde_json::from_slice(&remote.data).ok()?))
            }
            _ => None,
        }
    }

    fn of_mail(mail: &Arc<Mail>) -> Option<Self> {
        let to_people = mail.to_session_id.as_ref().is_some_and(|to| to.as_str() == HUMAN);
        to_people.then(|| Self::Mail {
            mail: mail.id.clone(),
            thread: mail.thread_id.clone(),
            project: mail.project_id.clone(),
            from: mail.from_session_id.to_string(),
            subject: mail.subject.clone(),
            sender: mail
                .sender
                .as_ref()
                .and_then(|sender| sender.device.as_ref())
                .map(|device| device.id.clone()),
        })
    }

    /// The kind a device can do without; what only corrects an earlier word belongs to that one's.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Asks { .. } | Self::Over { .. } => Some(Kind::NeedsInput),
            Self::Failed { .. } => Some(Kind::Failed),
            Self::Finished { .. } => Some(Kind::Finished),
            Self::Mail { .. } => Some(Kind::Mail),
            Self::Paired { .. } => Some(Kind::Devices),
            // Made of what it wanted to hear of; asked for.
            Self::Woke { .. } | Self::Test => None,
        }
    }

    /// What a device must be allowed to do to hear of it.
    pub fn scope(&self) -> Option<Scope> {
        match self {
            Self::Mail { .. } => Some(Scope::Mail),
            Self::Asks { .. }
            | Self::Over { .. }
            | Self::Failed { .. }
            | Self::Finished { .. }
            | Self::Paired { .. }
            | Self::Woke { .. } => Some(Scope::View),
            Self::Test => None,
        }
    }

    /// The project it belongs to, if it belongs to one.
    pub fn project(&self) -> Option<&ProjectId> {
        match self {
            Self::Asks { about, .. }
            | Self::Over { about, .. }
            | Self::Failed { about, .. }
            | Self::Finished { about } => Some(&about.project),
            Self::Mail { project, .. } => Some(project),
            Self::Paired { .. } | Self::Woke { .. } | Self::Test => None,
        }
    }

    /// What it is about: on a phone, a later word about the same takes the place of the earlier one.
    pub fn tag(&self) -> String {
        match self {
            Self::Asks { about, .. }
            | Self::Over { about, .. }
            | Self::Failed { about, .. }
            | Self::Finished { about } => session_tag(&about.session),
            Self::Mail { thread, .. } => format!("mail:{thread}"),
            Self::Paired { device, .. } => format!("device:{device}"),
            Self::Woke { .. } => "hub".to_owned(),
            Self::Test => "test".to_owned(),
        }
    }
}

/// The tag of all news of one session.
pub fn session_tag(session: &SessionId) -> String {
    format!("session:{session}")
}
