//! The content of a push: encrypted for the one browser that asked for it (RFC 8291 over `aes128gcm`, RFC 8188), and
//! padded, so that nobody on the way learns from its length.

use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral},
    error::Unspecified,
    hmac,
    rand::{SecureRandom, SystemRandom},
};

/// Length of an uncompressed point of the curve.
pub const POINT: usize = 65;
/// Length of a browser's authentication secret.
pub const SECRET: usize = 16;
/// What is inside, padding included, is always this long. With all around it, well below the 4096 bytes that the
/// services take.
pub const INSIDE: usize = 2048;
/// The record size we state: there is one record, and it fits.
const RECORD: u32 = 4096;

/// What a browser gave us to encrypt for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Its public key.
    pub point: [u8; POINT],
    /// The secret it shares with us.
    pub secret: [u8; SECRET],
}

/// Encrypts `text`, which is at most [`INSIDE`] bytes long, under a fresh key.
///
/// # Errors
/// When it is too long, the browser's key is no point of the curve, or there is no randomness.
pub fn seal(text: &[u8], keys: &Keys) -> Result<Vec<u8>, Unspecified> {
    let random = SystemRandom::new();
    let mut salt = [0; 16];
    random.fill(&mut salt)?;
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &random)?;
    let public = ours.compute_public_key()?;
    let theirs = UnparsedPublicKey::new(&ECDH_P256, &keys.point);
    let padding = INSIDE.checked_sub(text.len()).ok_or(Unspecified)?;
    agree_ephemeral(ours, &theirs, |shared| {
        sealed(text, padding, shared, keys, public.as_ref(), salt)
    })?
}

/// The same with everything given: pure.
fn sealed(
    text: &[u8],
    padding: usize,
    shared: &[u8],
    keys: &Keys,
    ours: &[u8],
    salt: [u8; 16],
) -> Result<Vec<u8>, Unspecified> {
    let input = expand(
        extract(&keys.secret, shared).as_ref(),
        &[b"WebPush: info\0", &keys.point, ours],
    );
    let pseudorandom = extract(&salt, input.as_ref());
    let key = expand(pseudorandom.as_ref(), &[b"Content-Encoding: aes128gcm\0"]);
    let nonce = expand(pseudorandom.as_ref(), &[b"Content-Encoding: nonce\0"]);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key.as_ref()[..16])?);
    // The key is used this once.
    let nonce = Nonce::try_assume_unique_for_key(&nonce.as_ref()[..NONCE_LEN])?;

    let mut record = Vec::with_capacity(text.len() + padding + 17);
    record.extend_from_slice(text);
    record.push(2); // the last record
    record.resize(text.len() + 1 + padding, 0);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut record)?;

    let mut message = Vec::with_capacity(21 + ours.len() + record.len());
    message.extend_from_slice(&salt);
    message.extend_from_slice(&RECORD.to_be_bytes());
    message.push(u8::try_from(ours.len()).map_err(|_| Unspecified)?);
    message.extend_from_slice(ours);
    message.extend_from_slice(&record);
    Ok(message)
}

/// HKDF (RFC 5869), its two steps; one block of output is all that is ever needed.
fn extract(salt: &[u8], input: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), input)
}

fn expand(key: &[u8], info: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in info {
        context.update(part);
    }
    context.update(&[1]);
    context.sign()
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    fn keys() -> Keys {
        Keys {
            point: bytes(
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            ),
            secret: bytes("BTBZMqHH6r4Tts7J_aSIgg"),
        }
    }

    /// RFC 8291, section 5 and appendix A.
    #[test]
    fn the_example_of_the_standard_comes_out_as_it_stands_there() {
        let ours: [u8; POINT] =
            bytes("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8");
        let shared: [u8; 32] = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let text = b"When I grow up, I want to be a watermelon";
        let message = sealed(text, 0, &shared, &keys(), &ours, bytes("DGv6ra1nlYgDCS1FRnbzlw"));
        assert_eq!(
            URL_SAFE_NO_PAD.encode(message.unwrap()),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz\
             AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn all_messages_are_of_one_length_and_no_two_are_alike() {
        let messages = [&b""[..], b"a", b"a", &[b'x'; INSIDE]].map(|text| seal(text, &keys()).unwrap());
        assert!(
            messages
                .iter()
                .all(|message| message.len() == 21 + POINT + INSIDE + 17)
        );
        assert_ne!(messages[1], messages[2]);
        assert!(seal(&[0; INSIDE + 1], &keys()).is_err());
    }

    #[test]
    fn what_is_no_point_of_the_curve_is_refused() {
        let keys = Keys {
            point: [4; POINT],
            ..keys()
        };
        assert!(seal(b"a", &keys).is_err());
    }
}
