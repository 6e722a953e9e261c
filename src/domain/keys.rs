//! API keys: `sk_test_…` and `sk_live_…`, and publishable ones with `pk_` in that place; shown once, stored as a verifier.

mod issuing;

pub use issuing::{Issued, NewKey, Rotation, issue_for, list, named, revoke, rotate};

use super::{
    Actor, Error, Result, Scope,
    actor::{PartnerKey, Who},
    clock, secrets,
    secrets::{Place, Secret, Signer},
    sessions,
};
use crate::app::App;
use chrono::{DateTime, Utc};
use entity::{
    Kind, api_key,
    partner::{self, Mode},
};
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
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

/// Issues a first key of `partner`, of which the event log does not tell. The text is shown here and never again; what is
/// kept can verify it and sign webhooks with it.
pub async fn issue(app: &App, partner: &partner::Model, scopes: &[Scope]) -> Result<Secret<String>> {
    let (row, text) = made(app, partner, scopes)?;
    let tx = app.db.write().await?;
    api_key::ActiveModel::from(row).reset_all().insert(&tx).await?;
    tx.commit().await?;
    Ok(text)
}

/// A new key of `partner`, its row and its text; publishable when to begin a customer is all that it may do.
fn made(app: &App, partner: &partner::Model, scopes: &[Scope]) -> Result<(api_key::Model, Secret<String>)> {
    let public_id = secrets::random_base62(PUBLIC)?;
    let scopes = scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ");
    let body = format!("{}{public_id}{}", prefix(&scopes, partner.mode), secrets::random_base62(PRIVATE)?);
    let key = format!("{body}{}", checksum(&body));
    let id = app.ids.next(Kind::ApiKey);
    let signer = Signer::of(key.get(3..).unwrap_or_default().as_bytes()).to_bytes();
    let row = api_key::Model {
        id,
        partner_id: partner.id,
        public_id,
        verifier: app.vault.key_verifier(&key).to_vec(),
        signer: app.vault.seal(signer_place(id, partner.id), &signer)?,
        scopes,
        created_at: clock::system_now(),
        revoked_at: None,
        label: String::new(),
        rotated_from: None,
        lineage_id: id,
        expires_at: None,
    };
    Ok((row, Secret::new(key)))
}

/// What a key's text begins with.
fn prefix(scopes: &str, mode: Mode) -> &'static str {
    match (scopes == Scope::Start.name(), mode) {
        (false, Mode::Sandbox) => "sk_test_",
        (false, Mode::Live) => "sk_live_",
        (true, Mode::Sandbox) => "pk_test_",
        (true, Mode::Live) => "pk_live_",
    }
}

const PREFIXES: [&str; 4] = ["sk_test_", "sk_live_", "pk_test_", "pk_live_"];

/// The part of a key that may be shown: what its text begins with.
pub fn shown(row: &api_key::Model, mode: Mode) -> String {
    format!("{}{}", prefix(&row.scopes, mode), row.public_id)
}

/// What a key may do.
pub fn scopes(row: &api_key::Model) -> Vec<Scope> {
    if row.scopes == Scope::Start.name() {
        return vec![Scope::Start];
    }
    row.scopes.split(' ').filter_map(Scope::parse).collect()
}

/// Which keys open something at this moment.
fn live_at(now: DateTime<Utc>) -> Condition {
    let unexpired = Condition::any().add(api_key::Column::ExpiresAt.is_null()).add(api_key::Column::ExpiresAt.gt(now));
    Condition::all().add(api_key::Column::RevokedAt.is_null()).add(unexpired)
}

/// Whether a key opens something at this moment.
pub fn is_live(row: &api_key::Model, now: DateTime<Utc>) -> bool {
    row.revoked_at.is_none() && row.expires_at.is_none_or(|end| end > now)
}

/// Every key of every partner that opens something at this moment, oldest first.
pub async fn active(connection: &impl ConnectionTrait) -> Result<Vec<api_key::Model>> {
    let select = api_key::Entity::find().filter(live_at(clock::system_now())).order_by_asc(api_key::Column::Id);
    Ok(select.all(connection).await?)
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
    let rest = PREFIXES.iter().find_map(|prefix| key.strip_prefix(prefix))?;
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

    /// Asks the database again about a key that was revoked.
    fn forget(&self, key_id: Uuid) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (_, key)| key.key_id != key_id);
        self.validity.lock().unwrap_or_else(PoisonError::into_inner).remove(&key_id);
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

/// Who presents this key. Refused alike for a mistyped, an unknown, a revoked and an expired one.
pub async fn authenticate(app: &App, key: &str) -> Result<Who> {
    let public_id = public_id_of(key).ok_or(Error::Unauthenticated)?;
    let verifier = app.vault.key_verifier(key);
    if let Some(known) = app.keys.get(&verifier) {
        return Ok(Who::Partner(known));
    }
    let row = api_key::Entity::find()
        .filter(api_key::Column::PublicId.eq(public_id))
        .filter(live_at(clock::system_now()))
        .one(&app.db.read)
        .await?
        .filter(|row| bool::from(row.verifier.ct_eq(&verifier)))
        .ok_or(Error::Unauthenticated)?;
    app.vault.ready_for(&app.db, row.partner_id).await?;
    // A partner's mode never changes, and its keys say it.
    let mode = if key.get(2..8) == Some("_live_") { Mode::Live } else { Mode::Sandbox };
    let known = PartnerKey { partner_id: row.partner_id, key_id: row.id, mode, scopes: scopes(&row) };
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
    let valid = row.is_some_and(|row| is_live(&row, clock::system_now()));
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
        let body = body.replacen("sk_test", "pk_live", 1);
        assert_eq!(public_id_of(&format!("{body}{}", checksum(&body))), Some("aaaaaaaa"));
        for wrong in ["", "sk_test_", &key[1..], &key[..key.len() - 1], &other, &foreign, "sk_test_ä"] {
            assert_eq!(public_id_of(wrong), None, "{wrong}");
        }
    }
}
