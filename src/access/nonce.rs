//! Does a public address lead to this very process? Whoever holds a fresh number and the secret of this process can tell;
//! whoever asks without the secret learns nothing but that somebody is there.
//!
//! The asker sends `GET /health?nonce=<32 hex digits>` to the public address; the hub answers on its ingress with
//! `x-maestro-proof: hex(HMAC-SHA256(secret, nonce))`. The secret is made at each start, and is never written or sent: a
//! stale twin of ours, an earlier process or a stranger cannot answer, and an answer cannot be used twice.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The header of the answer that holds the proof.
pub const PROOF_HEADER: &str = "x-maestro-proof";
/// The name of the nonce in the query.
pub const NONCE_PARAMETER: &str = "nonce";

/// A number used once: 128 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// A fresh one.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn fresh() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Exactly 32 hex digits; whatever else a stranger sends is no nonce and gets no proof.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The nonce in the query of a request (`nonce=...`, among others), if there is one.
    pub fn in_query(query: Option<&str>) -> Option<Self> {
        let of = |pair: &str| Some(pair.strip_prefix(NONCE_PARAMETER)?.strip_prefix('=')?.to_owned());
        Self::parse(&query?.split('&').find_map(of)?)
    }

    /// 32 hex digits.
    pub fn to_text(self) -> String {
        hex(&self.0)
    }
}

/// Proves that it is this process that answers, and checks such proofs. Clones share the secret.
#[derive(Clone)]
pub struct Prover {
    secret: [u8; 32],
}

impl Prover {
    /// A prover with a secret of its own.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self { secret })
    }

    /// The answer to a nonce: the value of [`PROOF_HEADER`].
    pub fn prove(&self, nonce: Nonce) -> String {
        hex(&hmac(&self.secret, &nonce.0))
    }

    /// Is this our own answer to the nonce?
    pub fn is_proof(&self, nonce: Nonce, answer: &str) -> bool {
        self.prove(nonce).as_bytes().ct_eq(answer.as_bytes()).into()
    }
}

impl std::fmt::Debug for Prover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prover")
    }
}

/// HMAC-SHA256 (RFC 2104) for keys of up to 64 bytes.
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut inner = [0x36; 64];
    let mut outer = [0x5c; 64];
    for (at, byte) in key.iter().enumerate() {
        inner[at] ^= byte;
        outer[at] ^= byte;
    }
    let within = Sha256::new().chain_update(inner).chain_update(message).finalize();
    Sha256::new()
        .chain_update(outer)
        .chain_update(within)
        .finalize()
        .into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_that_of_the_standard() {
        // A key is filled up with zeros, so the short key of RFC 4231, test case 2, is this one too.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        assert_eq!(
            hex(&hmac(&key, b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn only_the_same_process_can_answer_and_only_the_nonce_that_was_asked() {
        let (ours, twin) = (Prover::new().unwrap(), Prover::new().unwrap());
        let (nonce, other) = (Nonce::fresh().unwrap(), Nonce::fresh().unwrap());
        let proof = ours.prove(nonce);
        assert!(ours.is_proof(nonce, &proof));
        assert!(!ours.is_proof(other, &proof), "an answer is good once");
        assert!(
            !ours.is_proof(nonce, &twin.prove(nonce)),
            "a twin has another secret"
        );
        assert!(!ours.is_proof(nonce, "") && !ours.is_proof(nonce, &proof[..62]));
    }

    #[test]
    fn what_is_no_nonce_gets_no_proof() {
        let text = Nonce::fresh().unwrap().to_text();
        assert_eq!(Nonce::parse(&text).map(Nonce::to_text), Some(text.clone()));
        let query = format!("a=1&nonce={text}&b=2");
        assert!(Nonce::in_query(Some(&query)).is_some());
        for query in [
            None,
            Some(""),
            Some("nonce="),
            Some("nonce=xyz"),
            Some("notnonce=00"),
        ] {
            assert_eq!(Nonce::in_query(query), None, "{query:?}");
        }
        assert_eq!(Nonce::parse(&"é".repeat(16)), None);
        assert_eq!(Nonce::parse(&text[..31]), None);
    }
}
