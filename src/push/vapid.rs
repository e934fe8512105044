//! Who we are to a push service (VAPID, RFC 8292). The key is made once and kept for life, beside the subscriptions that
//! are bound to it: without it every phone would have to subscribe anew, and nothing would tell it so.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::json;
use thiserror::Error;

use crate::domain::Millis;
use crate::sqlite::SqliteError;

/// How long a token is good for; services take up to 24 hours.
const GOOD_FOR: i64 = 12 * 3600;

/// There is no key.
#[derive(Debug, Error)]
pub enum VapidError {
    /// What is kept is none.
    #[error(
        "the key for notifications in the store is damaged; restore a backup, or delete it with all subscriptions: DELETE FROM push_key; DELETE FROM push_subscriptions"
    )]
    Broken,
    /// None can be made.
    #[error("there is no randomness to make a key for notifications from")]
    NoRandomness,
    /// What is kept about notifications cannot be read or written.
    #[error("what is kept about notifications cannot be read or written")]
    Store(#[from] SqliteError),
}

/// Our key.
pub struct Vapid {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Vapid {
    /// A new one, as it is kept.
    pub fn make() -> Result<Vec<u8>, VapidError> {
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map(|document| document.as_ref().to_vec())
            .map_err(|_| VapidError::NoRandomness)
    }

    /// The one that was kept.
    pub fn read(kept: &[u8]) -> Result<Self, VapidError> {
        let random = SystemRandom::new();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, kept, &random)
            .map(|pair| Self { pair, random })
            .map_err(|_| VapidError::Broken)
    }

    /// As browsers want it: what a subscription is bound to.
    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key())
    }

    /// `Authorization` for a service of this origin. `contact`: where its operator can reach us; Apple refuses without.
    pub fn authorization(&self, audience: &str, contact: &str, now: Millis) -> Result<String, VapidError> {
        let header = json!({"typ": "JWT", "alg": "ES256"}).to_string();
        let claims = json!({"aud": audience, "exp": now.0 / 1000 + GOOD_FOR, "sub": contact}).to_string();
        let said = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = self
            .pair
            .sign(&self.random, said.as_bytes())
            .map_err(|_| VapidError::NoRandomness)?;
        Ok(format!(
            "vapid t={said}.{}, k={}",
            URL_SAFE_NO_PAD.encode(signature),
            self.public()
        ))
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_token_says_for_whom_until_when_and_from_whom_and_is_signed_by_the_kept_key() {
        let kept = Vapid::make().unwrap();
        let key = Vapid::read(&kept).unwrap();
        assert_eq!(Vapid::read(&kept).unwrap().public(), key.public());
        let said = key
            .authorization("https://push.example", "https://hub.example", Millis(1_000_000))
            .unwrap();
        let said = said.strip_prefix("vapid t=").unwrap();
        let (token, public) = said.split_once(", k=").unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(public))
            .verify(signed.as_bytes(), &decode(signature))
            .unwrap();
        let claims: Value = serde_json::from_slice(&decode(signed.split_once('.').unwrap().1)).unwrap();
        assert_eq!(
            claims,
            json!({"aud": "https://push.example", "exp": 1000 + GOOD_FOR, "sub": "https://hub.example"})
        );
    }

    #[test]
    fn what_is_no_key_is_said_to_be_none() {
        assert!(matches!(Vapid::read(b"nothing"), Err(VapidError::Broken)));
    }
}
