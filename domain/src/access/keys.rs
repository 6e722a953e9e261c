//! API keys: secret (`sk_test_…`, `sk_live_…`) and publishable (`pk_test_…`, `pk_live_…`). The text of a key
//! is returned once; only a verifier is stored.

mod issuing;

use crate::{
    Actor, Error, Result, Scope,
    kernel::{
        actor::{PartnerKey, Who},
        app::{App, Feature},
        clock,
        rights::{Rights, RightsCache, SharedReads},
        secrets::{self, AssociatedData, Secret, Signer},
    },
};
pub use issuing::{Issued, NewKey, Rotation, find_by_public_id, issue_for, list, of_caller, revoke, rotate};

use super::sessions;
use chrono::{DateTime, Utc};
use entity::{
    Kind, api_key,
    partner::{self, Mode},
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

const PUBLIC_ID_LENGTH: usize = 8;
const SECRET_LENGTH: usize = 32;
const CHECKSUM_LENGTH: usize = 6;

/// Issues the first API key of `partner`, without an event. Returns the text of the key, which cannot be
/// retrieved later; the stored data can verify it and sign webhooks.
pub async fn issue(app: &App, partner: &partner::Model, scopes: &[Scope]) -> Result<Secret<String>> {
    let (row, text) = generate(app, partner, scopes)?;
    let tx = app.db.write().await?;
    api_key::ActiveModel::from(row).reset_all().insert(&tx).await?;
    tx.commit().await?;
    Ok(text)
}

/// Generates a key of `partner`: its row and its text. It is publishable if `start` is its only scope.
fn generate(
    app: &App,
    partner: &partner::Model,
    scopes: &[Scope],
) -> Result<(api_key::Model, Secret<String>)> {
    let public_id = secrets::random_base62(PUBLIC_ID_LENGTH)?;
    let scopes = scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ");
    let body =
        format!("{}{public_id}{}", prefix(&scopes, partner.mode), secrets::random_base62(SECRET_LENGTH)?);
    let key = format!("{body}{}", checksum(&body));
    let id = app.ids.next(Kind::ApiKey);
    let signer = Signer::of(key.get(3..).unwrap_or_default().as_bytes()).to_bytes();
    let row = api_key::Model {
        id,
        partner_id: partner.id,
        public_id,
        verifier: app.vault.key_verifier(&key).to_vec(),
        signer: app.vault.seal(signer_associated_data(id, partner.id), &signer)?,
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

/// Returns the prefix of a key's text.
fn prefix(scopes: &str, mode: Mode) -> &'static str {
    match (scopes == Scope::Start.name(), mode) {
        (false, Mode::Sandbox) => "sk_test_",
        (false, Mode::Live) => "sk_live_",
        (true, Mode::Sandbox) => "pk_test_",
        (true, Mode::Live) => "pk_live_",
    }
}

const PREFIXES: [&str; 4] = ["sk_test_", "sk_live_", "pk_test_", "pk_live_"];

/// Whether a credential looks like an API key, well-formed or not.
pub fn looks_like(credential: &str) -> bool {
    ["sk_", "pk_"].iter().any(|prefix| credential.starts_with(prefix))
}

/// Returns the part of a key that may be displayed: its prefix and public id.
pub fn display_prefix(row: &api_key::Model, mode: Mode) -> String {
    format!("{}{}", prefix(&row.scopes, mode), row.public_id)
}

/// Returns the scopes of a key.
pub fn scopes(row: &api_key::Model) -> Vec<Scope> {
    if row.scopes == Scope::Start.name() {
        return vec![Scope::Start];
    }
    row.scopes.split(' ').filter_map(Scope::parse).collect()
}

/// Condition for keys that are neither revoked nor expired.
fn live_at(now: DateTime<Utc>) -> Condition {
    let unexpired =
        Condition::any().add(api_key::Column::ExpiresAt.is_null()).add(api_key::Column::ExpiresAt.gt(now));
    Condition::all().add(api_key::Column::RevokedAt.is_null()).add(unexpired)
}

/// Whether a key is neither revoked nor expired.
pub fn is_live(row: &api_key::Model, now: DateTime<Utc>) -> bool {
    row.revoked_at.is_none() && row.expires_at.is_none_or(|end| end > now)
}

/// Returns the live keys of all partners, oldest first.
pub async fn active(connection: &impl ConnectionTrait) -> Result<Vec<api_key::Model>> {
    let select =
        api_key::Entity::find().filter(live_at(clock::system_now())).order_by_asc(api_key::Column::Id);
    Ok(select.all(connection).await?)
}

const fn signer_associated_data(row: Uuid, partner: Uuid) -> AssociatedData {
    AssociatedData { column: "api_key.signer", row, partner }
}

/// Returns the six-character checksum of a key, which detects mistyped keys without a database query.
pub fn checksum(body: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(body.as_bytes()).into();
    secrets::base62_of(digest.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes)))
}

