//! Idempotency keys: the first answer is stored and returned for repeated requests.

use super::{
    clock,
    db::WriteTransaction,
    secrets::{AssociatedData, Vault},
};
use crate::{Code, Error, Refusal, Result, both};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use entity::{idempotency, partner};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, Statement, Value,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// A caller's idempotency key: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

const FIELD: &str = "idempotencyKey";

impl Key {
    /// Parses and checks a key.
    pub fn parse(text: &str) -> Result<Self> {
        let key = Self::given(text);
        key.check()?;
        Ok(key)
    }

    /// Creates an unchecked key. It is checked together with the command, so that the caller sees all errors
    /// at once.
    pub fn given(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns `value`, another value of the same request; if it is refused, an invalid key is reported as
    /// well.
    pub fn check_with<T>(&self, value: Result<T>) -> Result<T> {
        if value.is_ok() { value } else { both(self.check(), value).map(|((), value)| value) }
    }

    /// Refuses an invalid key.
    pub fn check(&self) -> Result<()> {
        let Self(text) = self;
        if text.is_empty() {
            return Err(Refusal::required(FIELD).into());
        }
        if text.len() > 255 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::invalid(FIELD, "must have 1 to 255 visible ASCII characters").into());
        }
        Ok(())
    }
}

/// A request's claim on an idempotency key.
#[derive(Clone, Debug)]
pub struct Claim {
    pub partner_id: Uuid,
    pub principal_id: Uuid,
    pub key: Key,
    pub operation: &'static str,
    pub fingerprint: [u8; 32],
    /// Encrypts the stored answer, which may contain personal data.
    pub vault: Vault,
}

/// A stored answer.
#[derive(Debug, Serialize, Deserialize)]
enum StoredAnswer<T> {
    Done(T),
    Refused(Refusal),
}

/// Result of claiming a key.
#[derive(Debug)]
pub enum Taken<T> {
    /// The key is claimed by this transaction, for a caller of this partner.
    Claimed(partner::Model),
    /// The key was used before, with this answer.
    Answered(T),
}

/// Claims a key and returns the partner.
const CLAIM: &str = "WITH claimed AS (INSERT INTO idempotency (partner_id, principal_id, key, operation, \
    fingerprint, claimed_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING 1) \
    SELECT partner.*, EXISTS (SELECT 1 FROM claimed) AS is_claimed FROM partner WHERE partner.id = $1";

/// The same on SQLite, where no other transaction can claim the key before this one stores its answer.
const CLAIM_SQLITE: &str = "SELECT partner.*, NOT EXISTS (SELECT 1 FROM idempotency WHERE partner_id = $1 AND \
    principal_id = $2 AND key = $3) AS is_claimed FROM partner WHERE partner.id = $1";

/// End of the statement that stores an answer.
const STORED: &str = " ON CONFLICT (partner_id, principal_id, key) DO UPDATE SET answer = excluded.answer";

impl Claim {
    fn row(&self, answer: String) -> idempotency::Model {
        idempotency::Model {
            partner_id: self.partner_id,
            principal_id: self.principal_id,
            key: self.key.0.clone(),
            operation: self.operation.to_owned(),
            fingerprint: self.fingerprint.to_vec(),
            answer: Some(answer),
            claimed_at: clock::system_now(),
        }
    }

    /// Claims the key in this transaction and returns the partner, or the stored answer.
    ///
    /// Waits for another transaction that has claimed the key. Refused if the key was used for another
    /// request.
    pub async fn take<T: DeserializeOwned>(&self, tx: &WriteTransaction) -> Result<Taken<T>> {
        let backend = tx.get_database_backend();
        let mut values: Vec<Value> =
            vec![self.partner_id.into(), self.principal_id.into(), self.key.0.clone().into()];
        let text = if backend == DbBackend::Postgres {
            let operation = self.operation.into();
            values.extend([operation, self.fingerprint.to_vec().into(), clock::system_now().into()]);
            CLAIM
        } else {
            CLAIM_SQLITE
        };
        let taken = tx.query_one_raw(Statement::from_sql_and_values(backend, text, values)).await;
        let row = match taken.map_err(Error::from) {
            Ok(row) => row.ok_or_else(|| Error::broken("the caller's partner does not exist"))?,
            Err(Error::Busy) => return Err(in_progress()),
            Err(error) => return Err(error),
        };
        if row.try_get("", "is_claimed")? {
            Ok(Taken::Claimed(partner::Model::from_query_result(&row, "")?))
        } else {
            self.replay(tx).await.map(Taken::Answered)
        }
    }

    const fn place(&self) -> AssociatedData {
        AssociatedData { column: "idempotency.answer", row: self.principal_id, partner: self.partner_id }
    }

    async fn replay<T: DeserializeOwned>(&self, connection: &impl ConnectionTrait) -> Result<T> {
        let id = (self.partner_id, self.principal_id, self.key.0.clone());
        let row = idempotency::Entity::find_by_id(id).one(connection).await?.ok_or_else(in_progress)?;
        if row.operation != self.operation || row.fingerprint != self.fingerprint {
            let text = "This idempotency key was used for another request. Use a new key.";
            return Err(Refusal::new(Code::IdempotencyKeyReused, "idempotencyKey", text).into());
        }
        let answer = row.answer.ok_or_else(in_progress)?;
        let answer = STANDARD.decode(&answer).map_err(|_| Error::broken("a stored answer cannot be read"))?;
        let answer = self.vault.open_text(self.place(), &answer)?;
        match serde_json::from_str(answer.reveal())
            .map_err(|cause| Error::broken(format!("a stored answer cannot be read: {cause}")))?
        {
            StoredAnswer::Done(value) => Ok(value),
            StoredAnswer::Refused(refusal) => Err(Refusal { replayed: true, ..refusal }.into()),
        }
    }

    /// Stores the result of this transaction as the answer.
    pub async fn store<T: Serialize>(&self, tx: &WriteTransaction, value: &T) -> Result<()> {
        self.answer(tx, &StoredAnswer::Done(value)).await
    }

    /// Stores a refusal as the answer.
    pub async fn store_refusal(&self, tx: &WriteTransaction, refusal: &Refusal) -> Result<()> {
        self.answer(tx, &StoredAnswer::<()>::Refused(refusal.clone())).await
    }

    async fn answer<T: Serialize>(&self, tx: &WriteTransaction, stored: &StoredAnswer<T>) -> Result<()> {
        let text = serde_json::to_string(stored)
            .map_err(|cause| Error::broken(format!("an answer cannot be stored: {cause}")))?;
        let text = STANDARD.encode(self.vault.seal(self.place(), text.as_bytes())?);
        tx.insert_or(&self.row(text), STORED).await
    }
}

fn in_progress() -> Error {
    Refusal::new(
        Code::IdempotencyInProgress,
        "idempotencyKey",
        "The first request with this idempotency key has not finished. Try again later.",
    )
    .into()
}

/// Deletes keys that were claimed more than a day ago; returns their number.
pub async fn forget_old(connection: &impl ConnectionTrait) -> Result<u64> {
    let oldest = clock::system_now() - chrono::Duration::hours(24);
    Ok(idempotency::Entity::delete_many()
        .filter(idempotency::Column::ClaimedAt.lt(oldest))
        .exec(connection)
        .await?
        .rows_affected)
}
