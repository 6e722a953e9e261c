//! The keys at work: each partner's data keys, and the house's own for indexes, verifiers, fingerprints,
//! tokens and passcodes.

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

/// The number that the server's index key has once the heads of the chains are signed. Numbers are part of
/// what a wrapped key is bound to, so the one before cannot be put back without the encryption key.
const HEADS_SIGNED: i32 = 2;

/// Where the check value of the encryption key is kept.
pub const ENCRYPTION_KEY: &str = "encryption_key";

/// Where an encrypted value stands. A ciphertext moved to another place does not open.
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

/// What a ciphertext begins with: the number of its format, and the version of the partner's data key.
const HEADER: usize = 5;
const FORMAT: u8 = 1;

fn header(number: u32) -> [u8; HEADER] {
    let [a, b, c, d] = number.to_be_bytes();
    [FORMAT, a, b, c, d]
}

/// The version of the data key that a ciphertext says it was made with; none for one from before partners had
/// keys.
pub fn version_of(sealed: &[u8]) -> Option<u32> {
    let [format, number @ ..] = sealed.first_chunk::<HEADER>()?;
    (*format == FORMAT).then(|| u32::from_be_bytes(*number))
}

/// The house's own keys.
struct SystemKeys {
    index: Key,
    pepper: Key,
    fingerprint: Key,
    tokens: Key,
    passcodes: Key,
    /// Opens what was encrypted before partners had keys of their own.
    older: Option<Key>,
}

/// What the ends of the chains are signed with: no key of its own, but one derived from the index key, which
/// stays the same when the encryption key is replaced.
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

    /// Reads the key without writing anything; `None` when no server has written keys to this database yet.
    pub async fn read(
        db: &Db,
        key: &Secret<[u8; 32]>,
        previous: Option<&Secret<[u8; 32]>>,
    ) -> Result<Option<Self>> {
        let ring = Ring { current: Kek::new(key), previous: previous.map(Kek::new) };
        let row = index_key().one(&db.read).await?;
        if row.is_none() && data_key::Entity::find().one(&db.read).await?.is_some() {
            return Err(Error::broken("the key that signs the heads is missing"));
        }
        row.map(|row| Ok(Self::of(&ring.unwrap(&row)?, row.number >= HEADS_SIGNED))).transpose()
    }

    /// Whether the heads of this database have been signed. Those of a database from before there were heads
    /// have not, until a server opens it.
    pub const fn has_signed(&self) -> bool {
        self.signed
    }

    /// HMAC-SHA256 of a head.
    pub fn sign(&self, head: &[u8; 32]) -> [u8; 32] {
        hmac_sha256(self.key.reveal(), head)
    }

    /// Whether this is the signature of a head.
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

