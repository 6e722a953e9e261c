//! The encryption key replaced by another while servers run: every key wrapped anew, every partner's data
//! under a new key.
//!
//! Each step is its own small transaction and sees from the rows alone what is left to do, so a rotation that
//! was broken off goes on where it was.

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

/// An encrypted column of a table with `partner_id`; what was erased is empty or null.
struct Sealed {
    table: &'static str,
    /// The column with the row's id.
    key: &'static str,
    column: &'static str,
    /// What its ciphertexts are bound to.
    place: &'static str,
}

impl Sealed {
    const fn new(table: &'static str, key: &'static str, column: &'static str, place: &'static str) -> Self {
        Self { table, key, column, place }
    }
}

/// Every encrypted column but the kept answers of idempotency keys, which are forgotten within a day and open
/// with the retired key until then.
const SEALED: &[Sealed] = &[
    Sealed::new("users", "id", "phone", "users.phone"),
    Sealed::new("users", "id", "ssn", "users.ssn"),
    Sealed::new("users", "id", "birth_date", "users.birth_date"),
    Sealed::new("kyc", "id", "applicant", "kyc.applicant"),
    Sealed::new("kyc", "id", "questions", "kyc.questions"),
    Sealed::new("kyc", "id", "review_reason", "kyc.review_reason"),
    Sealed::new("kyc_document", "id", "name", "kyc_document.name"),
    Sealed::new("kyc_document", "id", "notes", "kyc_document.notes"),
    Sealed::new("kyc_document", "id", "content_key", "kyc_document.content_key"),
    Sealed::new("screening_exception", "id", "reason", "screening_exception.reason"),
    Sealed::new("account", "id", "status_reason", "account.status_reason"),
    Sealed::new("bank_account", "id", "number", "bank_account.number"),
    Sealed::new("api_key", "id", "signer", "api_key.signer"),
    Sealed::new("second_factor", "user_id", "phone", "second_factor.phone"),
    Sealed::new("second_factor", "user_id", "totp", "second_factor.totp"),
    Sealed::new("passcode", "id", "phone", "passcode.phone"),
    Sealed::new("message", "id", "recipient", "message.recipient"),
    Sealed::new("message", "id", "subject", "message.subject"),
    Sealed::new("message", "id", "body", "message.body"),
];

/// Every encrypted column that a rotation encrypts anew, with its table.
pub fn sealed_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    SEALED.iter().map(|sealed| (sealed.table, sealed.column))
}

/// How long running servers are given to learn of new keys before anything is encrypted with them; they look
/// once a second.
const NOTICE: chrono::Duration = chrono::Duration::seconds(4);

/// Values encrypted anew in one transaction.
const BATCH: u64 = 100;

/// How far one part of the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub what: &'static str,
    pub done: u64,
    pub of: u64,
}

/// What was done, beyond what had been done before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    pub keys_made: u64,
    pub keys_wrapped: u64,
    pub values_sealed: u64,
    /// Values that do not open, and were left as they are.
    pub unreadable: Vec<String>,
}

impl fmt::Display for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys_made, keys_wrapped, values_sealed, .. } = self;
        write!(
            f,
            "keys made: {keys_made}\nkeys wrapped anew: {keys_wrapped}\nvalues encrypted anew: {values_sealed}"
        )
    }
}

/// Replaces the encryption key by the one the vault was opened with, the one it replaces being the vault's
/// previous one.
///
/// May be broken off at any moment and run again. Servers that know both keys go on meanwhile.
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
        report(Progress { what: "keys wrapped anew", done, of });
    }
    let youngest = rows.iter().filter(|row| row.partner_id.is_some()).map(|row| row.created_at).max();
    if let Some(left) = youngest.and_then(|youngest| (youngest + NOTICE - clock::system_now()).to_std().ok())
    {
        report(Progress { what: "servers told of the new keys", done: 0, of: 1 });
        tokio::time::sleep(left.min(Duration::from_secs(60))).await;
        report(Progress { what: "servers told of the new keys", done: 1, of: 1 });
    }
    for sealed in SEALED {
        rotated
            .unreadable
            .append(&mut seal_anew(db, vault, sealed, report, &mut rotated.values_sealed).await?);
    }
    retire(db, vault).await?;
    Ok(rotated)
}

