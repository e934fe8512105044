//! Names of things. An id is made of letters, digits, `_` and `-` only, so it can never become a path.

use std::{
    borrow::{Borrow, Cow},
    cmp, fmt, hash,
    marker::PhantomData,
    sync::Arc,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use super::{Millis, Refusal, caller::HUMAN};

/// What an id names: the prefix of new ids and the word used in refusals.
pub trait Kind: 'static {
    /// Prefix of ids made by the hub (contract DATA.md section 3).
    const PREFIX: &'static str;
    /// The contract's word in "`<Kind> with id '…' not found`".
    const NAME: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $id:ident, $prefix:literal, $name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $kind {}
        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
            const NAME: &'static str = $name;
        }
        $(#[$doc])*
        pub type $id = Id<$kind>;
    )*};
}

kinds! {
    /// A project.
    ProjectKind, ProjectId, "proj", "Project";
    /// A task.
    TaskKind, TaskId, "task", "Task";
    /// A session: one run of one agent.
    SessionKind, SessionId, "sess", "Session";
    /// A team member.
    MemberKind, MemberId, "tm", "Team member";
    /// A mail.
    MailKind, MailId, "mail", "Mail";
    /// A document of a session.
    DocKind, DocId, "doc", "Document";
    /// An entry of a session's timeline or event list.
    EntryKind, EntryId, "evt", "Entry";
    /// A question that waits for a person's answer.
    RequestKind, RequestId, "req", "Request";
    /// A paired device.
    DeviceKind, DeviceId, "dev", "Device";
    /// A page that an agent shows; it becomes a file name.
    ModalKind, ModalId, "modal", "Modal";
}

/// The name of one thing of kind `K`: 1 to 128 characters of `[A-Za-z0-9_-]`. Cloning is cheap.
pub struct Id<K>(Arc<str>, PhantomData<fn() -> K>);

/// Why a text is no id.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("an id is 1 to 128 letters, digits, `_` or `-`")]
pub struct IdError;

impl<K> Id<K> {
    /// The id written as `text`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        match text.len() {
            1..=128 if text.bytes().all(legal) => Ok(Self(text.into(), PhantomData)),
            _ => Err(IdError),
        }
    }

    /// The id written as `text`. What is no id names nothing, and is refused as such.
    pub fn named(text: &str) -> Result<Self, Refusal>
    where
        K: Kind,
    {
        Self::parse(text).map_err(|_| Refusal::Unknown {
            kind: K::NAME,
            id: text.to_owned(),
        })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SessionId {
    /// The name under which people send and get mail; no session has it.
    pub fn human() -> Self {
        Self(HUMAN.into(), PhantomData)
    }

    /// True for [`SessionId::human`], in whatever case.
    pub fn is_human(&self) -> bool {
        self.0.eq_ignore_ascii_case(HUMAN)
    }
}

impl<K> JsonSchema for Id<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"})
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> hash::Hash for Id<K> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> Borrow<str> for Id<K> {
    fn borrow(&self) -> &str {
        &self.0
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// Makes new ids for one decision, at one instant: `<prefix>_<milliseconds>_<nine of [a-z0-9]>`.
///
/// The first four of the nine count up within a process, so that ids of one millisecond still sort in the order
/// in which they were made.
#[derive(Debug)]
pub struct Mint {
    now: Millis,
    serial: u32,
    noise: u64,
}

impl Mint {
    /// `serial` goes on where the previous mint of this process stopped; `noise` is random.
    pub fn new(now: Millis, serial: u32, noise: u64) -> Self {
        Self { now, serial, noise }
    }

    /// The instant at which these ids are made.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Where the next mint goes on.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// A new id.
    pub fn id<K: Kind>(&mut self) -> Id<K> {
        let mut tail = [0u8; 9];
        base36(u64::from(self.serial & 0xF_FFFF), &mut tail[..4]);
        base36(self.next_noise(), &mut tail[4..]);
        self.serial = self.serial.wrapping_add(1);
        let mut text = format!("{}_{}_", K::PREFIX, self.now.0);
        text.extend(tail.iter().map(|&b| char::from(b)));
        Id(text.into(), PhantomData)
    }

    /// SplitMix64: enough to keep two hubs that share a millisecond apart; ids are no secrets.
    fn next_noise(&mut self) -> u64 {
        self.noise = self.noise.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.noise;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

fn base36(mut value: u64, out: &mut [u8]) {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    for slot in out.iter_mut().rev() {
        *slot = DIGITS[(value % 36) as usize];
        value /= 36;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_could_leave_a_folder_is_no_id() {
        for text in ["", "..", "a/b", "a b", "a\0", "ä", &"x".repeat(129)] {
            assert_eq!(SessionId::parse(text), Err(IdError), "{text}");
        }
        assert!(SessionId::parse("session-1700000000000-0a1b2c3d").is_ok());
    }

    #[test]
    fn ids_of_one_millisecond_sort_in_the_order_in_which_they_were_made() {
        let mut mint = Mint::new(Millis(1_700_000_000_000), 35, 7);
        let made: Vec<TaskId> = (0..100).map(|_| mint.id()).collect();
        let mut sorted = made.clone();
        sorted.sort();
        assert_eq!(made, sorted);
        assert!(
            made[0].as_str().starts_with("task_1700000000000_000z"),
            "{}",
            made[0]
        );
    }
}