/// The keys this server works with, unwrapped. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Keys>);

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Unwraps the keys of a migrated database, the missing ones being made; `None` when it was written with
    /// another encryption key.
    ///
    /// While the encryption key is replaced, `previous` still opens what it wraps.
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

    /// Whether this encryption key, or the previous one, opens the database. Nothing is written.
    pub async fn fits(db: &Db, key: &Secret<[u8; 32]>, previous: Option<&Secret<[u8; 32]>>) -> Result<bool> {
        written_with(db, &Ring { current: Kek::new(key), previous: previous.map(Kek::new) }).await
    }

    /// Makes sure that a partner's data can be sealed and opened: one look into memory, or into the database
    /// for a partner who was unknown, whose first key is made when there is none.
    ///
    /// Must not be called while a transaction that writes is open.
    pub async fn ready_for(&self, db: &Db, partner_id: Uuid) -> Result<()> {
        if self.knows(partner_id) {
            return Ok(());
        }
        let of_partner = || data_keys().filter(data_key::Column::PartnerId.eq(partner_id));
        let mut rows = of_partner().all(&db.read).await?;
        if rows.is_empty() {
            let tx = db.write().await?;
            Wrapped::new(Some(partner_id), Purpose::Data, 1)
                .insert(&tx, &self.0.ring.current, &envelope::fresh()?)
                .await?;
            rows = of_partner().all(&tx).await?;
            tx.commit().await?;
        }
        rows.iter().try_for_each(|row| self.learn(row))
    }

    /// Makes the first key of a partner who is made in this transaction.
    pub async fn first_key_for(&self, connection: &impl ConnectionTrait, partner_id: Uuid) -> Result<()> {
        self.make_version(connection, partner_id, 1).await
    }

    /// Makes a version of a partner's data key, unless there is one with this number.
    pub(crate) async fn make_version(
        &self,
        connection: &impl ConnectionTrait,
        partner_id: Uuid,
        number: i32,
    ) -> Result<()> {
        Wrapped::new(Some(partner_id), Purpose::Data, number)
            .insert(connection, &self.0.ring.current, &envelope::fresh()?)
            .await
    }

    /// Learns of the keys that other instances have made since; keys are never deleted, so their number tells
    /// whether there are any.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        let there = data_keys().filter(data_key::Column::PartnerId.is_not_null()).count(&db.read).await?;
        let known: usize =
            self.0.partners.read().unwrap_or_else(PoisonError::into_inner).values().map(BTreeMap::len).sum();
        if there == known as u64 { Ok(()) } else { self.load(db).await }
    }

    /// Learns of every key there is.
    pub(crate) async fn load(&self, db: &Db) -> Result<()> {
        let rows = data_keys().filter(data_key::Column::PartnerId.is_not_null()).all(&db.read).await?;
        rows.iter().map(|row| self.learn(row)).fold(Ok(()), Result::and)
    }

    /// Returns after `longest`, or soon after a key was missed.
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

    /// The newest version of a partner's data key that is known here, and its number.
    fn newest(&self, partner_id: Uuid) -> Option<(u32, Key)> {
        let partners = self.0.partners.read().unwrap_or_else(PoisonError::into_inner);
        partners.get(&partner_id)?.last_key_value().map(|(number, key)| (*number, key.clone()))
    }

    /// The number of the newest version of a partner's data key.
    pub(crate) fn newest_version(&self, partner_id: Uuid) -> Option<u32> {
        self.newest(partner_id).map(|(number, _)| number)
    }

    /// The encryption key and the one before it.
    pub(crate) fn ring(&self) -> &Ring {
        &self.0.ring
    }

    /// Encrypts a value for its place with the newest data key of the partner.
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
            _ => Error::broken(format!("{} of {} does not open with this key", place.column, place.row)),
        })
    }

    fn missing(&self, place: AssociatedData) -> Error {
        self.0.missed.notify_one();
        Error::broken(format!("{} of {} needs a data key that is not known here", place.column, place.row))
    }

    /// Decrypts a text from its place.
    pub fn open_text(&self, place: AssociatedData, sealed: &[u8]) -> Result<Secret<String>> {
        let bytes = self.open(place, sealed)?;
        String::from_utf8(bytes.reveal().clone())
            .map(Secret::new)
            .map_err(|_| Error::broken("a decrypted value is no text"))
    }

    /// Equal for equal values of one partner's column, and says nothing else.
    pub fn blind_index(&self, column: &str, partner: Uuid, value: &str) -> Vec<u8> {
        let text = [column.as_bytes(), b"|", partner.as_bytes(), b"|", value.as_bytes()].concat();
        hmac_sha256(self.0.system.index.reveal(), &text).to_vec()
    }

    /// What is stored of an API key.
    pub fn key_verifier(&self, key: &str) -> [u8; 32] {
        hmac_sha256(self.0.system.pepper.reveal(), key.as_bytes())
    }

    /// Stands for whom an allowance is, who may be an address that few guesses would find under a bare hash.
    pub fn allowance_key(&self, allowance: &str, subject: &[u8]) -> [u8; 32] {
        hmac_sha256(
            self.0.system.index.reveal(),
            &[b"allowance|", allowance.as_bytes(), b"|", subject].concat(),
        )
    }

    /// Signs an address that opens something by itself.
    pub fn link_signature(&self, link: &str) -> [u8; 32] {
        hmac_sha256(self.0.system.index.reveal(), &[b"link|", link.as_bytes()].concat())
    }

    /// Stands for a request's arguments, which may hold secrets that few guesses would find under a bare
    /// hash.
    pub fn request_fingerprint(&self, arguments: &[u8]) -> [u8; 32] {
        hmac_sha256(self.0.system.fingerprint.reveal(), arguments)
    }

    /// What the ends of the chains are signed with.
    pub fn head_key(&self) -> HeadKey {
        HeadKey::of(&self.0.system.index, self.has_signed_heads())
    }

    /// Whether the heads of the chains have been signed.
    pub(crate) fn has_signed_heads(&self) -> bool {
        self.0.heads_signed.load(Ordering::SeqCst)
    }

    /// Remembers that the heads of the chains are signed; to be called after the transaction that did it.
    pub(crate) fn heads_are_signed(&self) {
        self.0.heads_signed.store(true, Ordering::SeqCst);
    }

    /// Writes down for good that the heads of the chains are signed; `false` when that has been done before.
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
        let here = data_key::Entity::update_many().set(change).filter(data_key::Column::Id.eq(row.id));
        Ok(here.filter(data_key::Column::Number.eq(row.number)).exec(connection).await?.rows_affected == 1)
    }

    /// What tokens are signed with.
    pub fn token_key(&self) -> &Secret<[u8; 32]> {
        &self.0.system.tokens
    }

    /// What is stored of a one-time passcode.
    pub fn passcode_mac(&self, passcode: &[u8]) -> [u8; 32] {
        hmac_sha256(self.0.system.passcodes.reveal(), passcode)
    }

    /// Names the encryption key without giving it away.
    pub fn check(&self) -> &str {
        &self.0.ring.current.check
    }
}

