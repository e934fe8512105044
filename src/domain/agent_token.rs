//! What an agent shows to prove which session is its own: a token in the server URL it was started with, so that a
//! client that knows nothing of tokens shows it with every request (SECURITY rule 17).
//!
//! Nothing is kept per session: a token names its session and is signed with the hub's key, over the session's id and
//! the instant it began. It ends with the session, because there is none of that id and instant any more. It is made of
//! letters only: a `3002` anywhere in a URL sends the client to another server.
//!
//! This is about honest attribution. Another process of the same user can read an agent's environment.

use std::{borrow::Cow, fmt};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Millis, SessionId};

/// The first segment of a URL's path that carries a token: `/as/<token>`.
pub const AGENT_SEGMENT: &str = "as";

/// Bytes of the signature: 128 bits, of which none can be guessed without the key.
const SIGNED: usize = 16;
/// Bytes that SHA-256 works on at once.
const BLOCK: usize = 64;
/// What the key signs here, so that it never signs the same for another purpose.
const PURPOSE: &[u8] = b"maestro agent token 1\0";

/// The hub's key. Whoever has it can speak for every session.
#[derive(Clone)]
pub struct AgentKey([u8; 32]);

impl fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentKey(…)")
    }
}

impl AgentKey {
    /// The key of these bytes, which nobody else may know.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The token of the session that began at this instant: letters of `a` to `p`, two for each byte.
    pub fn token(&self, session: &SessionId, began: Millis) -> String {
        let mut token = String::with_capacity(2 * (SIGNED + session.as_str().len()));
        for byte in self.sign(session, began) {
            spell(byte, &mut token);
        }
        for byte in session.as_str().bytes() {
            spell(byte, &mut token);
        }
        token
    }

    /// Whose token it is. `began` tells when a session began, if there is one.
    pub fn owner(&self, token: &str, began: impl FnOnce(&SessionId) -> Option<Millis>) -> Option<SessionId> {
        let bytes = read(token)?;
        let (signature, id) = bytes.split_at_checked(SIGNED)?;
        let session = SessionId::parse(std::str::from_utf8(id).ok()?).ok()?;
        let genuine = self.sign(&session, began(&session)?);
        bool::from(genuine[..].ct_eq(signature)).then_some(session)
    }

    /// `base` with the token of a session in it: what its agent is told to call.
    pub fn url(&self, base: &str, session: &SessionId, began: Millis) -> String {
        format!("{base}/{AGENT_SEGMENT}/{}", self.token(session, began))
    }

    /// `text` without genuine tokens, and without the `/as/` before them: a URL of the hub becomes the plain one.
    pub fn scrub<'a>(&self, text: &'a str, began: impl Fn(&SessionId) -> Option<Millis>) -> Cow<'a, str> {
        let mut clean = String::new();
        let (mut kept, mut at) = (0, 0);
        while let Some(offset) = text[at..].find(is_letter) {
            let start = at + offset;
            let end = text[start..]
                .find(|c| !is_letter(c))
                .map_or(text.len(), |length| start + length);
            at = end;
            if end - start > 2 * SIGNED && self.owner(&text[start..end], &began).is_some() {
                let before = &text[kept..start];
                let prefix = format!("/{AGENT_SEGMENT}/");
                clean.push_str(before.strip_suffix(prefix.as_str()).unwrap_or(before));
                kept = end;
            }
        }
        match kept {
            0 => Cow::Borrowed(text),
            _ => Cow::Owned(clean + &text[kept..]),
        }
    }

    fn sign(&self, session: &SessionId, began: Millis) -> [u8; SIGNED] {
        let parts = [
            PURPOSE,
            session.as_str().as_bytes(),
            b"\0",
            &began.0.to_be_bytes(),
        ];
        let mut signature = [0; SIGNED];
        signature.copy_from_slice(&hmac(&self.0, &parts)[..SIGNED]);
        signature
    }
}

