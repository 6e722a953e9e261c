//! The encryption key and the keys that it wraps: rows of `data_key`, each wrapped key bound to its row.

use super::{Secret, hmac_sha256, random};
use crate::{
    Error, Result,
    kernel::{clock, ids::Ids},
};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead, AeadInOut, Payload},
};
use entity::{
    Kind,
    data_key::{self, Purpose},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::OnConflict,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// An unwrapped 256-bit key.
pub type Key = Secret<[u8; 32]>;

const NONCE: usize = 24;
const TAG: usize = 16;

/// Number of bytes that encryption adds to a value.
pub const SEALING_BYTES: usize = NONCE + TAG;

/// Encrypts with XChaCha20-Poly1305 under a random nonce, which precedes the ciphertext.
pub fn encrypt(key: &Key, associated: &[u8], value: &[u8]) -> Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(value.len() + SEALING_BYTES);
    buffer.extend_from_slice(value);
    encrypt_in_place(key, associated, buffer)
}

/// Encrypts like `encrypt`, in place; the value is not copied if it has spare capacity for `SEALING_BYTES`.
pub fn encrypt_in_place(key: &Key, associated: &[u8], mut value: Vec<u8>) -> Result<Vec<u8>> {
    let nonce: [u8; NONCE] = random()?;
    let tag = XChaCha20Poly1305::new(key.reveal().into())
        .encrypt_inout_detached(&XNonce::from(nonce), associated, value.as_mut_slice().into())
        .map_err(|_| Error::broken("a value could not be encrypted"))?;
    value.extend_from_slice(&tag);
    value.extend_from_slice(&nonce);
    value.rotate_right(NONCE);
    Ok(value)
}

/// Decrypts a value; `None` if the key or the associated data differ or the ciphertext was altered.
pub fn decrypt(key: &Key, associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    XChaCha20Poly1305::new(key.reveal().into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: associated })
        .ok()
}

/// Decrypts like `decrypt`, in place.
pub fn decrypt_in_place(key: &Key, associated: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
    let (nonce, tag) = (*sealed.first_chunk::<NONCE>()?, *sealed.last_chunk::<TAG>()?);
    let length = sealed.len().checked_sub(SEALING_BYTES)?;
    sealed.drain(..NONCE);
    sealed.truncate(length);
    XChaCha20Poly1305::new(key.reveal().into())
        .decrypt_inout_detached(&XNonce::from(nonce), associated, sealed.as_mut_slice().into(), &tag.into())
        .ok()?;
    Some(sealed)
}

/// The encryption key, which only wraps other keys.
#[derive(Clone)]
pub struct Kek {
    key: Key,
    wrapping: Key,
    /// Check value that identifies the key without revealing it.
    pub check: String,
}

impl Kek {
    /// Creates it from the configured encryption key.
    pub fn new(key: &Key) -> Self {
        let check = hex::encode(Sha256::digest(hmac_sha256(key.reveal(), b"coffer key check")));
        Self {
            key: key.clone(),
            wrapping: Secret::new(hmac_sha256(key.reveal(), b"coffer key wrapping")),
            check,
        }
    }

    /// Returns the key of this purpose as older versions derived it from the encryption key.
    pub fn derived(&self, purpose: Purpose) -> Key {
        let words: &[u8] = match purpose {
            Purpose::Data => b"coffer personal data",
            Purpose::Index => b"coffer blind index",
            Purpose::Pepper => b"coffer key pepper",
            Purpose::Fingerprint => b"coffer fingerprint",
            Purpose::Tokens => b"coffer tokens",
            Purpose::Passcodes => b"coffer passcodes",
        };
        Secret::new(hmac_sha256(self.key.reveal(), words))
    }

    /// Wraps a key for its row.
    pub fn wrap(&self, of: &Wrapped, key: &Key) -> Result<Vec<u8>> {
        encrypt(&self.wrapping, &of.bytes(), key.reveal())
    }

    /// Unwraps a row's key; `None` if it was wrapped by another key or for another row.
    pub fn unwrap(&self, row: &data_key::Model) -> Option<Key> {
        let key = decrypt(&self.wrapping, &Wrapped::of(row).bytes(), &row.wrapped)?;
        key.try_into().ok().map(Secret::new)
    }
}

/// Identity of a row's key. A wrapped key that is moved to another row cannot be unwrapped.
#[derive(Clone, Copy, Debug)]
pub struct Wrapped {
    pub id: Uuid,
    pub partner_id: Option<Uuid>,
    pub purpose: Purpose,
    pub number: i32,
}

impl Wrapped {
    /// Returns the identity of an existing row.
    pub const fn of(row: &data_key::Model) -> Self {
        Self { id: row.id, partner_id: row.partner_id, purpose: row.purpose, number: row.number }
    }

    /// Creates the identity of a new row.
    pub fn new(partner_id: Option<Uuid>, purpose: Purpose, number: i32) -> Self {
        Self { id: Ids.next(Kind::DataKey), partner_id, purpose, number }
    }

