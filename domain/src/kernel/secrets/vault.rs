//! The unwrapped keys: each partner's data keys, and the server's own keys for indexes, verifiers,
//! fingerprints, tokens and passcodes.

#[cfg(test)]
mod tests;

use super::{
    Secret,
    envelope::{self, Kek, Key, Ring, Wrapped},
    hmac_sha256,
};
use crate::{Error, Result, kernel::db::Db};
use entity::{
    data_key::{self, Purpose},
    meta, partner,
};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, Iterable,
    PaginatorTrait, QueryFilter, QuerySelect, Select, sea_query::OnConflict,
};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use subtle::ConstantTimeEq as _;
use tokio::sync::Notify;
use uuid::Uuid;

/// Number of the server's index key once the chain heads are signed. A wrapped key is bound to its number, so
/// the previous number cannot be restored without the encryption key.
const HEADS_SIGNED: i32 = 2;

/// Name of the `meta` row with the check value of the encryption key.
pub const ENCRYPTION_KEY: &str = "encryption_key";

/// Identifies the place of an encrypted value. A ciphertext that is moved elsewhere cannot be decrypted.
#[derive(Clone, Copy, Debug)]
pub struct AssociatedData {
    pub column: &'static str,
    pub row: Uuid,
    pub partner: Uuid,
}

impl AssociatedData {
    fn bytes(&self) -> Vec<u8> {
        [self.column.as_bytes(), b"|", self.row.as_bytes(), b"|", self.partner.as_bytes()].concat()
    }
}

/// Length of a ciphertext's header: format number and version of the partner's data key.
const HEADER: usize = 5;
const FORMAT: u8 = 1;

fn header(number: u32) -> [u8; HEADER] {
    let [a, b, c, d] = number.to_be_bytes();
    [FORMAT, a, b, c, d]
}

/// Returns the version of the data key in a ciphertext's header; none for ciphertexts from before partners
/// had keys.
pub fn version_of(sealed: &[u8]) -> Option<u32> {
    let [format, number @ ..] = sealed.first_chunk::<HEADER>()?;
    (*format == FORMAT).then(|| u32::from_be_bytes(*number))
}

/// The server's own keys.
struct SystemKeys {
    index: Key,
    pepper: Key,
    fingerprint: Key,
    tokens: Key,
    passcodes: Key,
    /// Decrypts values from before partners had their own keys.
    older: Option<Key>,
}

/// Signing key of the chain heads, derived from the index key, which stays the same when the encryption key
/// is replaced.
#[derive(Clone)]
pub struct HeadKey {
    key: Key,
    signed: bool,
}

impl fmt::Debug for HeadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadKey")
    }
}

impl HeadKey {
    fn of(index: &Key, signed: bool) -> Self {
        Self { key: Secret::new(hmac_sha256(index.reveal(), b"chain heads")), signed }
    }

    /// Reads the key without writing anything; `None` if no server has written keys to this database yet.
    pub async fn read(
        db: &Db,
        key: &Secret<[u8; 32]>,
        previous: Option<&Secret<[u8; 32]>>,
    ) -> Result<Option<Self>> {
        let ring = Ring { current: Kek::new(key), previous: previous.map(Kek::new) };
        let row = index_key().one(&db.read).await?;
        if row.is_none() && data_key::Entity::find().one(&db.read).await?.is_some() {
            return Err(Error::broken("the key that signs the chain heads is missing"));
        }
        row.map(|row| Ok(Self::of(&ring.unwrap(&row)?, row.number >= HEADS_SIGNED))).transpose()
    }

    /// Whether the chain heads of this database have been signed. In a database from an older version they
    /// are not, until a server opens it.
    pub const fn has_signed(&self) -> bool {
        self.signed
    }

    /// Returns the HMAC-SHA256 of a head.
    pub fn sign(&self, head: &[u8; 32]) -> [u8; 32] {
        hmac_sha256(self.key.reveal(), head)
    }