/// Makes the partner's next data key, unless the newest is wrapped by the new encryption key and so is new
/// itself.
async fn renew(db: &Db, vault: &Vault, partner_id: Uuid) -> Result<bool> {
    let newest = data_key::Entity::find()
        .filter(data_key::Column::PartnerId.eq(partner_id))
        .filter(data_key::Column::Purpose.eq(Purpose::Data))
        .order_by_desc(data_key::Column::Number)
        .one(&db.read)
        .await?;
    let Some(newest) = newest.filter(|newest| newest.kek != vault.check()) else { return Ok(false) };
    vault.make_version(db.for_migrations(), partner_id, newest.number + 1).await?;
    Ok(true)
}

/// Seals a column's values with their partners' newest keys, and looks again until no running server has
/// sealed another with an older one; what does not open.
async fn seal_anew(
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
            let batch = seal_batch(db, vault, sealed, &rows).await?;
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

/// A value with its row and its partner.
type Row = (Uuid, Uuid, Vec<u8>);

async fn seal_batch(db: &Db, vault: &Vault, sealed: &Sealed, rows: &[Row]) -> Result<Batch> {
    for attempt in 1.. {
        match seal_batch_once(db, vault, sealed, rows).await {
            Err(error) if (error.is_retryable() || matches!(error, Error::Busy)) && attempt < 10 => {
                pause(attempt * 5).await
            }
            other => return other,
        }
    }
    Err(Error::Busy)
}

async fn seal_batch_once(db: &Db, vault: &Vault, sealed: &Sealed, rows: &[Row]) -> Result<Batch> {
    let mut batch = Batch::default();
    let mut anew = Vec::new();
    for (id, partner_id, value) in rows {
        let place = AssociatedData { column: sealed.place, row: *id, partner: *partner_id };
        vault.ready_for(db, *partner_id).await?;
        if version_of(value) == vault.newest_version(*partner_id) {
            continue;
        }
        match vault.open(place, value) {
            Ok(plain) => anew.push((*id, value, vault.seal(place, plain.reveal())?)),
            Err(error) => batch.unreadable.push(error.cause()),
        }
    }
    if anew.is_empty() {
        return Ok(batch);
    }
    let tx = db.write().await?;
    for (id, old, new) in anew {
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
        let count: i64 =
            row.ok_or_else(|| Error::broken("a table does not tell its size"))?.try_get("", "n")?;
        Ok(count.unsigned_abs())
    }

    /// The next rows by id.
    async fn page(&self, db: &Db, after: Uuid) -> Result<Vec<Row>> {
        let Self { table, key, column, .. } = self;
        let text = format!(
            "SELECT {key} AS id, partner_id, {column} AS sealed FROM {table} \
             WHERE length({column}) > 0 AND {key} > $1 ORDER BY {key} LIMIT {BATCH}"
        );
        let rows = db.read.query_all_raw(statement(db.backend(), &text, [after.into()])).await?;
        rows.iter()
            .map(|row| {
                Ok((row.try_get("", "id")?, row.try_get("", "partner_id")?, row.try_get("", "sealed")?))
            })
            .collect()
    }

    /// Replaces a value unless it has been written anew meanwhile.
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

/// Says of every key but the newest that nothing is encrypted with it any more, and that the database is the
/// new encryption key's.
///
/// A fault when a server that knows the old encryption key alone has made a key meanwhile.
async fn retire(db: &Db, vault: &Vault) -> Result<()> {
    use data_key::Column;
    let rows = data_key::Entity::find()
        .filter(Column::Purpose.eq(Purpose::Data))
        .filter(Column::RetiredAt.is_null())
        .all(&db.read)
        .await?;
    let tx = db.write().await?;
    if data_key::Entity::find().filter(Column::Kek.ne(vault.check())).one(&tx).await?.is_some() {
        return Err(Error::broken(
            "a server that knows the old encryption key alone has made a key; stop it",
        ));
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