    fn bytes(&self) -> Vec<u8> {
        let purpose = sea_orm::ActiveEnum::to_value(&self.purpose);
        let partner = self.partner_id.unwrap_or_default();
        [
            self.id.as_bytes(),
            &b"|"[..],
            partner.as_bytes(),
            b"|",
            purpose.as_bytes(),
            b"|",
            &self.number.to_be_bytes(),
        ]
        .concat()
    }

    /// Inserts the row, unless another server has already inserted this version.
    pub async fn insert(&self, connection: &impl ConnectionTrait, kek: &Kek, key: &Key) -> Result<()> {
        let row = data_key::ActiveModel {
            id: Set(self.id),
            partner_id: Set(self.partner_id),
            purpose: Set(self.purpose),
            number: Set(self.number),
            wrapped: Set(kek.wrap(self, key)?),
            kek: Set(kek.check.clone()),
            created_at: Set(clock::system_now()),
            retired_at: Set(None),
        };
        let ignore_existing = OnConflict::new().do_nothing().to_owned();
        data_key::Entity::insert(row).on_conflict(ignore_existing).exec_without_returning(connection).await?;
        Ok(())
    }
}

/// Returns a random key.
pub fn random_key() -> Result<Key> {
    Ok(Secret::new(random()?))
}

/// The current encryption key, and the previous one while it is being replaced.
#[derive(Clone)]
pub struct Ring {
    pub current: Kek,
    pub previous: Option<Kek>,
}

impl Ring {
    /// Returns the encryption key with this check value.
    pub fn named(&self, check: &str) -> Option<&Kek> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|kek| kek.check == check)
    }

    /// Unwraps a row's key.
    pub fn unwrap(&self, row: &data_key::Model) -> Result<Key> {
        let kek = self.named(&row.kek).ok_or_else(|| {
            Error::broken(format!("data key {} is wrapped by another encryption key", row.id))
        })?;
        kek.unwrap(row).ok_or_else(|| Error::broken(format!("data key {} was altered", row.id)))
    }

    /// Wraps a row's key with the current encryption key; returns whether it was wrapped by another one.
    pub async fn rewrap(&self, connection: &impl ConnectionTrait, row: &data_key::Model) -> Result<bool> {
        if row.kek == self.current.check {
            return Ok(false);
        }
        let key = self.unwrap(row)?;
        let rewrapped = data_key::ActiveModel {
            wrapped: Set(self.current.wrap(&Wrapped::of(row), &key)?),
            kek: Set(self.current.check.clone()),
            ..Default::default()
        };
        let update = data_key::Entity::update_many().set(rewrapped).filter(data_key::Column::Id.eq(row.id));
        // The key is bound to the number as well, which may have changed meanwhile.
        let update = update
            .filter(data_key::Column::Kek.eq(row.kek.as_str()))
            .filter(data_key::Column::Number.eq(row.number));
        let changed = update.exec(connection).await?;
        Ok(changed.rows_affected == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kek: &Kek, wrapped: Wrapped, key: &Key) -> data_key::Model {
        data_key::Model {
            id: wrapped.id,
            partner_id: wrapped.partner_id,
            purpose: wrapped.purpose,
            number: wrapped.number,
            wrapped: kek.wrap(&wrapped, key).unwrap(),
            kek: kek.check.clone(),
            created_at: clock::system_now(),
            retired_at: None,
        }
    }

    #[test]
    fn a_wrapped_key_can_be_unwrapped_only_for_its_row_and_by_its_key() {
        let (old, new) = (Kek::new(&Secret::new([7; 32])), Kek::new(&Secret::new([8; 32])));
        let key = random_key().unwrap();
        let wrapped = Wrapped::new(Some(Uuid::from_u128(2)), Purpose::Data, 3);
        let row = row(&old, wrapped, &key);
        assert!(old.unwrap(&row) == Some(key.clone()));
        assert!(new.unwrap(&row).is_none());
        assert!(!row.wrapped.windows(32).any(|window| window == key.reveal()));
        for moved in [
            data_key::Model { id: Uuid::from_u128(9), ..row.clone() },
            data_key::Model { partner_id: None, ..row.clone() },
            data_key::Model { partner_id: Some(Uuid::from_u128(9)), ..row.clone() },
            data_key::Model { purpose: Purpose::Tokens, ..row.clone() },
            data_key::Model { number: 4, ..row.clone() },
            data_key::Model { wrapped: row.wrapped[1..].to_vec(), ..row.clone() },
        ] {
            assert!(old.unwrap(&moved).is_none(), "{moved:?}");
        }
        let ring = Ring { current: new.clone(), previous: Some(old) };
        assert!(ring.unwrap(&row).unwrap() == key);
        let alone = Ring { current: new, previous: None };
        assert_eq!(
            alone.unwrap(&row).unwrap_err().cause(),
            format!("data key {} is wrapped by another encryption key", row.id)
        );
    }

    #[test]
    fn the_check_value_of_a_key_is_stable() {
        let check = "934f63cca2b7e9f53b60cd4b98117917814995a634ad9342f4fabd037ef08e6c";
        assert_eq!(Kek::new(&Secret::new([7; 32])).check, check);
    }
}
