//! Secrets: encryption of personal data, blind indexes, verifiers of API keys, and signing keys.

mod envelope;
mod vault;

use crate::{Error, Result};
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use std::fmt;

pub use envelope::{Key, SEALING_BYTES, decrypt, decrypt_in_place, encrypt, encrypt_in_place, random_key};
pub use vault::{AssociatedData, ENCRYPTION_KEY, HeadKey, Vault, version_of};

/// A value that is not printed in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Returns the HMAC-SHA256 of a message.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key) else {
        unreachable!("HMAC takes a key of any length")
    };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Returns random bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| Error::broken("the operating system returned no random bytes"))?;
    Ok(bytes)
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Returns random characters from `0-9A-Za-z`, uniformly distributed.
pub fn random_base62(length: usize) -> Result<String> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in random::<32>()? {
            if let Some(character) = BASE62.get(usize::from(byte >> 2)).filter(|_| text.len() < length) {
                text.push(char::from(*character));
            }
        }
    }
    Ok(text)
}

/// Returns a number as six base 62 digits.
pub fn base62_of(number: u32) -> String {
    let mut left = number;
    let mut digits: Vec<char> = (0..6)
        .map(|_| {
            let digit = BASE62.get((left % 62) as usize).copied().unwrap_or(b'0');
            left /= 62;
            char::from(digit)
        })
        .collect();
    digits.reverse();
    digits.into_iter().collect()
}

/// The two SHA-1 states that suffice to create HMAC-SHA1 signatures without the key itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Signer([[u32; 5]; 2]);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

const SHA1_START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

impl Signer {
    /// Derives the states from the signing key.
    pub fn of(key: &[u8]) -> Self {
        let mut block = [0_u8; 64];
        let hashed;
        let key = if key.len() > 64 {
            hashed = sha1::Sha1::digest(key);
            hashed.as_slice()
        } else {
            key
        };
        for (slot, byte) in block.iter_mut().zip(key) {
            *slot = *byte;
        }
        Self([0x36_u8, 0x5c].map(|pad| {
            let mut state = SHA1_START;
            sha1::block_api::compress(&mut state, &[block.map(|byte| byte ^ pad)]);
            state
        }))
    }

    /// Returns the HMAC-SHA1 of `body`.
    pub fn sign(&self, body: &[u8]) -> [u8; 20] {
        let [inner, outer] = self.0;
        finish_sha1(outer, &finish_sha1(inner, body))
    }

    /// Returns the states as 40 bytes, for storage.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flatten().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// Restores the states from the 40 stored bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
        let mut state = [[0; 5]; 2];
        for slot in state.iter_mut().flatten() {
            *slot = words.next()?;
        }
        (bytes.len() == 40).then_some(Self(state))
    }
}

/// Finishes a SHA-1 hash from a state that has processed one block.
fn finish_sha1(mut state: [u32; 5], message: &[u8]) -> [u8; 20] {
    let bits = 8 * (64 + message.len() as u64);
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&bits.to_be_bytes());
    sha1::block_api::compress(&mut state, padded.as_chunks::<64>().0);
    let mut digest = [0; 20];
    for (slot, byte) in digest.iter_mut().zip(state.iter().flat_map(|word| word.to_be_bytes())) {
        *slot = byte;
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stored_states_create_the_documented_signature() {
        let stored = Signer::of(b"live_abc123").to_bytes();
        let signature = Signer::from_bytes(&stored).unwrap().sign(br#"{"id":"evt_1"}"#);
        assert_eq!(hex::encode(signature), "fc402d40ab6ab0587de6c36d312a4649b8da96e6");
    }

    proptest! {
        #[test]
        fn stored_states_sign_like_the_key(key in proptest::collection::vec(any::<u8>(), 0..200),
            body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut mac = <Hmac<sha1::Sha1> as hmac::KeyInit>::new_from_slice(&key).unwrap();
            mac.update(&body);
            let signer = Signer::from_bytes(&Signer::of(&key).to_bytes()).unwrap();
            prop_assert_eq!(signer.sign(&body).to_vec(), mac.finalize().into_bytes().to_vec());
        }
    }

    #[test]
    fn random_text_is_alphanumeric() {
        let text = random_base62(50).unwrap();
        assert_eq!(text.len(), 50);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(base62_of(0), "000000");
        assert_eq!(base62_of(u32::MAX), "4gfFC3");
    }
}
