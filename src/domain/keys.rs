//! API keys: `sk_test_…` and `sk_live_…`, shown once, stored as a verifier.

use super::{
    Actor, Error, Result, Scope,
    actor::{PartnerKey, Who},
    clock, secrets,
    secrets::{Place, Secret, Signer},
    sessions,
};
use crate::app::App;
use entity::{
    Kind, api_key,
    partner::{self, Mode},
};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use subtle::ConstantTimeEq;
use uuid::Uuid;

const PUBLIC: usize = 8;
const PRIVATE: usize = 32;
const CHECKSUM: usize = 6;

/// Issues a key of `partner`. The text is shown here and never again; what is kept can verify it and sign webhooks with it.
pub async fn issue(app: &App, partner: &partner::Model, scopes: &[Scope]) -> Result<Secret<String>> {
    let public_id = secrets::random_base62(PUBLIC)?;
    let mode = if partner.mode == Mode::Live { "live" } else { "test" };
    let body = format!("sk_{mode}_{public_id}{}", secrets::random_base62(PRIVATE)?);
    let key = format!("{body}{}", checksum(&body));
    let id = app.ids.next(Kind::ApiKey);
    let signer = Signer::of(key.get(3..).unwrap_or_default().as_bytes()).to_bytes();
    let place = signer_place(id, partner.id);
    let row = api_key::Model {
        id,
        partner_id: partner.id,
        public_id,
        verifier: app.vault.key_verifier(&key).to_vec(),
        signer: app.vault.seal(place, &signer)?,
        scopes: scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" "),
        created_at: clock::system_now(),
        revoked_at: None,
    };
    let tx = app.db.write().await?;
    api_key::ActiveModel::from(row).reset_all().insert(&tx).await?;
    tx.commit().await?;
    Ok(Secret::new(key))
}

const fn signer_place(row: Uuid, partner: Uuid) -> Place {
    Place { column: "api_key.signer", row, partner }
}

/// Six characters that tell a mistyped key from a wrong one without a look-up.
pub fn checksum(body: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(body.as_bytes()).into();
    secrets::base62_of(digest.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes)))
}

/// The public id in a well-formed key whose checksum holds.
fn public_id_of(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("sk_test_").or_else(|| key.strip_prefix("sk_live_"))?;
    let whole = rest.len() == PUBLIC + PRIVATE + CHECKSUM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (body, sum) = key.split_at_checked(key.len().checked_sub(CHECKSUM)?)?;
    (whole && checksum(body) == sum).then(|| rest.get(..PUBLIC)).flatten()
}

/// Keys verified a moment ago, so that a busy caller costs one look-up a second.
#[derive(Debug, Default)]
pub struct Cache {
    keys: Mutex<HashMap<[u8; 32], (Instant, PartnerKey)>>,
    validity: Mutex<HashMap<Uuid, (Instant, bool)>>,
}

const FRESH: Duration = Duration::from_secs(1);
const MOST: usize = 10_000;

impl Cache {
    fn get(&self, verifier: &[u8; 32]) -> Option<PartnerKey> {
        let cache = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(verifier).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, key)| key.clone())
    }

    fn put(&self, verifier: [u8; 32], key: PartnerKey) {
        let mut cache = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MOST {
            cache.clear();
        }
        cache.insert(verifier, (Instant::now(), key));
    }

    fn validity(&self, key_id: Uuid) -> Option<bool> {
        let validity = self.validity.lock().unwrap_or_else(PoisonError::into_inner);
        validity.get(&key_id).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, valid)| *valid)
    }

    fn remember_validity(&self, key_id: Uuid, valid: bool) {
        let mut validity = self.validity.lock().unwrap_or_else(PoisonError::into_inner);
        if validity.len() >= MOST {
            validity.clear();
        }
        validity.insert(key_id, (Instant::now(), valid));
    }
}

/// Who presents this key. Refused alike for a mistyped, an unknown and a revoked one.
pub async fn authenticate(app: &App, key: &str) -> Result<Who> {
    let public_id = public_id_of(key).ok_or(Error::Unauthenticated)?;
    let verifier = app.vault.key_verifier(key);
    if let Some(known) = app.keys.get(&verifier) {
        return Ok(Who::Partner(known));
    }
    let row = api_key::Entity::find()
        .filter(api_key::Column::PublicId.eq(public_id))
        .filter(api_key::Column::RevokedAt.is_null())
        .one(&app.db.read)
        .await?
        .filter(|row| bool::from(row.verifier.ct_eq(&verifier)))
        .ok_or(Error::Unauthenticated)?;
    let partner = clock::partner(&app.db.read, row.partner_id).await?;
    app.vault.ready_for(&app.db, partner.id).await?;
    let scopes = row.scopes.split(' ').filter_map(Scope::parse).collect();
    let known = PartnerKey { partner_id: partner.id, key_id: row.id, mode: partner.mode, scopes };
    app.keys.put(verifier, known.clone());
    Ok(Who::Partner(known))
}

/// Whether a caller who was let in still would be; asked of the database once a second for each key.
pub async fn still_valid(app: &App, actor: &Actor) -> Result<bool> {
    let key = match &actor.who {
        Who::Partner(key) => key,
        Who::User(user) => return sessions::still_valid(app, user).await,
        Who::Nobody => return Ok(true),
    };
    if let Some(valid) = app.keys.validity(key.key_id) {
        return Ok(valid);
    }
    let row = api_key::Entity::find_by_id(key.key_id).one(&app.db.read).await?;
    let valid = row.is_some_and(|row| row.revoked_at.is_none());
    app.keys.remember_validity(key.key_id, valid);
    Ok(valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_key_has_a_public_id() {
        let body = format!("sk_test_{}{}", "a".repeat(PUBLIC), "b".repeat(PRIVATE));
        let key = format!("{body}{}", checksum(&body));
        assert_eq!(public_id_of(&key), Some("aaaaaaaa"));
        let other = key.replacen('b', "c", 1);
        let foreign = key.replacen("sk_test", "pk_test", 1);
        for wrong in ["", "sk_test_", &key[1..], &key[..key.len() - 1], &other, &foreign, "sk_test_ä"] {
            assert_eq!(public_id_of(wrong), None, "{wrong}");
        }
    }
}
