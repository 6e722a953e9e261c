//! What is kept secret, and how: encryption of personal data, blind indexes, verifiers of keys, and signing states.

use super::{Error, Result};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use std::fmt;
use uuid::Uuid;

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where an encrypted value stands. A ciphertext moved to another place does not open.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub column: &'static str,
    pub row: Uuid,
    pub partner: Uuid,
}

impl Place {
    fn bytes(&self) -> Vec<u8> {
        [self.column.as_bytes(), b"|", self.row.as_bytes(), b"|", self.partner.as_bytes()].concat()
    }
}

/// The keys this server works with, all derived from one.
#[derive(Clone)]
pub struct Vault {
    data: Secret<[u8; 32]>,
    index: Secret<[u8; 32]>,
    pepper: Secret<[u8; 32]>,
    fingerprint: Secret<[u8; 32]>,
    tokens: Secret<[u8; 32]>,
    passcodes: Secret<[u8; 32]>,
    /// Names the key without giving it away.
    pub check: String,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

const NONCE: usize = 24;

impl Vault {
    /// Derives the working keys from the encryption key.
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        let derive = |purpose: &str| Secret::new(hmac_sha256(key.reveal(), purpose.as_bytes()));
        Self {
            data: derive("coffer personal data"),
            index: derive("coffer blind index"),
            pepper: derive("coffer key pepper"),
            fingerprint: derive("coffer fingerprint"),
            tokens: derive("coffer tokens"),
            passcodes: derive("coffer passcodes"),
            check: hex(&Sha256::digest(hmac_sha256(key.reveal(), b"coffer key check"))),
        }
    }

    /// Encrypts a value for its place with XChaCha20-Poly1305 under a fresh nonce.
    pub fn seal(&self, place: Place, value: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE] = random()?;
        let associated = place.bytes();
        let sealed = XChaCha20Poly1305::new(self.data.reveal().into())
            .encrypt(&XNonce::from(nonce), Payload { msg: value, aad: &associated })
            .map_err(|_| Error::broken("a value could not be encrypted"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Decrypts a value from its place.
    pub fn open(&self, place: Place, sealed: &[u8]) -> Result<Secret<Vec<u8>>> {
        let unreadable = || Error::broken(format!("{} of {} does not open with this key", place.column, place.row));
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or_else(unreadable)?;
        let associated = place.bytes();
        XChaCha20Poly1305::new(self.data.reveal().into())
            .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &associated })
            .map(Secret::new)
            .map_err(|_| unreadable())
    }

    /// Decrypts a text from its place.
    pub fn open_text(&self, place: Place, sealed: &[u8]) -> Result<Secret<String>> {
        let bytes = self.open(place, sealed)?;
        String::from_utf8(bytes.reveal().clone()).map(Secret::new).map_err(|_| Error::broken("a decrypted value is no text"))
    }

    /// Equal for equal values of one partner's column, and says nothing else.
    pub fn blind_index(&self, column: &str, partner: Uuid, value: &str) -> Vec<u8> {
        hmac_sha256(self.index.reveal(), &[column.as_bytes(), b"|", partner.as_bytes(), b"|", value.as_bytes()].concat()).to_vec()
    }

    /// What is stored of an API key.
    pub fn key_verifier(&self, key: &str) -> [u8; 32] {
        hmac_sha256(self.pepper.reveal(), key.as_bytes())
    }

    /// Signs the tokens of people who have signed in.
    pub const fn token_key(&self) -> &Secret<[u8; 32]> {
        &self.tokens
    }

    /// What is stored of a short-lived code: a few guesses would find it under a bare hash.
    pub fn passcode_mac(&self, code: &[u8]) -> [u8; 32] {
        hmac_sha256(self.passcodes.reveal(), code)
    }

    /// Stands for a request's arguments, which may hold secrets that few guesses would find under a bare hash.
    pub fn request_fingerprint(&self, arguments: &[u8]) -> [u8; 32] {
        hmac_sha256(self.fingerprint.reveal(), arguments)
    }
}

/// HMAC-SHA256.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key) else { unreachable!("HMAC takes a key of any length") };
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of the operating system's random source.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::broken("the operating system gives no randomness"))?;
    Ok(bytes)
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random characters out of `0-9A-Za-z`, each as likely as any other.
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

/// A number in six characters of base 62.
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

/// The two SHA-1 states from which HMAC-SHA1 signatures under a key can be made without the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Signer([[u32; 5]; 2]);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

const SHA1_START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

impl Signer {
    /// From the key that signs.
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

    /// HMAC-SHA1 of `body` under the key.
    pub fn sign(&self, body: &[u8]) -> [u8; 20] {
        let [inner, outer] = self.0;
        finish_sha1(outer, &finish_sha1(inner, body))
    }

    /// Forty bytes to keep.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flatten().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// From what was kept.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word));
        let mut state = [[0; 5]; 2];
        for slot in state.iter_mut().flatten() {
            *slot = words.next()?;
        }
        (bytes.len() == 40).then_some(Self(state))
    }
}

/// Hashes on from a state that has taken in one block.
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

    fn vault() -> Vault {
        Vault::new(&Secret::new([7; 32]))
    }

    #[test]
    fn a_ciphertext_opens_in_its_own_place_only() {
        let place = Place { column: "users.ssn", row: Uuid::from_u128(1), partner: Uuid::from_u128(2) };
        let sealed = vault().seal(place, b"078051120").unwrap();
        assert_eq!(vault().open(place, &sealed).unwrap().reveal(), b"078051120");
        assert!(!sealed.windows(9).any(|window| window == b"078051120"));
        for other in [
            Place { column: "users.phone", ..place },
            Place { row: Uuid::from_u128(3), ..place },
            Place { partner: Uuid::from_u128(3), ..place },
        ] {
            assert!(vault().open(other, &sealed).is_err());
        }
        assert!(Vault::new(&Secret::new([8; 32])).open(place, &sealed).is_err());
        assert!(vault().open(place, &sealed[..10]).is_err());
    }

    #[test]
    fn the_documented_signature_comes_out_of_the_kept_states() {
        let kept = Signer::of(b"live_abc123").to_bytes();
        let signature = Signer::from_bytes(&kept).unwrap().sign(br#"{"id":"evt_1"}"#);
        assert_eq!(hex(&signature), "fc402d40ab6ab0587de6c36d312a4649b8da96e6");
    }

    proptest! {
        #[test]
        fn kept_states_sign_as_the_key_does(key in proptest::collection::vec(any::<u8>(), 0..200), body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut mac = <Hmac<sha1::Sha1> as hmac::KeyInit>::new_from_slice(&key).unwrap();
            mac.update(&body);
            let signer = Signer::from_bytes(&Signer::of(&key).to_bytes()).unwrap();
            prop_assert_eq!(signer.sign(&body).to_vec(), mac.finalize().into_bytes().to_vec());
        }
    }

    #[test]
    fn random_text_is_plain() {
        let text = random_base62(50).unwrap();
        assert_eq!(text.len(), 50);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(base62_of(0), "000000");
        assert_eq!(base62_of(u32::MAX), "4gfFC3");
    }
}
