//! What proves a device: two halves of 256 bits, both needed. We keep their hashes, which prove nothing.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::domain::{Device, DeviceId, Id, Millis};

use super::Denied;

const DAY: i64 = 24 * 60 * 60 * 1000;
/// A device that was not seen for so long has to be paired again.
pub(super) const SLIDING: i64 = 30 * DAY;
/// So has one that was paired so long ago.
pub(super) const ABSOLUTE: i64 = 180 * DAY;

/// Longest half that is looked at: ours are shorter.
const LONGEST: usize = 256;

/// The two halves of a new device, told once.
pub(super) struct Halves {
    /// `<id>.<64 hex digits>`: finds the device without trying all of them.
    pub cookie: String,
    /// 64 hex digits.
    pub token: String,
}

impl Halves {
    /// New ones.
    pub fn new(id: &DeviceId) -> Result<Self, getrandom::Error> {
        Ok(Self {
            cookie: format!("{id}.{}", secret()?),
            token: secret()?,
        })
    }

    /// What is kept of them.
    pub fn prints(&self) -> Prints {
        Prints {
            cookie: Sha256::digest(&self.cookie).into(),
            token: Sha256::digest(&self.token).into(),
        }
    }
}

fn secret() -> Result<String, getrandom::Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    Ok(random.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    }))
}

/// The hashes of both halves.
#[derive(Clone)]
pub(super) struct Prints {
    pub cookie: [u8; 32],
    pub token: [u8; 32],
}

impl Prints {
    /// True if this is the half in the cookie.
    pub fn know_cookie(&self, shown: &str) -> bool {
        matches(&self.cookie, shown).into()
    }

    /// True if these are both halves. Both are always compared.
    pub fn know(&self, cookie: &str, token: &str) -> bool {
        (matches(&self.cookie, cookie) & matches(&self.token, token)).into()
    }
}

fn matches(print: &[u8; 32], shown: &str) -> Choice {
    let fits = Choice::from(u8::from(shown.len() <= LONGEST));
    let shown: [u8; 32] = Sha256::digest(&shown.as_bytes()[..shown.len().min(LONGEST)]).into();
    print.ct_eq(&shown) & fits
}

/// Whose cookie it says it is.
pub(super) fn named_by(cookie: &str) -> Option<DeviceId> {
    if cookie.len() > LONGEST {
        return None;
    }
    Id::parse(cookie.rsplit_once('.')?.0).ok()
}

/// Whether the pairing still holds.
pub(super) fn holds(device: &Device, now: Millis) -> Result<(), Denied> {
    let since = |then: Millis| now.0.saturating_sub(then.0);
    if since(device.last_seen) >= SLIDING || since(device.paired_at) >= ABSOLUTE {
        return Err(Denied::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Scopes;

    fn halves() -> Halves {
        Halves::new(&Id::parse("dev_1").unwrap()).unwrap()
    }

    #[test]
    fn both_halves_are_needed_and_neither_stands_for_the_other() {
        let (ours, other) = (halves(), halves());
        let prints = ours.prints();
        assert!(prints.know(&ours.cookie, &ours.token));
        for (cookie, token) in [
            (ours.cookie.as_str(), other.token.as_str()),
            (&other.cookie, &ours.token),
            (&ours.token, &ours.cookie),
            (&ours.cookie, &ours.cookie),
            (&ours.cookie, ""),
            ("", &ours.token),
        ] {
            assert!(!prints.know(cookie, token));
        }
        assert!(prints.know_cookie(&ours.cookie) && !prints.know_cookie(&ours.token));
    }

    #[test]
    fn a_half_has_256_bits_and_a_cookie_says_whose_it_is() {
        let (one, other) = (halves(), halves());
        assert_eq!((one.token.len(), one.cookie.len()), (64, 64 + "dev_1.".len()));
        assert!(one.token != other.token && one.cookie != other.cookie && !one.cookie.ends_with(&one.token));
        assert_eq!(named_by(&one.cookie).unwrap().as_str(), "dev_1");
        for foreign in [
            "",
            ".",
            "dev_1",
            ".x",
            "../x.y",
            &format!("{}.x", "d".repeat(300)),
        ] {
            assert_eq!(named_by(foreign), None, "{foreign}");
        }
        assert!(!one.prints().know(&"x".repeat(1 << 20), &one.token));
    }

    #[test]
    fn a_pairing_ends_after_a_month_unseen_or_half_a_year_in_all() {
        let device = |paired_at, last_seen| Device {
            id: Id::parse("dev_1").unwrap(),
            name: "phone".into(),
            scopes: Scopes::of_a_phone(),
            projects: Vec::new(),
            paired_at: Millis(paired_at),
            last_seen: Millis(last_seen),
        };
        let at = |now: i64, seen: i64| holds(&device(0, seen), Millis(now));
        assert_eq!(at(30 * DAY - 1, 0), Ok(()));
        assert_eq!(at(30 * DAY, 0), Err(Denied::Expired));
        assert_eq!(at(180 * DAY - 1, 179 * DAY), Ok(()));
        assert_eq!(at(180 * DAY, 180 * DAY), Err(Denied::Expired));
        assert_eq!(
            at(-5 * DAY, 0),
            Ok(()),
            "a clock that was set back locks nobody out"
        );
    }
}
