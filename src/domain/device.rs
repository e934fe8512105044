//! A paired device: a phone that may look in from outside, and what it may do.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{DeviceId, Millis, ProjectId};

/// One thing a device may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// See projects, tasks, sessions and what happens to them.
    View,
    /// Answer an agent that waits for input.
    Answer,
    /// Read and write mail.
    Mail,
    /// Send text to a working agent.
    Prompt,
    /// Start an agent.
    Spawn,
    /// Pair and revoke other devices.
    Admin,
}

impl Scope {
    /// All of them, the harmless ones first.
    pub const ALL: [Self; 6] = [
        Self::View,
        Self::Answer,
        Self::Mail,
        Self::Prompt,
        Self::Spawn,
        Self::Admin,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Answer => "answer",
            Self::Mail => "mail",
            Self::Prompt => "prompt",
            Self::Spawn => "spawn",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A set of scopes. On the wire a list of words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Scope>", from = "Vec<Scope>")]
pub struct Scopes(u8);

/// Why a text is no list of scopes.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("there is no scope {0:?}: they are view, answer, mail, prompt, spawn and admin")]
pub struct UnknownScope(pub String);

impl Scopes {
    /// What a phone may do unless somebody says otherwise: follow, answer, and mail.
    pub fn of_a_phone() -> Self {
        [Scope::View, Scope::Answer, Scope::Mail].into_iter().collect()
    }

    /// The scopes named in a comma-separated list.
    pub fn parse(text: &str) -> Result<Self, UnknownScope> {
        let named = |word: &str| {
            let known = Scope::ALL.into_iter().find(|scope| scope.word() == word);
            known.ok_or_else(|| UnknownScope(word.to_owned()))
        };
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(named).collect()
    }

    /// True if `scope` is among them.
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// True if there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, the harmless ones first.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.allow(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        scopes.into_iter().collect()
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.iter().collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.iter().enumerate() {
            if n > 0 {
                f.write_str(", ")?;
            }
            f.write_str(scope.word())?;
        }
        Ok(())
    }
}

/// A device that was paired, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Its name among all devices.
    pub id: DeviceId,
    /// Shown to people, such as "iPhone of Anna".
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The projects it may see; none named means all.
    #[serde(default)]
    pub projects: Vec<ProjectId>,
    /// When it was paired.
    pub paired_at: Millis,
    /// When it was last let in.
    pub last_seen: Millis,
}

impl Device {
    /// True if it may do this in that project; `None` is what belongs to no project.
    pub fn may(&self, scope: Scope, project: Option<&str>) -> bool {
        self.scopes.allow(scope) && self.reaches(project)
    }

    /// True if it may know of that project. What belongs to no project is for everybody.
    pub fn reaches(&self, project: Option<&str>) -> bool {
        self.projects.is_empty()
            || project.is_none_or(|project| self.projects.iter().any(|known| known.as_str() == project))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Id;

    #[test]
    fn scopes_are_a_set_read_and_written_as_words() {
        let scopes = Scopes::parse("spawn, view,view").unwrap();
        assert_eq!(scopes.to_string(), "view, spawn");
        assert_eq!(serde_json::to_string(&scopes).unwrap(), r#"["view","spawn"]"#);
        assert_eq!(
            serde_json::from_str::<Scopes>(r#"["spawn","view"]"#).unwrap(),
            scopes
        );
        assert_eq!(Scopes::parse("view,root"), Err(UnknownScope("root".into())));
        assert!(Scopes::parse("").unwrap().is_empty());
    }

    #[test]
    fn a_phone_may_follow_answer_and_mail_and_nothing_else() {
        assert_eq!(Scopes::of_a_phone().to_string(), "view, answer, mail");
    }

    #[test]
    fn a_device_of_one_project_knows_of_no_other() {
        let mut device = Device {
            id: Id::parse("dev_1").unwrap(),
            name: "phone".into(),
            scopes: Scopes::of_a_phone(),
            projects: vec![Id::parse("p1").unwrap()],
            paired_at: Millis(1),
            last_seen: Millis(1),
        };
        assert!(device.may(Scope::View, Some("p1")) && device.may(Scope::View, None));
        assert!(!device.may(Scope::View, Some("p2")) && !device.may(Scope::Spawn, Some("p1")));
        device.projects.clear();
        assert!(device.may(Scope::View, Some("p2")), "none named is all");
    }
}
