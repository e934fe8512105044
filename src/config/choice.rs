//! Values that are one word out of a few, and short texts with rules of their own.

use super::{
    nearest::nearest,
    setting::{Base, Setting, Show, Wrong},
};

/// Declares an enum whose values are words; the words of the file, the reference and the errors are the same ones.
macro_rules! choice {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every word, in the order of the reference.
            pub const WORDS: &[&str] = &[$($word),+];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Show for $name {
            fn shown(&self) -> String {
                self.as_str().to_owned()
            }
        }

        impl Setting for $name {
            fn kind() -> String {
                format!("one of {}", Self::WORDS.join(", "))
            }

            fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
                match text.trim() {
                    $($word => Ok(Self::$variant),)+
                    other => Err(Wrong { hint: did_you_mean(other, Self::WORDS), ..Wrong::text(text) }),
                }
            }
        }
    };
}

fn did_you_mean(word: &str, words: &[&str]) -> Option<String> {
    nearest(word, words.iter().copied()).map(|word| format!("did you mean \"{word}\"?"))
}

choice! {
    /// How log lines look.
    LogFormat {
        /// journald under systemd, otherwise pretty on a terminal and plain elsewhere.
        Auto = "auto",
        /// For people.
        Pretty = "pretty",
        /// One JSON object a line.
        Json = "json",
        /// Structured fields to the systemd journal.
        Journald = "journald",
    }
}

choice! {
    /// Who writes the manifest of a spawned session.
    Generator {
        /// The hub itself.
        Builtin = "builtin",
        /// The external `maestro` program.
        Cli = "cli",
    }
}

choice! {
    /// Where Redis comes from.
    RedisMode {
        /// External if there is an address, managed if there is a server program, else off.
        Auto = "auto",
        /// A server of our own, kept running by us.
        Managed = "managed",
        /// Somebody else's server.
        External = "external",
        /// No Redis: everything is embedded.
        Off = "off",
    }
}

choice! {
    /// When the managed Redis forces its log to the disk.
    Fsync {
        /// Once a second: a power cut may cost a second.
        EverySecond = "everysec",
        /// At every write.
        Always = "always",
    }
}

choice! {
    /// Where mail lies.
    MailBackend {
        /// In Redis if there is one, else embedded.
        Auto = "auto",
        /// In the embedded store.
        Embedded = "embedded",
        /// In Redis Streams.
        Redis = "redis",
    }
}

choice! {
    /// How phones reach the hub.
    TunnelMode {
        /// Not at all.
        Off = "off",
        /// A trial tunnel with a name that changes at each start.
        Quick = "quick",
        /// A tunnel of your own, with its credentials file.
        Named = "named",
        /// A tunnel of your own, with its token.
        Token = "token",
        /// You bring the proxy; it is pointed at the ingress socket.
        External = "external",
    }
}

choice! {
    /// How much time a stop may take.
    StopProfile {
        /// Fast under launchd, else normal.
        Auto = "auto",
        /// 4 seconds.
        Fast = "fast",
        /// 20 seconds.
        Normal = "normal",
    }
}

/// What is logged: a level, or levels by module as in `info,maestro::hub=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The directives, comma-separated, as `tracing` reads them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Show for LogFilter {
    fn shown(&self) -> String {
        self.0.clone()
    }
}

impl Setting for LogFilter {
    fn kind() -> String {
        "off, error, warn, info, debug or trace, also by module as in \"info,maestro::hub=debug\"".into()
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        let lower = text.trim().to_ascii_lowercase();
        let good = |directive: &str| {
            let (module, level) = directive.rsplit_once('=').unwrap_or(("x", directive));
            let module_ok = !module.is_empty()
                && module
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':' || b == b'-');
            module_ok && ["off", "error", "warn", "info", "debug", "trace"].contains(&level)
        };
        let directives: Vec<_> = lower.split(',').map(str::trim).collect();
        if directives.iter().all(|directive| good(directive)) {
            return Ok(Self(directives.join(",")));
        }
        Err(Wrong::text(text))
    }
}

/// What keys in Redis begin with: printable, without blanks, quotes or glob characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// The prefix itself, often ending in a colon.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Show for KeyPrefix {
    fn shown(&self) -> String {
        self.0.clone()
    }
}

impl Setting for KeyPrefix {
    fn kind() -> String {
        "a key prefix of at most 64 letters, digits and `:._-/{}`".into()
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b":._-/{}".contains(&b);
        if text.len() <= 64 && text.bytes().all(good) {
            return Ok(Self(text.to_owned()));
        }
        Err(Wrong::text(text))
    }
}

/// The id of a Cloudflare tunnel, a UUID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelId(String);

impl TunnelId {
    /// The id, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Show for TunnelId {
    fn shown(&self) -> String {
        self.0.clone()
    }
}

impl Setting for TunnelId {
    fn kind() -> String {
        "a tunnel id (a UUID)".into()
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        let lower = text.trim().to_ascii_lowercase();
        let dashes = [8, 13, 18, 23];
        let good = |(at, b): (usize, u8)| match dashes.contains(&at) {
            true => b == b'-',
            false => b.is_ascii_hexdigit(),
        };
        if lower.len() == 36 && lower.bytes().enumerate().all(good) {
            return Ok(Self(lower));
        }
        Err(Wrong::text(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Setting>(text: &str) -> Result<T, Wrong> {
        T::from_text(text, &Base::default())
    }

    #[test]
    fn a_word_that_is_nearly_one_of_the_choices_is_answered_with_it() {
        let wrong = read::<RedisMode>("externl").expect_err("not a word");
        assert_eq!(wrong.hint.as_deref(), Some("did you mean \"external\"?"));
        assert_eq!(read::<RedisMode>("sqlite").expect_err("not a word").hint, None);
    }

    #[test]
    fn log_levels_may_differ_by_module() {
        assert_eq!(read::<LogFilter>("INFO").map(|f| f.0), Ok("info".into()));
        assert_eq!(
            read::<LogFilter>("warn, maestro::hub=debug").map(|f| f.0),
            Ok("warn,maestro::hub=debug".into())
        );
        for text in ["", "loud", "info,", "=debug", "a b=info", "hub=loud"] {
            assert!(read::<LogFilter>(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_prefix_cannot_hold_what_a_pattern_or_a_protocol_would_read_differently() {
        assert!(read::<KeyPrefix>("maestro:").is_ok());
        assert!(read::<KeyPrefix>("{team-a}/maestro:").is_ok());
        for text in ["a*", "a b", "a\n", "a?", "[a]"] {
            assert!(read::<KeyPrefix>(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_tunnel_id_is_a_uuid() {
        assert!(read::<TunnelId>("6FF42AE2-765D-4ADF-8112-31C55C1551EF").is_ok());
        assert!(read::<TunnelId>("6ff42ae2765d4adf811231c55c1551ef").is_err());
    }
}