fn data_keys() -> Select<data_key::Entity> {
    data_key::Entity::find().filter(data_key::Column::Purpose.eq(Purpose::Data))
}

async fn kept_check(db: &Db) -> Result<Option<String>> {
    Ok(meta::Entity::find_by_id(ENCRYPTION_KEY).one(&db.read).await?.map(|kept| kept.value))
}

/// Whether the database is new, or one of these keys wraps each of its keys and wrote its check value.
async fn written_with(db: &Db, ring: &Ring) -> Result<bool> {
    let wrappers = data_key::Entity::find().select_only().column(data_key::Column::Kek).distinct();
    let mut checks: Vec<String> = wrappers.into_tuple().all(&db.read).await?;
    checks.extend(kept_check(db).await?);
    Ok(checks.iter().all(|check| ring.named(check).is_some()))
}

impl SystemKeys {
    async fn open(db: &Db, ring: &Ring) -> Result<Self> {
        let mut keys = Self::read(&db.read, ring).await?;
        if Purpose::iter().any(|purpose| purpose != Purpose::Data && !keys.contains_key(&name(purpose))) {
            keys = Self::make(db, ring, &keys).await?;
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

    /// Makes what is missing. A database that has a check value and no keys was written when every key was
    /// derived from the encryption key: it goes on with those.
    async fn make(db: &Db, ring: &Ring, there: &HashMap<String, Key>) -> Result<HashMap<String, Key>> {
        let check = kept_check(db).await?;
        let keyless = there.is_empty() && data_key::Entity::find().one(&db.read).await?.is_none();
        let writer = check.as_deref().filter(|_| keyless).and_then(|check| ring.named(check));
        let tx = db.write().await?;
        for purpose in Purpose::iter().filter(|purpose| !there.contains_key(&name(*purpose))) {
            let derived = writer.map(|kek| kek.derived(purpose));
            if purpose != Purpose::Data || derived.is_some() {
                let number = if purpose == Purpose::Index && derived.is_none() { HEADS_SIGNED } else { 1 };
                Wrapped::new(None, purpose, number)
                    .insert(&tx, &ring.current, &derived.map_or_else(envelope::fresh, Ok)?)
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
