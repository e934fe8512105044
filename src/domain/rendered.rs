//! A record that remembers its own JSON.

use std::{
    ops::{Deref, DerefMut},
    sync::OnceLock,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A record, and its JSON once somebody has asked for it: what is stored, answered and listed many times is written
/// once for as long as the record stays as it is. Touching the record forgets the text.
#[derive(Debug, Default)]
pub struct Rendered<T> {
    record: T,
    json: OnceLock<Box<str>>,
}

impl<T: Serialize> Rendered<T> {
    /// The record as JSON.
    ///
    /// # Errors
    /// A value in it cannot be written as JSON, which `serde_json`'s own values always can.
    pub fn json(&self) -> Result<&str, serde_json::Error> {
        if let Some(json) = self.json.get() {
            return Ok(json);
        }
        let json = serde_json::to_string(&self.record)?;
        Ok(self.json.get_or_init(|| json.into()))
    }
}

impl<T> From<T> for Rendered<T> {
    fn from(record: T) -> Self {
        Self {
            record,
            json: OnceLock::new(),
        }
    }
}

impl<T> Deref for Rendered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.record
    }
}

impl<T> DerefMut for Rendered<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.json.take();
        &mut self.record
    }
}

/// A copy is made to be changed, so it has no text yet.
impl<T: Clone> Clone for Rendered<T> {
    fn clone(&self) -> Self {
        self.record.clone().into()
    }
}

impl<T: PartialEq> PartialEq for Rendered<T> {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl<T: Serialize> Serialize for Rendered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.record.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Rendered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_text_is_kept_for_as_long_as_the_record_stays_as_it_is() {
        let mut record = Arc::new(Rendered::from(vec![1, 2]));
        let first = record.json().unwrap().as_ptr();
        assert_eq!(record.json().unwrap().as_ptr(), first, "written once");

        Arc::make_mut(&mut record).push(3); // nobody shares it: changed in place
        assert_eq!(record.json().unwrap(), "[1,2,3]");

        let shared = record.clone();
        Arc::make_mut(&mut record).push(4);
        assert_eq!(
            [shared.json().unwrap(), record.json().unwrap()],
            ["[1,2,3]", "[1,2,3,4]"]
        );
    }
}
