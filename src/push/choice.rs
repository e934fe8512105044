//! What the person with the phone chose: which kinds of news, and how much of it stands on a locked screen.

use serde::{Deserialize, Serialize};

/// How much a notification says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// That there is something.
    Nothing,
    /// Who, and in which project.
    #[default]
    Names,
    /// What, too.
    Preview,
}

/// A kind of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An agent waits for a person.
    NeedsInput,
    /// A session failed.
    Failed,
    /// A session is done.
    Finished,
    /// Mail to people.
    Mail,
    /// Another device was paired.
    Devices,
}

/// The kinds a device wants to be told of; each unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Kinds {
    /// An agent waits for a person.
    pub needs_input: bool,
    /// A session failed.
    pub failed: bool,
    /// A session is done.
    pub finished: bool,
    /// Mail to people.
    pub mail: bool,
    /// Another device was paired.
    pub devices: bool,
}

impl Default for Kinds {
    fn default() -> Self {
        Self {
            needs_input: true,
            failed: true,
            finished: true,
            mail: true,
            devices: true,
        }
    }
}

impl Kinds {
    /// True if it wants to hear of this.
    pub(super) fn want(self, kind: Kind) -> bool {
        match kind {
            Kind::NeedsInput => self.needs_input,
            Kind::Failed => self.failed,
            Kind::Finished => self.finished,
            Kind::Mail => self.mail,
            Kind::Devices => self.devices,
        }
    }
}
