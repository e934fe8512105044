//! What a type must know to be the value of a key: read itself from text and from TOML, show itself.
//! Knows no key by name.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::file::FileValue;

/// What a value may need to know of its surroundings: where `~` is and what a relative path is relative to.
#[derive(Clone, Debug, Default)]
pub struct Base {
    /// The home directory, if there is one.
    pub home: Option<String>,
    /// The directory of the file the value was read from, or the working directory.
    pub relative_to: PathBuf,
}

/// Why a text is not a value of the type. The expectation is added by whoever knows the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What was there instead; never shown for secrets.
    pub found: String,
    /// How to write it, if that is not obvious.
    pub hint: Option<String>,
}

impl Wrong {
    pub(super) fn text(text: &str) -> Self {
        Self {
            found: format!("\"{}\"", shorten(text)),
            hint: None,
        }
    }

    pub(super) fn found(found: impl Into<String>) -> Self {
        Self {
            found: found.into(),
            hint: None,
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// A value read from outside may be a whole file pasted into a variable; an error line must stay a line.
fn shorten(text: &str) -> String {
    const LIMIT: usize = 60;
    let clean = one_line(&text.chars().take(LIMIT).collect::<String>());
    if text.chars().nth(LIMIT).is_some() {
        format!("{clean}…")
    } else {
        clean
    }
}

/// The text with a stand-in for whatever would end the line or command the terminal.
pub(super) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// A type that can be the value of a configuration key.
pub trait Setting: Clone + PartialEq + Sized + Show {
    /// True if the value must never be echoed.
    const SECRET: bool = false;

    /// The type in the words of the reference, as in "a duration such as \"10s\"".
    fn kind() -> String;

    /// Reads the form used by flags, the environment and the built-in defaults.
    fn from_text(text: &str, base: &Base) -> Result<Self, Wrong>;

    /// Reads the form used by the file. Text is read as above; types with a TOML form of their own override this.
    fn from_file(value: &FileValue, base: &Base) -> Result<Self, Wrong> {
        match value {
            FileValue::Text(text) => Self::from_text(text, base),
            other => Err(Wrong::found(other.describe())),
        }
    }

    /// The size that a key's bounds are compared with, in the smallest unit of the type.
    fn measure(&self) -> Option<u64> {
        None
    }
}

/// The part of [`Setting`] that works on a value whose type was forgotten.
pub trait Show {
    /// For people: secrets masked, nothing quoted, empty if unset.
    fn shown(&self) -> String;

    /// For programs: secrets masked, `null` if unset.
    fn json(&self) -> Json {
        Json::String(self.shown())
    }
}

impl Show for bool {
    fn shown(&self) -> String {
        self.to_string()
    }
    fn json(&self) -> Json {
        Json::Bool(*self)
    }
}

impl Setting for bool {
    fn kind() -> String {
        "true or false".into()
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(Wrong::text(text)),
        }
    }

    fn from_file(value: &FileValue, _: &Base) -> Result<Self, Wrong> {
        match value {
            FileValue::Bool(is) => Ok(*is),
            other => Err(Wrong::found(other.describe())),
        }
    }
}

macro_rules! whole_numbers {
    ($($ty:ty),+) => { $(
        impl Show for $ty {
            fn shown(&self) -> String {
                self.to_string()
            }
            fn json(&self) -> Json {
                Json::from(*self)
            }
        }

        impl Setting for $ty {
            fn kind() -> String {
                "a whole number".into()
            }

            fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
                text.trim().parse().map_err(|_| Wrong::text(text))
            }

            fn from_file(value: &FileValue, _: &Base) -> Result<Self, Wrong> {
                match value {
                    FileValue::Integer(n) => <$ty>::try_from(*n).map_err(|_| Wrong::found(n.to_string())),
                    FileValue::Text(text) => Err(Wrong::text(text).hint("write it without quotes")),
                    other => Err(Wrong::found(other.describe())),
                }
            }

            fn measure(&self) -> Option<u64> {
                Some(u64::from(*self))
            }
        }
    )+ };
}
whole_numbers!(u16, u32);

/// Absent, or a value; empty text is absent.
impl<T: Setting> Show for Option<T> {
    fn shown(&self) -> String {
        self.as_ref().map(Show::shown).unwrap_or_default()
    }
    fn json(&self) -> Json {
        self.as_ref().map_or(Json::Null, Show::json)
    }
}

impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;

    fn kind() -> String {
        T::kind()
    }

    fn from_text(text: &str, base: &Base) -> Result<Self, Wrong> {
        if text.is_empty() {
            return Ok(None);
        }
        T::from_text(text, base).map(Some)
    }

    fn from_file(value: &FileValue, base: &Base) -> Result<Self, Wrong> {
        match value {
            FileValue::Text(text) if text.is_empty() => Ok(None),
            value => T::from_file(value, base).map(Some),
        }
    }

    fn measure(&self) -> Option<u64> {
        self.as_ref().and_then(Setting::measure)
    }
}

/// One member of a list. A member's text may stand for several values (`localhost` is two addresses).
pub trait Item: Clone + PartialEq + ToString {
    /// The members in the words of the reference, as in "host names".
    const MANY: &str;

    /// Reads one member.
    fn parse(text: &str) -> Result<Vec<Self>, Wrong>;
}

impl<T: Item> Show for Vec<T> {
    fn shown(&self) -> String {
        self.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    }
    fn json(&self) -> Json {
        self.iter().map(|item| Json::String(item.to_string())).collect()
    }
}

impl<T: Item> Setting for Vec<T> {
    fn kind() -> String {
        format!("a list of {}", T::MANY)
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        collect(parts)
    }

    fn from_file(value: &FileValue, base: &Base) -> Result<Self, Wrong> {
        match value {
            FileValue::Text(text) => Self::from_text(text, base),
            FileValue::List(members) => {
                let texts = members.iter().map(|member| match member {
                    FileValue::Text(text) => Ok(text.as_str()),
                    other => Err(Wrong::found(format!("{} in it", other.describe()))),
                });
                collect(texts.collect::<Result<Vec<_>, _>>()?.into_iter())
            }
            other => Err(Wrong::found(other.describe())),
        }
    }
}

fn collect<'a, T: Item>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<T>, Wrong> {
    let mut all = Vec::new();
    for text in texts {
        for one in T::parse(text)? {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    Ok(all)
}