    /// Whether this is a head's signature.
    pub fn is_signature(&self, head: &[u8; 32], signature: &[u8]) -> bool {
        self.sign(head).as_slice().ct_eq(signature).into()
    }
}

fn index_key() -> Select<data_key::Entity> {
    data_key::Entity::find()
        .filter(data_key::Column::PartnerId.is_null())
        .filter(data_key::Column::Purpose.eq(Purpose::Index))
}

/// A partner's data keys by version.
type Versions = BTreeMap<u32, Key>;

struct Keys {
    ring: Ring,
    system: SystemKeys,
    partners: RwLock<HashMap<Uuid, Versions>>,
    missed: Notify,
    heads_signed: AtomicBool,
}

/// The unwrapped keys of this server. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Keys>);

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Unwraps the keys of a migrated database and creates missing ones; `None` if the database was written
    /// with another encryption key.
    ///
    /// While the encryption key is being replaced, `previous` unwraps the keys that it wrapped.
    pub async fn unlock(
        db: &Db,
        key: &Secret<[u8; 32]>,
        previous: Option<&Secret<[u8; 32]>>,
    ) -> Result<Option<Self>> {
        let ring = Ring { current: Kek::new(key), previous: previous.map(Kek::new) };
        if !written_with(db, &ring).await? {
            return Ok(None);
        }
        let system = SystemKeys::open(db, &ring).await?;
        let heads_signed =
            AtomicBool::new(index_key().one(&db.read).await?.is_some_and(|row| row.number >= HEADS_SIGNED));
        let vault = Self(Arc::new(Keys {
            ring,
            system,
            partners: RwLock::default(),
            missed: Notify::new(),
            heads_signed,
        }));
        vault.load(db).await?;
        for id in partner::Entity::find()
            .select_only()
            .column(partner::Column::Id)
            .into_tuple::<Uuid>()
            .all(&db.read)
            .await?
        {
            vault.ready_for(db, id).await?;
        }
        Ok(Some(vault))
    }

    /// Whether this encryption key or the previous one fits the database. Writes nothing.
    pub async fn fits(db: &Db, key: &Secret<[u8; 32]>, previous: Option<&Secret<[u8; 32]>>) -> Result<bool> {
        written_with(db, &Ring { current: Kek::new(key), previous: previous.map(Kek::new) }).await
    }

    /// Loads a partner's data keys unless they are in memory, and creates the first one if there is none.
    ///
    /// Must not be called while a write transaction is open.
    pub async fn ready_for(&self, db: &Db, partner_id: Uuid) -> Result<()> {
        if self.knows(partner_id) {
            return Ok(());
        }
        let of_partner = || data_keys().filter(data_key::Column::PartnerId.eq(partner_id));
        let mut rows = of_partner().all(&db.read).await?;
        if rows.is_empty() {
            let tx = db.write().await?;
            Wrapped::new(Some(partner_id), Purpose::Data, 1)
                .insert(&tx, &self.0.ring.current, &envelope::random_key()?)
                .await?;
            rows = of_partner().all(&tx).await?;
            tx.commit().await?;
        }
        rows.iter().try_for_each(|row| self.learn(row))
    }

    /// Creates the first data key of a partner that is created in this transaction.
    pub async fn first_key_for(&self, connection: &impl ConnectionTrait, partner_id: Uuid) -> Result<()> {
        self.create_version(connection, partner_id, 1).await
    }

    /// Creates a version of a partner's data key, unless it exists.
    pub(crate) async fn create_version(
        &self,
        connection: &impl ConnectionTrait,
        partner_id: Uuid,
        number: i32,
    ) -> Result<()> {
        Wrapped::new(Some(partner_id), Purpose::Data, number)
            .insert(connection, &self.0.ring.current, &envelope::random_key()?)
            .await
    }

    /// Loads keys that other servers have created. Keys are never deleted, so a different count means new
    /// keys.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        let existing = data_keys().filter(data_key::Column::PartnerId.is_not_null()).count(&db.read).await?;
        let known: usize =
            self.0.partners.read().unwrap_or_else(PoisonError::into_inner).values().map(BTreeMap::len).sum();
        if existing == known as u64 { Ok(()) } else { self.load(db).await }
    }

    /// Loads all partners' data keys.
    pub(crate) async fn load(&self, db: &Db) -> Result<()> {
        let rows = data_keys().filter(data_key::Column::PartnerId.is_not_null()).all(&db.read).await?;
        rows.iter().map(|row| self.learn(row)).fold(Ok(()), Result::and)
    }

    /// Waits for `longest`, or until shortly after a key was missing.
    pub async fn missed(&self, longest: Duration) {
        tokio::time::sleep(longest / 20).await;
        _ = tokio::time::timeout(longest, self.0.missed.notified()).await;
    }

    fn knows(&self, partner_id: Uuid) -> bool {
        self.0.partners.read().unwrap_or_else(PoisonError::into_inner).contains_key(&partner_id)
    }

    fn learn(&self, row: &data_key::Model) -> Result<()> {
        let (Some(partner_id), Ok(number)) = (row.partner_id, u32::try_from(row.number)) else {
            return Ok(());
        };
        if self.key(partner_id, number).is_some() {
            return Ok(());
        }
        let key = self.0.ring.unwrap(row)?;
        let mut partners = self.0.partners.write().unwrap_or_else(PoisonError::into_inner);
        partners.entry(partner_id).or_default().insert(number, key);
        Ok(())
    }

    fn key(&self, partner_id: Uuid, number: u32) -> Option<Key> {
        let partners = self.0.partners.read().unwrap_or_else(PoisonError::into_inner);
        partners.get(&partner_id)?.get(&number).cloned()
    }

    /// Returns the newest loaded version of a partner's data key, with its number.
    fn newest(&self, partner_id: Uuid) -> Option<(u32, Key)> {
        let partners = self.0.partners.read().unwrap_or_else(PoisonError::into_inner);
        partners.get(&partner_id)?.last_key_value().map(|(number, key)| (*number, key.clone()))
    }

    /// Returns the number of the newest loaded version of a partner's data key.
    pub(crate) fn newest_version(&self, partner_id: Uuid) -> Option<u32> {
        self.newest(partner_id).map(|(number, _)| number)
    }

    /// Returns the encryption key and the previous one.
    pub(crate) fn ring(&self) -> &Ring {
        &self.0.ring
    }

    /// Encrypts a value for its place with the partner's newest data key.
    pub fn seal(&self, place: AssociatedData, value: &[u8]) -> Result<Vec<u8>> {
        let (number, key) = self.newest(place.partner).ok_or_else(|| self.missing(place))?;
        let header = header(number);
        let sealed = envelope::encrypt(&key, &[&header[..], &place.bytes()].concat(), value)?;
        Ok([&header[..], &sealed].concat())
    }

    /// Decrypts a value from its place.
    pub fn open(&self, place: AssociatedData, sealed: &[u8]) -> Result<Secret<Vec<u8>>> {
        let version = version_of(sealed);
        let key = version.and_then(|number| self.key(place.partner, number));
        let opened = match (&key, sealed.split_at_checked(HEADER)) {
            (Some(key), Some((header, rest))) => {
                envelope::decrypt(key, &[header, &place.bytes()].concat(), rest)
            }
            _ => None,
        };
        let older = || envelope::decrypt(self.0.system.older.as_ref()?, &place.bytes(), sealed);
        opened.or_else(older).map(Secret::new).ok_or_else(|| match (version, key) {
            (Some(_), None) => self.missing(place),
            _ => {
                Error::broken(format!("{} of {} cannot be decrypted with this key", place.column, place.row))
            }
        })
    }

    fn missing(&self, place: AssociatedData) -> Error {
        self.0.missed.notify_one();
        Error::broken(format!("{} of {} needs a data key that is not loaded", place.column, place.row))
    }

    /// Decrypts a text from its place.
    pub fn open_text(&self, place: AssociatedData, sealed: &[u8]) -> Result<Secret<String>> {
        let bytes = self.open(place, sealed)?;
        String::from_utf8(bytes.reveal().clone())
            .map(Secret::new)
            .map_err(|_| Error::broken("a decrypted value is not UTF-8"))
    }

    /// Returns a keyed hash for lookups: equal for equal values of a partner's column.
    pub fn blind_index(&self, column: &str, partner: Uuid, value: &str) -> Vec<u8> {
        let text = [column.as_bytes(), b"|", partner.as_bytes(), b"|", value.as_bytes()].concat();
        hmac_sha256(self.0.system.index.reveal(), &text).to_vec()
    }

    /// Returns the verifier of an API key, which is stored instead of the key.
    pub fn key_verifier(&self, key: &str) -> [u8; 32] {
        hmac_sha256(self.0.system.pepper.reveal(), key.as_bytes())
    }

    /// Returns a keyed hash of the subject of a limit. A bare hash of an address could be reversed with few
    /// guesses.
    pub fn limit_key(&self, limit: &str, subject: &[u8]) -> [u8; 32] {
        hmac_sha256(self.0.system.index.reveal(), &[limit.as_bytes(), b"|", subject].concat())
    }

    /// Signs a link that grants access by itself.
    pub fn link_signature(&self, link: &str) -> [u8; 32] {
        hmac_sha256(self.0.system.index.reveal(), &[b"link|", link.as_bytes()].concat())
    }

    /// Returns a keyed hash of a request's arguments. A bare hash of secrets in them could be reversed with
    /// few guesses.
    pub fn request_fingerprint(&self, arguments: &[u8]) -> [u8; 32] {
        hmac_sha256(self.0.system.fingerprint.reveal(), arguments)
    }

    /// Returns the signing key of the chain heads.
    pub fn head_key(&self) -> HeadKey {
        HeadKey::of(&self.0.system.index, self.has_signed_heads())
    }

    /// Whether the chain heads have been signed.
    pub(crate) fn has_signed_heads(&self) -> bool {
        self.0.heads_signed.load(Ordering::SeqCst)
    }

    /// Records in memory that the chain heads are signed; call it after the transaction that signed them.
    pub(crate) fn heads_are_signed(&self) {
        self.0.heads_signed.store(true, Ordering::SeqCst);
    }

    /// Records permanently that the chain heads are signed; returns `false` if they already were.
    pub(crate) async fn mark_heads_signed(&self, connection: &impl ConnectionTrait) -> Result<bool> {
        let row = index_key()
            .one(connection)
            .await?
            .ok_or_else(|| Error::broken("one of the server's own keys is missing"))?;
        if row.number >= HEADS_SIGNED {
            return Ok(false);
        }
        let key = self.0.ring.unwrap(&row)?;
        let marked = Wrapped { number: HEADS_SIGNED, ..Wrapped::of(&row) };
        let change = data_key::ActiveModel {
            number: Set(HEADS_SIGNED),
            wrapped: Set(self.0.ring.current.wrap(&marked, &key)?),
            kek: Set(self.0.ring.current.check.clone()),
            ..Default::default()
        };
        let update = data_key::Entity::update_many().set(change).filter(data_key::Column::Id.eq(row.id));
        Ok(update.filter(data_key::Column::Number.eq(row.number)).exec(connection).await?.rows_affected == 1)
    }

    /// Returns the signing key of tokens.
    pub fn token_key(&self) -> &Secret<[u8; 32]> {
        &self.0.system.tokens
    }

    /// Returns the MAC of a one-time passcode, which is stored instead of the passcode.
    pub fn passcode_mac(&self, passcode: &[u8]) -> [u8; 32] {
        hmac_sha256(self.0.system.passcodes.reveal(), passcode)
    }

    /// Returns the check value of the encryption key.
    pub fn check(&self) -> &str {
        &self.0.ring.current.check
    }
}

