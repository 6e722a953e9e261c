//! Rotation of the encryption key while servers run: every key is rewrapped, and every partner's data is
//! re-encrypted with a new data key.
//!
//! Each step is a small transaction of its own and derives the remaining work from the rows, so an
//! interrupted rotation resumes where it stopped.

use super::{
    clock,
    command::pause,
    db::{Db, WriteTransaction},
    secrets::{AssociatedData, ENCRYPTION_KEY, Vault, version_of},
};
use crate::{Error, Result};
use entity::{
    data_key::{self, Purpose},
    meta, partner,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement,
    Value, sea_query::Expr,
};
use std::{fmt, time::Duration};
use uuid::Uuid;

/// An encrypted column of a table with `partner_id`; erased values are empty or null.
struct Sealed {
    table: &'static str,
    /// Column with the row's id.
    key: &'static str,
    column: &'static str,
    /// Column name to which the ciphertexts are bound.
    place: &'static str,
    /// Column with the id to which the ciphertexts are bound.
    bound_to: &'static str,
}

impl Sealed {
    const fn new(table: &'static str, key: &'static str, column: &'static str, place: &'static str) -> Self {
        Self { table, key, column, place, bound_to: key }
    }

    const fn bound_to(self, bound_to: &'static str) -> Self {
        Self { bound_to, ..self }
    }
}

/// Every encrypted column except the stored answers of idempotency keys, which are deleted after a day and
/// can be decrypted with the retired key until then.
const SEALED: &[Sealed] = &[
    Sealed::new("users", "id", "phone", "users.phone"),
    Sealed::new("users", "id", "ssn", "users.ssn"),
    Sealed::new("users", "id", "birth_date", "users.birth_date"),
    Sealed::new("kyc", "id", "applicant", "kyc.applicant"),
    Sealed::new("kyc", "id", "questions", "kyc.questions"),
    // Reasons were columns of the check at first, and stay bound to it.
    Sealed::new("kyc_review", "id", "reason", "kyc.review_reason").bound_to("kyc_id"),
    Sealed::new("kyc_document", "id", "name", "kyc_document.name"),
    Sealed::new("kyc_document", "id", "notes", "kyc_document.notes"),
    Sealed::new("kyc_document", "id", "content_key", "kyc_document.content_key"),
    Sealed::new("screening_exception", "id", "reason", "screening_exception.reason"),
    Sealed::new("account", "id", "status_reason", "account.status_reason"),
    Sealed::new("statement", "id", "content", "statement.content"),
    Sealed::new("bank_account", "id", "number", "bank_account.number"),
    Sealed::new("api_key", "id", "signer", "api_key.signer"),
    Sealed::new("second_factor", "user_id", "phone", "second_factor.phone"),
    Sealed::new("second_factor", "user_id", "totp", "second_factor.totp"),
    Sealed::new("passcode", "id", "phone", "passcode.phone"),
    Sealed::new("message", "id", "recipient", "message.recipient"),
    Sealed::new("message", "id", "subject", "message.subject"),
    Sealed::new("message", "id", "body", "message.body"),
];

/// Returns every column that a rotation re-encrypts, with its table.
pub fn sealed_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    SEALED.iter().map(|sealed| (sealed.table, sealed.column))
}

/// Time that running servers get to load new keys before these are used; they check once a second.
const KEY_LOAD_TIME: chrono::Duration = chrono::Duration::seconds(4);

/// Values re-encrypted in one transaction.
const BATCH: u64 = 100;

/// Progress of one part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub what: &'static str,
    pub done: u64,
    pub of: u64,
}

/// Work done by this run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    pub keys_made: u64,
    pub keys_wrapped: u64,
    pub values_sealed: u64,
    /// Values that could not be decrypted and were left unchanged.
    pub unreadable: Vec<String>,
}

impl fmt::Display for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys_made, keys_wrapped, values_sealed, .. } = self;
        write!(
            f,
            "keys created: {keys_made}\nkeys rewrapped: {keys_wrapped}\nvalues re-encrypted: {values_sealed}"
        )
    }
}

