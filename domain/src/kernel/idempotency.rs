//! Idempotency keys: the first answer is stored and returned for repeated requests.

use super::{
    clock,
    secrets::{AssociatedData, Vault},
};
use crate::{Code, Error, Refusal, Result, both};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use entity::idempotency;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
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

impl Claim {
    fn row(&self) -> idempotency::ActiveModel {
        idempotency::ActiveModel {
            partner_id: Set(self.partner_id),
            principal_id: Set(self.principal_id),
            key: Set(self.key.0.clone()),
            operation: Set(self.operation.to_owned()),
            fingerprint: Set(self.fingerprint.to_vec()),
            answer: Set(None),
            claimed_at: Set(clock::system_now()),
        }
    }

    /// Claims the key in this transaction: `None`, or the stored answer.
    ///
    /// Waits for another transaction that has claimed the key. Refused if the key was used for another
    /// request.
    pub async fn take<T: DeserializeOwned>(&self, connection: &impl ConnectionTrait) -> Result<Option<T>> {
        use idempotency::Column;
        let taken = idempotency::Entity::insert(self.row())
            .on_conflict(
                OnConflict::columns([Column::PartnerId, Column::PrincipalId, Column::Key])
                    .do_nothing()
                    .to_owned(),
            )
            .exec_without_returning(connection)
            .await
            .map_err(Error::from);
        match taken {
            Ok(1) => Ok(None),
            Ok(_) => self.replay(connection).await.map(Some),
            Err(Error::Busy) => Err(in_progress()),
            Err(error) => Err(error),
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
    pub async fn store<T: Serialize>(&self, connection: &impl ConnectionTrait, value: &T) -> Result<()> {
        self.answer(connection, &StoredAnswer::Done(value)).await
    }

    /// Stores a refusal as the answer.
    pub async fn store_refusal(&self, connection: &impl ConnectionTrait, refusal: &Refusal) -> Result<()> {
        self.answer(connection, &StoredAnswer::<()>::Refused(refusal.clone())).await
    }

    async fn answer<T: Serialize>(
        &self,
        connection: &impl ConnectionTrait,
        stored: &StoredAnswer<T>,
    ) -> Result<()> {
        use idempotency::Column;
        let text = serde_json::to_string(stored)
            .map_err(|cause| Error::broken(format!("an answer cannot be stored: {cause}")))?;
        let text = STANDARD.encode(self.vault.seal(self.place(), text.as_bytes())?);
        idempotency::Entity::update_many()
            .col_expr(Column::Answer, Expr::value(text))
            .filter(Column::PartnerId.eq(self.partner_id))
            .filter(Column::PrincipalId.eq(self.principal_id))
            .filter(Column::Key.eq(self.key.0.clone()))
            .exec(connection)
            .await?;
        Ok(())
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