fn data_keys() -> Select<data_key::Entity> {
    data_key::Entity::find().filter(data_key::Column::Purpose.eq(Purpose::Data))
}

async fn stored_check(db: &Db) -> Result<Option<String>> {
    Ok(meta::Entity::find_by_id(ENCRYPTION_KEY).one(&db.read).await?.map(|row| row.value))
}

/// Whether the database is new or was written with one of these keys: they wrap each of its keys and wrote
/// its check value.
async fn written_with(db: &Db, ring: &Ring) -> Result<bool> {
    let wrappers = data_key::Entity::find().select_only().column(data_key::Column::Kek).distinct();
    let mut checks: Vec<String> = wrappers.into_tuple().all(&db.read).await?;
    checks.extend(stored_check(db).await?);
    Ok(checks.iter().all(|check| ring.named(check).is_some()))
}

impl SystemKeys {
    async fn open(db: &Db, ring: &Ring) -> Result<Self> {
        let mut keys = Self::read(&db.read, ring).await?;
        if Purpose::iter().any(|purpose| purpose != Purpose::Data && !keys.contains_key(&name(purpose))) {
            keys = Self::create_missing(db, ring, &keys).await?;
        }
        let mut take = |purpose| keys.remove(&name(purpose));
        let older = take(Purpose::Data);
        let mut need =
            |purpose| take(purpose).ok_or_else(|| Error::broken("one of the server's own keys is missing"));
        Ok(Self {
            index: need(Purpose::Index)?,
            pepper: need(Purpose::Pepper)?,
            fingerprint: need(Purpose::Fingerprint)?,
            tokens: need(Purpose::Tokens)?,
            passcodes: need(Purpose::Passcodes)?,
            older,
        })
    }

