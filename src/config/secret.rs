//! Values that may be used and never shown.

use std::fmt;

use super::setting::{Base, Setting, Show, Wrong};

/// A text that `Debug`, `Display` and JSON show masked. Of a URL the host stays readable: it is what one looks for.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that uses it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What stands for a hidden text.
const MASK: &str = "***";

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str(MASK);
        };
        // A password may contain any character unescaped, so everything before the *last* `@` is hidden.
        let (credentials, place) = match rest.rsplit_once('@') {
            Some((_, place)) => ("***@", place),
            None => ("", rest),
        };
        let (place, query) = match place.split_once(['?', '#']) {
            Some((place, _)) => (place, "?***"),
            None => (place, ""),
        };
        write!(f, "{scheme}://{credentials}{place}{query}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

/// The address of a Redis, which may hold a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedisUrl(Secret);

impl RedisUrl {
    const SCHEMES: [&str; 7] = [
        "redis",
        "rediss",
        "valkey",
        "valkeys",
        "unix",
        "redis+unix",
        "valkey+unix",
    ];

    /// The address with its password, for whoever connects.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Show for RedisUrl {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Setting for RedisUrl {
    const SECRET: bool = true;

    fn kind() -> String {
        "a Redis address such as \"redis://host:6379/0\", \"rediss://…\" or \"redis+unix:///path\"".into()
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        let text = text.trim();
        match text.split_once("://") {
            Some((scheme, rest)) if Self::SCHEMES.contains(&scheme) && !rest.is_empty() => {
                Ok(Self(Secret::new(text)))
            }
            _ => Err(Wrong::text(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_a_url_the_host_is_shown_and_nothing_else_that_could_be_secret() {
        for (url, shown) in [
            ("redis://cache.example:6379/0", "redis://cache.example:6379/0"),
            ("redis://user:hunter2@cache:6379", "redis://***@cache:6379"),
            ("redis://:p@ss/w?rd@cache/1", "redis://***@cache/1"),
            (
                "redis+unix:///run/r.sock?pass=hunter2",
                "redis+unix:///run/r.sock?***",
            ),
            ("hunter2", "***"),
        ] {
            assert_eq!(Secret::new(url).to_string(), shown);
            assert_eq!(format!("{:?}", Secret::new(url)), format!("Secret({shown})"));
        }
    }

    proptest! {
        #[test]
        fn no_password_is_ever_shown(password in "[A-Z]{8}[!-~]{0,20}") {
            let url = RedisUrl::from_text(&format!("redis://u:{password}@host/0"), &Base::default());
            let url = url.expect("a valid address");
            let shown = format!("{url:?} {url} {}", url.shown());
            prop_assert!(!shown.contains(&password[..8]));
            prop_assert!(url.expose().contains(&password));
        }
    }
}
