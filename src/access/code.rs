//! The eight symbols that let one device in, once: how they are made, typed and compared. Kept nowhere: only their
//! hash is.

use std::fmt;

use sha2::{Digest, Sha256};

/// Crockford's: no I, L, O or U, so that what is read aloud or copied by hand arrives.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Forty bits, five a symbol.
const LENGTH: usize = 8;
/// Nobody types more than this by accident.
const LONGEST: usize = 64;

/// A pairing code. Shows itself to people as `7K3M-9QXD`; its `Debug` keeps it to itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; LENGTH]);

impl Code {
    /// The code made of forty random bits.
    pub(super) fn of(random: [u8; 5]) -> Self {
        let bits = random
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let symbol = |n: usize| SYMBOLS[(bits >> (5 * (LENGTH - 1 - n)) & 31) as usize];
        Self(std::array::from_fn(symbol))
    }

    /// The code somebody typed: in either case, with or without dashes and spaces, O for 0 and I or L for 1. `None` if
    /// it can be no code at all.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > LONGEST {
            return None;
        }
        let mut code = [0; LENGTH];
        let mut filled = 0;
        for typed in typed.chars().filter(|c| !is_gap(*c)) {
            *code.get_mut(filled)? = symbol(typed)?;
            filled += 1;
        }
        (filled == LENGTH).then_some(Self(code))
    }

    /// The eight symbols, as they stand in a URL.
    pub fn plain(&self) -> String {
        self.0.iter().map(|&symbol| char::from(symbol)).collect()
    }

    /// What is kept of it.
    pub(super) fn print(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

/// What stands between symbols: telephones make long dashes of short ones.
fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn symbol(typed: char) -> Option<u8> {
    let upper = u8::try_from(typed).ok()?.to_ascii_uppercase();
    let meant = match upper {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    SYMBOLS.contains(&meant).then_some(meant)
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.plain();
        let (left, right) = plain.split_at(LENGTH / 2);
        write!(f, "{left}-{right}")
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(********)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = Code::parse("7K3M9Q10").unwrap();
        for typed in [
            "7k3m9q10",
            "7K3M-9Q10",
            " 7k3m 9qio ",
            "7k3m\u{2013}9ql0",
            "7-K-3-M-9-Q-L-O",
        ] {
            assert_eq!(Code::parse(typed), Some(code.clone()), "{typed}");
        }
        assert_eq!(code.to_string(), "7K3M-9Q10");
        assert_eq!(code.plain(), "7K3M9Q10");
    }

    #[test]
    fn what_can_be_no_code_is_none() {
        for typed in [
            "",
            "-",
            "7K3M9Q1",
            "7K3M9Q100",
            "7K3M9Q1U",
            "7K3M9Q1ä",
            "7K3M9Q1\0",
            "🦀7K3M9Q1",
        ] {
            assert_eq!(Code::parse(typed), None, "{typed}");
        }
        assert_eq!(Code::parse(&"-".repeat(10_000)), None);
    }

    #[test]
    fn the_bits_are_all_there_and_debug_shows_none() {
        assert_eq!(Code::of([0; 5]).plain(), "00000000");
        assert_eq!(Code::of([255; 5]).plain(), "ZZZZZZZZ");
        assert_eq!(Code::of([0, 0, 0, 0, 1]).plain(), "00000001");
        assert_eq!(format!("{:?}", Code::of([1, 2, 3, 4, 5])), "Code(********)");
    }

    proptest! {
        #[test]
        fn a_code_is_itself_again_however_it_is_written(
            random: [u8; 5],
            lower: [bool; LENGTH],
            gap in proptest::option::of(0..LENGTH),
        ) {
            let code = Code::of(random);
            let mut typed = String::new();
            for (n, symbol) in code.plain().chars().enumerate() {
                if gap == Some(n) {
                    typed.push('-');
                }
                let likeness = match (symbol, lower[n]) {
                    ('0', true) => 'o',
                    ('1', true) => 'l',
                    ('1', false) => 'I',
                    (symbol, true) => symbol.to_ascii_lowercase(),
                    (symbol, false) => symbol,
                };
                typed.push(likeness);
            }
            prop_assert_eq!(Code::parse(&typed), Some(code));
        }

        #[test]
        fn different_bits_are_different_codes(one: [u8; 5], other: [u8; 5]) {
            prop_assert_eq!(Code::of(one) == Code::of(other), one == other);
        }

        #[test]
        fn nothing_typed_panics(typed in ".{0,80}") {
            let _ = Code::parse(&typed);
        }
    }
}