    async fn read(connection: &impl ConnectionTrait, ring: &Ring) -> Result<HashMap<String, Key>> {
        let rows =
            data_key::Entity::find().filter(data_key::Column::PartnerId.is_null()).all(connection).await?;
        rows.iter().map(|row| Ok((name(row.purpose), ring.unwrap(row)?))).collect()
    }

    /// Creates missing keys. A database with a check value but no keys is from when every key was derived
    /// from the encryption key; it keeps those keys.
    async fn create_missing(
        db: &Db,
        ring: &Ring,
        existing: &HashMap<String, Key>,
    ) -> Result<HashMap<String, Key>> {
        let check = stored_check(db).await?;
        let keyless = existing.is_empty() && data_key::Entity::find().one(&db.read).await?.is_none();
        let deriving_kek = check.as_deref().filter(|_| keyless).and_then(|check| ring.named(check));
        let tx = db.write().await?;
        for purpose in Purpose::iter().filter(|purpose| !existing.contains_key(&name(*purpose))) {
            let derived = deriving_kek.map(|kek| kek.derived(purpose));
            if purpose != Purpose::Data || derived.is_some() {
                let number = if purpose == Purpose::Index && derived.is_none() { HEADS_SIGNED } else { 1 };
                Wrapped::new(None, purpose, number)
                    .insert(&tx, &ring.current, &derived.map_or_else(envelope::random_key, Ok)?)
                    .await?;
            }
        }
        let row = meta::Model { name: ENCRYPTION_KEY.to_owned(), value: ring.current.check.clone() };
        let row = meta::Entity::insert(meta::ActiveModel::from(row).reset_all());
        row.on_conflict(OnConflict::new().do_nothing().to_owned()).exec_without_returning(&tx).await?;
        let keys = Self::read(&tx, ring).await?;
        tx.commit().await?;
        Ok(keys)
    }
}

fn name(purpose: Purpose) -> String {
    purpose.to_value()
}