/// HMAC-SHA256 (RFC 2104) under a key of at most one block.
fn hmac<const N: usize>(key: &[u8; N], parts: &[&[u8]]) -> [u8; 32] {
    const { assert!(N <= BLOCK) };
    let padded = |pad: u8| {
        let mut block = [pad; BLOCK];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        Sha256::new().chain_update(block)
    };
    let inner = parts
        .iter()
        .fold(padded(0x36), |hash, part| hash.chain_update(part));
    padded(0x5c).chain_update(inner.finalize()).finalize().into()
}

fn is_letter(c: char) -> bool {
    matches!(c, 'a'..='p')
}

fn spell(byte: u8, out: &mut String) {
    out.push(char::from(b'a' + (byte >> 4)));
    out.push(char::from(b'a' + (byte & 15)));
}

fn read(text: &str) -> Option<Vec<u8>> {
    let digit = |letter: u8| is_letter(char::from(letter)).then(|| letter - b'a');
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    rest.is_empty().then(|| bytes.collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> AgentKey {
        AgentKey::new([7; 32])
    }

    fn id(text: &str) -> SessionId {
        SessionId::parse(text).unwrap()
    }

    /// One session, `sess_3002`, which began at 5.
    fn began(session: &SessionId) -> Option<Millis> {
        (session.as_str() == "sess_3002").then_some(Millis(5))
    }

    fn token() -> String {
        key().token(&id("sess_3002"), Millis(5))
    }

    #[test]
    fn a_token_is_of_letters_only_and_names_its_session() {
        let token = token();
        assert!(token.bytes().all(|b| b.is_ascii_lowercase()), "{token}");
        assert!(token.len() >= 32 + 18);
        assert_eq!(key().owner(&token, began), Some(id("sess_3002")));
        assert_eq!(
            key().url("http://localhost:1", &id("sess_3002"), Millis(5)),
            format!("http://localhost:1/as/{token}")
        );
    }

    #[test]
    fn a_token_ends_with_its_session_even_if_another_takes_the_id() {
        assert_eq!(key().owner(&token(), |_| None), None);
        assert_eq!(key().owner(&token(), |_| Some(Millis(6))), None);
    }

    #[test]
    fn what_another_key_signed_or_anybody_changed_is_nobodys() {
        let other = AgentKey::new([8; 32]).token(&id("sess_3002"), Millis(5));
        assert_eq!(key().owner(&other, began), None);
        let genuine = token();
        for at in 0..genuine.len() {
            let mut changed = genuine.clone().into_bytes();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key().owner(&changed, |_| Some(Millis(5))), None, "{at}");
        }
    }

    #[test]
    fn what_is_no_token_is_nobodys() {
        let longer = format!("{}a", token());
        let capitals = token().to_uppercase();
        let sessionless = &token()[..32];
        for text in ["", "a", "ab", "zz", "3002", "ää", &longer, &capitals, sessionless] {
            assert_eq!(key().owner(text, |_| Some(Millis(5))), None, "{text}");
        }
    }

    #[test]
    fn the_key_is_not_shown_by_accident() {
        assert_eq!(format!("{:?}", key()), "AgentKey(…)");
    }

    #[test]
    fn a_text_loses_every_genuine_token_and_nothing_else() {
        let token = token();
        let letters = "abcdefghijklmnop".repeat(4);
        for (text, clean) in [
            (
                format!("fetch(\"http://h:1/as/{token}/api\")"),
                "fetch(\"http://h:1/api\")".to_owned(),
            ),
            (format!("http://h/as/{token}"), "http://h".to_owned()),
            (format!("/as/{token}/x /as/{token}/y"), "/x /y".to_owned()),
            (format!("%2Fas%2F{token}%2F {token}"), "%2Fas%2F%2F ".to_owned()),
            (
                format!("/as/{letters}/ ä /as/ {letters}"),
                format!("/as/{letters}/ ä /as/ {letters}"),
            ),
            ("plain".to_owned(), "plain".to_owned()),
        ] {
            assert_eq!(key().scrub(&text, began), clean);
        }
        assert!(matches!(key().scrub("untouched", began), Cow::Borrowed(_)));
    }

    /// RFC 4231, test cases 1 and 2.
    #[test]
    fn the_signature_is_the_one_of_the_standard() {
        let hex = |bytes: [u8; 32]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(
            hex(hmac(&[0x0b; 20], &[b"Hi There"])),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
