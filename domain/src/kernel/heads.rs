//! Signed heads of the hash chains: how many rows of a partner are sealed, and the hash of the last one.
//!
//! A head reveals a chain that was truncated, which the chain itself cannot. It is signed with a key that the
//! database does not contain, so write access to the database is not enough to forge one. A partner's heads
//! are created with the partner and never again; a database from an older version gets them once, from the
//! first server that opens it.

use super::{
    db::{Db, WriteTransaction},
    digest::{self, GENESIS},
    secrets::{HeadKey, Vault},
};
use crate::Result;
use entity::{
    chain_head::{self, Chain, Column, Model},
    partner,
};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, Iterable,
    QueryFilter, QuerySelect, Statement,
};
use std::collections::HashMap;
use uuid::Uuid;

/// PostgreSQL advisory lock that is held while rows are sealed.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7165)";

/// Waits until no other server seals. On SQLite, a write transaction is already exclusive.
pub async fn lock(tx: &WriteTransaction) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(LOCK).await?;
    }
    Ok(())
}

fn message(head: &Model) -> [u8; 32] {
    let chain = head.chain.to_value();
    digest::of(&[chain.as_bytes(), head.partner_id.as_bytes(), &head.sealed.to_be_bytes(), &head.hash])
}

/// Signs a head after it was advanced.
pub fn sign(key: &HeadKey, head: &mut Model) {
    head.mac = key.sign(&message(head)).to_vec();
}

/// Whether a head has a valid signature.
pub fn is_genuine(key: &HeadKey, head: &Model) -> bool {
    key.is_signature(&message(head), &head.mac)
}

/// Creates the heads of a partner that is created in this transaction.
pub async fn begin(tx: &WriteTransaction, key: &HeadKey, partner_id: Uuid) -> Result<()> {
    for chain in Chain::iter() {
        start(tx, key, partner_id, chain, 0, GENESIS.to_vec()).await?;
    }
    Ok(())
}

async fn start(
    tx: &WriteTransaction,
    key: &HeadKey,
    partner_id: Uuid,
    chain: Chain,
    sealed: i64,
    hash: Vec<u8>,
) -> Result<()> {
    let mut head = Model { partner_id, chain, sealed, hash, mac: Vec::new() };
    sign(key, &mut head);
    chain_head::ActiveModel::from(head).reset_all().insert(tx).await?;
    Ok(())
}

/// Creates signed heads for the chains of a database from an older version. Has no effect afterwards: a
/// marker is part of the data to which the server's wrapped keys are bound, so it cannot be removed without
/// the encryption key.
pub async fn adopt(db: &Db, vault: &Vault) -> Result<()> {
    if vault.has_signed_heads() {
        return Ok(());
    }
    let tx = db.write().await?;
    lock(&tx).await?;
    if vault.mark_heads_signed(&tx).await? {
        chain_head::Entity::delete_many().exec(&tx).await?;
        let partners = partner::Entity::find()
            .select_only()
            .column(partner::Column::Id)
            .into_tuple::<Uuid>()
            .all(&tx)
            .await?;
        for partner_id in partners {
            for chain in Chain::iter() {
                let (sealed, hash) = end_of(&tx, partner_id, chain).await?;
                start(&tx, &vault.head_key(), partner_id, chain, sealed, hash).await?;
            }
        }
    }
    tx.commit().await?;
    vault.heads_are_signed();
    Ok(())
}

/// Returns the end of a chain without a head.
async fn end_of(tx: &WriteTransaction, partner_id: Uuid, chain: Chain) -> Result<(i64, Vec<u8>)> {
    let backend = tx.get_database_backend();
    let text = format!(
        "SELECT seq, hash FROM {} WHERE partner_id = $1 AND seq IS NOT NULL ORDER BY seq DESC LIMIT 1",
        chain.to_value()
    );
    let row = tx.query_one_raw(Statement::from_sql_and_values(backend, text, [partner_id.into()])).await?;
    match row {
        Some(row) => Ok((row.try_get("", "seq")?, row.try_get("", "hash")?)),
        None => Ok((0, GENESIS.to_vec())),
    }
}

/// Heads of the chains of some partners.
pub type Heads = HashMap<(Uuid, Chain), Model>;

/// Returns the heads of these partners.
pub async fn of(
    connection: &impl ConnectionTrait,
    partners: impl IntoIterator<Item = Uuid>,
) -> Result<Heads> {
    let rows = chain_head::Entity::find().filter(Column::PartnerId.is_in(partners)).all(connection).await?;
    Ok(rows.into_iter().map(|head| ((head.partner_id, head.chain), head)).collect())
}