/// Replaces the encryption key: the vault's previous key by its current key.
///
/// Can be interrupted at any time and run again. Servers that have both keys keep running.
pub async fn run(db: &Db, vault: &Vault, report: &mut (dyn FnMut(Progress) + Send)) -> Result<Rotated> {
    let mut rotated = Rotated::default();
    let partners: Vec<Uuid> = partner::Entity::find()
        .select_only()
        .column(partner::Column::Id)
        .order_by_asc(partner::Column::Id)
        .into_tuple()
        .all(&db.read)
        .await?;
    let of = partners.len() as u64;
    for (done, partner_id) in (1..).zip(partners) {
        rotated.keys_made += u64::from(renew(db, vault, partner_id).await?);
        report(Progress { what: "new data keys", done, of });
    }
    vault.load(db).await?;
    let rows = data_key::Entity::find().order_by_asc(data_key::Column::Id).all(&db.read).await?;
    let of = rows.len() as u64;
    for (done, row) in (1..).zip(&rows) {
        rotated.keys_wrapped += u64::from(vault.ring().rewrap(db.for_migrations(), row).await?);
        report(Progress { what: "keys rewrapped", done, of });
    }
    let youngest = rows.iter().filter(|row| row.partner_id.is_some()).map(|row| row.created_at).max();
    if let Some(left) =
        youngest.and_then(|youngest| (youngest + KEY_LOAD_TIME - clock::system_now()).to_std().ok())
    {
        report(Progress { what: "waiting for servers to load the new keys", done: 0, of: 1 });
        tokio::time::sleep(left.min(Duration::from_secs(60))).await;
        report(Progress { what: "waiting for servers to load the new keys", done: 1, of: 1 });
    }
    for sealed in SEALED {
        rotated
            .unreadable
            .append(&mut reencrypt(db, vault, sealed, report, &mut rotated.values_sealed).await?);
    }
    retire(db, vault).await?;
    Ok(rotated)
}

/// Creates the partner's next data key, unless the newest one is wrapped by the new encryption key and
/// therefore new.
async fn renew(db: &Db, vault: &Vault, partner_id: Uuid) -> Result<bool> {
    let newest = data_key::Entity::find()
        .filter(data_key::Column::PartnerId.eq(partner_id))
        .filter(data_key::Column::Purpose.eq(Purpose::Data))
        .order_by_desc(data_key::Column::Number)
        .one(&db.read)
        .await?;
    let Some(newest) = newest.filter(|newest| newest.kek != vault.check()) else { return Ok(false) };
    vault.create_version(db.for_migrations(), partner_id, newest.number + 1).await?;
    Ok(true)
}

/// Re-encrypts a column's values with their partners' newest keys, and repeats until no running server has
/// used an older one; returns the values that could not be decrypted.
async fn reencrypt(
    db: &Db,
    vault: &Vault,
    sealed: &Sealed,
    report: &mut (dyn FnMut(Progress) + Send),
    total: &mut u64,
) -> Result<Vec<String>> {
    let of = sealed.count(db).await?;
    report(Progress { what: sealed.place, done: 0, of });
    for pass in 0.. {
        let (mut after, mut done, mut changed, mut unreadable) = (Uuid::nil(), 0, 0, Vec::new());
        loop {
            let rows = sealed.page(db, after).await?;
            let Some((last, ..)) = rows.last() else { break };
            after = *last;
            done += rows.len() as u64;
            let batch = reencrypt_batch(db, vault, sealed, &rows).await?;
            changed += batch.changed;
            unreadable.extend(batch.unreadable);
            if pass == 0 {
                report(Progress { what: sealed.place, done: done.min(of), of });
            }
        }
        *total += changed;
        if changed == 0 {
            return Ok(unreadable);
        }
    }
    Ok(Vec::new())
}

#[derive(Default)]
struct Batch {
    changed: u64,
    unreadable: Vec<String>,
}

/// Id of a row, the id to which the value is bound, the partner and the encrypted value.
type Row = (Uuid, Uuid, Uuid, Vec<u8>);

async fn reencrypt_batch(db: &Db, vault: &Vault, sealed: &Sealed, rows: &[Row]) -> Result<Batch> {
    for attempt in 1.. {
        match reencrypt_batch_once(db, vault, sealed, rows).await {
            Err(error) if (error.is_retryable() || matches!(error, Error::Busy)) && attempt < 10 => {
                pause(attempt * 5).await;
            }
            other => return other,
        }
    }
    Err(Error::Busy)
}

