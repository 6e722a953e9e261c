//! One key, one effect: the first answer is kept and given again to whoever repeats the request.

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

/// A caller's key: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

const FIELD: &str = "idempotencyKey";

impl Key {
    /// Reads a key.
    pub fn parse(text: &str) -> Result<Self> {
        let key = Self::given(text);
        key.check()?;
        Ok(key)
    }

    /// A key that is checked with the command it stands for, so that everything that is wrong with both is
    /// told at once.
    pub fn given(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Another value of the same request. Where it cannot be read, what is wrong with the key is told as
    /// well.
    pub fn told_with<T>(&self, value: Result<T>) -> Result<T> {
        if value.is_ok() { value } else { both(self.check(), value).map(|((), value)| value) }
    }

    /// Refuses what is no key.
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

/// Which request a key stands for.
#[derive(Clone, Debug)]
pub struct Claim {
    pub partner_id: Uuid,
    pub principal_id: Uuid,
    pub key: Key,
    pub operation: &'static str,
    pub fingerprint: [u8; 32],
    /// Seals the kept answer, which may tell of a person.
    pub vault: Vault,
}

/// A kept answer.
#[derive(Debug, Serialize, Deserialize)]
enum Kept<T> {
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

    /// Takes the key for this transaction: `None`, or the answer kept for it.
    ///
    /// Waits for another transaction that holds the key. Refused when the key stands for another request.
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
            let text = "The key was used for another request.";
            return Err(Refusal::new(Code::IdempotencyKeyReused, "idempotencyKey", text).into());
        }
        let answer = row.answer.ok_or_else(in_progress)?;
        let answer = STANDARD.decode(&answer).map_err(|_| Error::broken("a kept answer cannot be read"))?;
        let answer = self.vault.open_text(self.place(), &answer)?;
        match serde_json::from_str(answer.reveal())
            .map_err(|cause| Error::broken(format!("a kept answer cannot be read: {cause}")))?
        {
            Kept::Done(value) => Ok(value),
            Kept::Refused(refusal) => Err(Refusal { replayed: true, ..refusal }.into()),
        }
    }

    /// Keeps the answer of the work done in this transaction.
    pub async fn keep<T: Serialize>(&self, connection: &impl ConnectionTrait, value: &T) -> Result<()> {
        self.answer(connection, &Kept::Done(value)).await
    }

    /// Keeps a refusal.
    pub async fn keep_refusal(&self, connection: &impl ConnectionTrait, refusal: &Refusal) -> Result<()> {
        self.answer(connection, &Kept::<()>::Refused(refusal.clone())).await
    }

    async fn answer<T: Serialize>(&self, connection: &impl ConnectionTrait, kept: &Kept<T>) -> Result<()> {
        use idempotency::Column;
        let text = serde_json::to_string(kept)
            .map_err(|cause| Error::broken(format!("an answer cannot be kept: {cause}")))?;
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
        "The first request with this key has not finished.",
    )
    .into()
}

/// Forgets keys claimed more than a day ago; how many.
pub async fn forget_old(connection: &impl ConnectionTrait) -> Result<u64> {
    let oldest = clock::system_now() - chrono::Duration::hours(24);
    Ok(idempotency::Entity::delete_many()
        .filter(idempotency::Column::ClaimedAt.lt(oldest))
        .exec(connection)
        .await?
        .rows_affected)
}