/// Returns the public id of a well-formed key with a correct checksum.
fn public_id_of(key: &str) -> Option<&str> {
    let rest = PREFIXES.iter().find_map(|prefix| key.strip_prefix(prefix))?;
    let whole = rest.len() == PUBLIC_ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (body, sum) = key.split_at_checked(key.len().checked_sub(CHECKSUM_LENGTH)?)?;
    (whole && checksum(body) == sum).then(|| rest.get(..PUBLIC_ID_LENGTH)).flatten()
}

/// Validity of a key: already ended, or until a time (no time means no expiry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Validity {
    Ended,
    Until(Option<DateTime<Utc>>),
}

impl Validity {
    fn of(row: Option<&api_key::Model>) -> Self {
        row.filter(|row| row.revoked_at.is_none()).map_or(Self::Ended, |row| Self::Until(row.expires_at))
    }

    fn holds(self) -> bool {
        match self {
            Self::Ended => false,
            Self::Until(end) => end.is_none_or(|end| end > clock::system_now()),
        }
    }
}

/// Cache of key look-ups, so that a busy caller costs one database query a second.
#[derive(Debug)]
struct Cache {
    keys: RightsCache<[u8; 32], (PartnerKey, Validity)>,
    validity: RightsCache<Uuid, Validity>,
    reads: SharedReads<Uuid>,
}

impl Cache {
    fn get(&self, rights: &Rights, verifier: &[u8; 32]) -> Option<PartnerKey> {
        let (key, validity) = self.keys.get(rights, verifier, |(key, _)| vec![key.key_id])?;
        validity.holds().then_some(key)
    }

    fn validity(&self, rights: &Rights, key_id: Uuid) -> Option<Validity> {
        self.validity.get(rights, &key_id, |_| vec![key_id])
    }
}

/// Authenticates an API key. Malformed, unknown, revoked and expired keys get the same error.
pub async fn authenticate(app: &App, key: &str) -> Result<Who> {
    let public_id = public_id_of(key).ok_or(Error::Unauthenticated)?;
    let verifier = app.vault.key_verifier(key);
    if let Some(known) = app.feature::<Cache>().get(&app.rights, &verifier) {
        return Ok(Who::Partner(known));
    }
    let moment = app.rights.now();
    let row = api_key::Entity::find()
        .filter(api_key::Column::PublicId.eq(public_id))
        .filter(live_at(clock::system_now()))
        .one(&app.db.read)
        .await?
        .filter(|row| bool::from(row.verifier.ct_eq(&verifier)))
        .ok_or(Error::Unauthenticated)?;
    app.vault.ready_for(&app.db, row.partner_id).await?;
    // The mode of a partner never changes, so the prefix is reliable.
    let mode = if key.get(2..8) == Some("_live_") { Mode::Live } else { Mode::Sandbox };
    let known = PartnerKey { partner_id: row.partner_id, key_id: row.id, mode, scopes: scopes(&row) };
    app.feature::<Cache>().keys.put(verifier, moment, (known.clone(), Validity::of(Some(&row))));
    Ok(Who::Partner(known))
}

/// Whether an authenticated caller would still be authenticated. Queries the database at most once a second
/// for each key, and again after a right has ended on this server.
pub async fn still_valid(app: &App, actor: &Actor) -> Result<bool> {
    let key = match &actor.who {
        Who::Partner(key) => key,
        Who::User(user) => return sessions::still_valid(app, user).await,
        Who::Anonymous => return Ok(true),
    };
    let key_id = key.key_id;
    if let Some(valid) = app.feature::<Cache>().validity(&app.rights, key_id) {
        return Ok(valid.holds());
    }
    // Boxed because each socket awaits this for each message, and hardly ever needs the read.
    Box::pin(shared_validity(app, key_id)).await
}

/// Reads whether a key is valid, once for all that ask at the same time.
async fn shared_validity(app: &App, key_id: Uuid) -> Result<bool> {
    let (cache, own) = (app.feature::<Cache>(), app.clone());
    cache.reads.run(key_id, || async move { _ = read_validity(&own, key_id).await }).await;
    match cache.validity(&app.rights, key_id) {
        Some(valid) => Ok(valid.holds()),
        // The query failed, or a right was ended meanwhile.
        None => Ok(read_validity(app, key_id).await?.holds()),
    }
}

async fn read_validity(app: &App, key_id: Uuid) -> Result<Validity> {
    let moment = app.rights.now();
    let row = api_key::Entity::find_by_id(key_id).one(&app.db.read).await?;
    let valid = Validity::of(row.as_ref());
    app.feature::<Cache>().validity.put(key_id, moment, valid);
    Ok(valid)
}

impl Feature for Cache {
    fn new(app: &App) -> Self {
        let (keys, validity) = (RightsCache::new(app), RightsCache::new(app));
        Self { keys, validity, reads: SharedReads::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_key_has_a_public_id() {
        let body = format!("sk_test_{}{}", "a".repeat(PUBLIC_ID_LENGTH), "b".repeat(SECRET_LENGTH));
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