async fn reencrypt_batch_once(db: &Db, vault: &Vault, sealed: &Sealed, rows: &[Row]) -> Result<Batch> {
    let mut batch = Batch::default();
    let mut changes = Vec::new();
    for (id, bound_to, partner_id, value) in rows {
        let place = AssociatedData { column: sealed.place, row: *bound_to, partner: *partner_id };
        vault.ready_for(db, *partner_id).await?;
        if version_of(value) == vault.newest_version(*partner_id) {
            continue;
        }
        match vault.open(place, value) {
            Ok(plain) => changes.push((*id, value, vault.seal(place, plain.reveal())?)),
            Err(error) => batch.unreadable.push(error.cause()),
        }
    }
    if changes.is_empty() {
        return Ok(batch);
    }
    let tx = db.write().await?;
    for (id, old, new) in changes {
        batch.changed += sealed.replace(&tx, id, old, new).await?;
    }
    tx.commit().await?;
    Ok(batch)
}

impl Sealed {
    async fn count(&self, db: &Db) -> Result<u64> {
        let Self { table, column, .. } = self;
        let text = format!("SELECT count(*) AS n FROM {table} WHERE length({column}) > 0");
        let row = db.read.query_one_raw(Statement::from_string(db.backend(), text)).await?;
        let count: i64 = row.ok_or_else(|| Error::broken("a count returned no row"))?.try_get("", "n")?;
        Ok(count.unsigned_abs())
    }

    /// Returns the next rows in the order of their ids.
    async fn page(&self, db: &Db, after: Uuid) -> Result<Vec<Row>> {
        let Self { table, key, column, bound_to, .. } = self;
        let text = format!(
            "SELECT {key} AS id, {bound_to} AS bound_to, partner_id, {column} AS sealed FROM {table} \
             WHERE length({column}) > 0 AND {key} > $1 ORDER BY {key} LIMIT {BATCH}"
        );
        let rows = db.read.query_all_raw(statement(db.backend(), &text, [after.into()])).await?;
        rows.iter()
            .map(|row| {
                let (id, bound_to) = (row.try_get("", "id")?, row.try_get("", "bound_to")?);
                Ok((id, bound_to, row.try_get("", "partner_id")?, row.try_get("", "sealed")?))
            })
            .collect()
    }

    /// Replaces a value, unless it has changed meanwhile.
    async fn replace(&self, tx: &WriteTransaction, id: Uuid, old: &[u8], new: Vec<u8>) -> Result<u64> {
        let Self { table, key, column, .. } = self;
        let text = format!("UPDATE {table} SET {column} = $1 WHERE {key} = $2 AND {column} = $3");
        let values = [new.into(), id.into(), old.to_vec().into()];
        Ok(tx.execute_raw(statement(tx.get_database_backend(), &text, values)).await?.rows_affected())
    }
}

fn statement<const N: usize>(backend: DbBackend, text: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(backend, text, values)
}

/// Marks every data key but the newest as retired, and records the new encryption key in the database.
///
/// Fails if a server that has only the old encryption key has created a key meanwhile.
async fn retire(db: &Db, vault: &Vault) -> Result<()> {
    use data_key::Column;
    let rows = data_key::Entity::find()
        .filter(Column::Purpose.eq(Purpose::Data))
        .filter(Column::RetiredAt.is_null())
        .all(&db.read)
        .await?;
    let tx = db.write().await?;
    if data_key::Entity::find().filter(Column::Kek.ne(vault.check())).one(&tx).await?.is_some() {
        return Err(Error::broken("a server with only the old encryption key has created a key; stop it"));
    }
    for row in rows {
        let newest = row.partner_id.and_then(|partner_id| vault.newest_version(partner_id));
        if newest.is_none() || newest != u32::try_from(row.number).ok() {
            let now = Expr::value(clock::system_now());
            data_key::Entity::update_many()
                .col_expr(Column::RetiredAt, now)
                .filter(Column::Id.eq(row.id))
                .exec(&tx)
                .await?;
        }
    }
    let check = Expr::value(vault.check());
    meta::Entity::update_many()
        .col_expr(meta::Column::Value, check)
        .filter(meta::Column::Name.eq(ENCRYPTION_KEY))
        .exec(&tx)
        .await?;
    tx.commit().await
}
