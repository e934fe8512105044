//! Durations ("1m30s") and sizes ("4MiB") as people write them.

use std::{fmt, time::Duration};

use serde_json::Value as Json;

use super::{
    file::FileValue,
    setting::{Base, Setting, Show, Wrong},
};

/// Units of time in milliseconds, largest first.
const TIME: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of size in bytes, largest first; the decimal ones are read but never written.
const SIZE: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Sums `number unit` pairs: "1h30m". `None` if a number or a unit is missing, unknown or too large.
fn sum(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let mut rest = text.trim();
    let mut total = 0u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let length = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(length);
        let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = tail.trim_start();
    }
    Some(total)
}

impl Show for Duration {
    fn shown(&self) -> String {
        let mut left = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return "0s".into();
        }
        let mut text = String::new();
        for (unit, factor) in TIME {
            if left >= *factor {
                text.push_str(&format!("{}{unit}", left / factor));
                left %= factor;
            }
        }
        text
    }
}

/// A duration as people write it on a command line: as in the configuration, or a number of seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    Duration::from_text(text, &Base::default()).map_err(|_| format!("write {}, or seconds", Duration::kind()))
}

impl Setting for Duration {
    fn kind() -> String {
        "a duration such as \"10s\", \"250ms\" or \"1h30m\"".into()
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        sum(text, TIME)
            .map(Duration::from_millis)
            .ok_or_else(|| Wrong::text(text))
    }

    fn from_file(value: &FileValue, base: &Base) -> Result<Self, Wrong> {
        match value {
            FileValue::Text(text) => Self::from_text(text, base),
            FileValue::Integer(n) => {
                Err(Wrong::found(n.to_string()).hint(format!("write \"{n}s\" for seconds")))
            }
            other => Err(Wrong::found(other.describe())),
        }
    }

    fn measure(&self) -> Option<u64> {
        Some(u64::try_from(self.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// That many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; saturates where memory is smaller than the number.
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// True for zero bytes.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = SIZE.iter().filter(|(unit, _)| unit.ends_with("iB"));
        let whole = binary
            .into_iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        match whole {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Show for ByteSize {
    fn shown(&self) -> String {
        self.to_string()
    }
    fn json(&self) -> Json {
        Json::from(self.0)
    }
}

impl Setting for ByteSize {
    fn kind() -> String {
        "a size such as \"4MiB\"".into()
    }

    fn from_text(text: &str, _: &Base) -> Result<Self, Wrong> {
        let plain = text.trim().parse().ok();
        plain
            .or_else(|| sum(text, SIZE))
            .map(Self)
            .ok_or_else(|| Wrong::text(text))
    }

    fn from_file(value: &FileValue, base: &Base) -> Result<Self, Wrong> {
        match value {
            FileValue::Text(text) => Self::from_text(text, base),
            FileValue::Integer(n) => u64::try_from(*n)
                .map(Self)
                .map_err(|_| Wrong::found(n.to_string())),
            other => Err(Wrong::found(other.describe())),
        }
    }

    fn measure(&self) -> Option<u64> {
        Some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> Option<u64> {
        sum(text, TIME)
    }

    #[test]
    fn durations_are_numbers_with_units_and_may_be_added_up() {
        assert_eq!(millis("10s"), Some(10_000));
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis(" 1 h 30 m "), Some(5_400_000));
        assert_eq!(millis("2d"), Some(172_800_000));
    }

    #[test]
    fn on_a_command_line_a_bare_number_is_seconds() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("soon").unwrap_err().contains("1h30m"));
    }

    #[test]
    fn a_number_without_a_unit_or_one_too_large_is_no_duration() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 parsecs",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(millis(text), None, "{text:?}");
        }
    }

    #[test]
    fn sizes_are_binary_or_decimal_and_case_does_not_matter() {
        let size = |text| {
            ByteSize::from_text(text, &Base::default())
                .map(ByteSize::bytes)
                .ok()
        };
        assert_eq!(size("4MiB"), Some(4 << 20));
        assert_eq!(size("4mib"), Some(4 << 20));
        assert_eq!(size("4MB"), Some(4_000_000));
        assert_eq!(size("512"), Some(512));
        assert_eq!(size("1.5MiB"), None);
        assert_eq!(size("99999999999GiB"), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same_amount(n in any::<u64>()) {
            let duration = Duration::from_millis(n);
            prop_assert_eq!(Duration::from_text(&duration.shown(), &Base::default()), Ok(duration));
            let size = ByteSize::new(n);
            prop_assert_eq!(ByteSize::from_text(&size.shown(), &Base::default()), Ok(size));
        }

        #[test]
        fn no_text_makes_an_amount_panic(text in "\\PC*") {
            let _ = sum(&text, TIME);
            let _ = sum(&text, SIZE);
        }
    }
}
