//! Ledger accounts: finding, opening and locking them.

use super::USD;
use crate::{
    Error, Result,
    kernel::{db::WriteTransaction, ids::Ids},
};
use entity::{
    Kind,
    ledger_account::{self, Column, LedgerKind},
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
    sea_query::{LockType, OnConflict},
};
use std::collections::HashMap;
use uuid::Uuid;

/// Owner, kind and asset of an account.
pub type Place<'a> = (Uuid, LedgerKind, &'a str);

/// Ids of accounts that a transaction has found or opened, by owner, kind and asset.
pub(in crate::kernel) type KnownAccounts = HashMap<(Uuid, LedgerKind, String), Uuid>;

/// An account without its sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountId {
    pub id: Uuid,
    pub asset: String,
}

/// Reference to an account.
#[derive(Clone, Copy, Debug)]
pub struct AccountRef<'a> {
    pub(super) id: Uuid,
    pub(super) asset: &'a str,
}

impl<'a> From<&'a AccountId> for AccountRef<'a> {
    fn from(account: &'a AccountId) -> Self {
        Self { id: account.id, asset: &account.asset }
    }
}

impl<'a> From<&'a ledger_account::Model> for AccountRef<'a> {
    fn from(account: &'a ledger_account::Model) -> Self {
        Self { id: account.id, asset: &account.asset }
    }
}

/// Whether accounts of this kind may not be overdrawn: a user's cash, proceeds and shares never go below
/// their holds.
const fn forbids_overdraft(kind: LedgerKind) -> bool {
    matches!(
        kind,
        LedgerKind::Cash
            | LedgerKind::Unsettled
            | LedgerKind::PendingDeposit
            | LedgerKind::PendingWithdrawal
            | LedgerKind::Units
    )
}

fn is_at(row: &ledger_account::Model, (owner_id, kind, asset): &Place<'_>) -> bool {
    (row.owner_id, row.kind, row.asset.as_str()) == (*owner_id, *kind, *asset)
}

fn at(places: &[Place<'_>]) -> Condition {
    places.iter().fold(Condition::any(), |any, (owner_id, kind, asset)| {
        let place = Condition::all()
            .add(Column::OwnerId.eq(*owner_id))
            .add(Column::Kind.eq(*kind))
            .add(Column::Asset.eq(*asset));
        any.add(place)
    })
}

/// Returns the accounts of a partner at these places; opens those that do not exist.
pub async fn accounts<const N: usize>(
    tx: &WriteTransaction,
    ids: Ids,
    partner_id: Uuid,
    places: [Place<'_>; N],
) -> Result<[AccountId; N]> {
    let id_of = |known: &KnownAccounts, (owner_id, kind, asset): &Place<'_>| {
        known.get(&(*owner_id, *kind, (*asset).to_owned())).copied()
    };
    let missing: Vec<Place<'_>> = {
        let known = tx.known_accounts();
        places.iter().filter(|place| id_of(&known, place).is_none()).copied().collect()
    };
    if !missing.is_empty() {
        // The sums may be old, and are not used.
        let mut rows = ledger_account::Entity::find().filter(at(&missing)).all(&tx.past_pending()).await?;
        open(tx, ids, partner_id, &missing, &mut rows).await?;
        remember(tx, &rows);
    }
    let known = tx.known_accounts();
    let found: Vec<AccountId> = places
        .iter()
        .filter_map(|place| Some(AccountId { id: id_of(&known, place)?, asset: place.2.to_owned() }))
        .collect();
    found.try_into().map_err(|_| disappeared())
}

/// Locks the accounts of a partner at these places, in the order of their ids, and returns them; opens those
/// that do not exist. The locks last until the transaction ends.
pub async fn lock_all<const N: usize>(
    tx: &WriteTransaction,
    ids: Ids,
    partner_id: Uuid,
    places: [Place<'_>; N],
) -> Result<[ledger_account::Model; N]> {
    let mut rows = ledger_account::Entity::find()
        .filter(at(&places))
        .order_by_asc(Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    open(tx, ids, partner_id, &places, &mut rows).await?;
    remember(tx, &rows);
    let found: Vec<_> =
        places.iter().filter_map(|place| rows.iter().find(|row| is_at(row, place)).cloned()).collect();
    found.try_into().map_err(|_| disappeared())
}

fn disappeared() -> Error {
    Error::broken("a ledger account disappeared while it was opened")
}

fn remember(tx: &WriteTransaction, rows: &[ledger_account::Model]) {
    let mut known = tx.known_accounts();
    known.extend(rows.iter().map(|row| ((row.owner_id, row.kind, row.asset.clone()), row.id)));
}

/// Opens the accounts that are not among `rows`, and adds them.
async fn open(
    tx: &WriteTransaction,
    ids: Ids,
    partner_id: Uuid,
    places: &[Place<'_>],
    rows: &mut Vec<ledger_account::Model>,
) -> Result<()> {
    let mut missing: Vec<Place<'_>> = Vec::new();
    for place in places {
        if !missing.contains(place) && !rows.iter().any(|row| is_at(row, place)) {
            missing.push(*place);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let opened: Vec<_> = missing
        .iter()
        .map(|(owner_id, kind, asset)| ledger_account::Model {
            id: ids.next(Kind::LedgerAccount),
            partner_id,
            owner_id: *owner_id,
            asset: (*asset).to_owned(),
            kind: *kind,
            no_overdraft: forbids_overdraft(*kind),
            version: 0,
            debits: 0,
            credits: 0,
            held: 0,
        })
        .collect();
    let new = opened.iter().map(|row| ledger_account::ActiveModel::from(row.clone()).reset_all());
    let taken = [Column::OwnerId, Column::Kind, Column::Asset];
    let inserted = ledger_account::Entity::insert_many(new)
        .on_conflict(OnConflict::columns(taken).do_nothing().to_owned())
        .exec_without_returning(&tx.past_pending())
        .await?;
    if inserted == opened.len() as u64 {
        rows.extend(opened);
    } else {
        // Another transaction has opened some of them meanwhile.
        rows.extend(ledger_account::Entity::find().filter(at(&missing)).all(&tx.past_pending()).await?);
    }
    Ok(())
}

/// Returns the account of this owner, kind and asset, if it has been opened.
pub async fn find(
    connection: &impl ConnectionTrait,
    owner_id: Uuid,
    kind: LedgerKind,
    asset: &str,
) -> Result<Option<ledger_account::Model>> {
    Ok(ledger_account::Entity::find().filter(at(&[(owner_id, kind, asset)])).one(connection).await?)
}

/// Returns whether the owner's dollar account of this kind has been opened, whatever its balance. Does not write what
/// was handed over to the transaction.
pub async fn is_opened(tx: &WriteTransaction, owner_id: Uuid, kind: LedgerKind) -> Result<bool> {
    Ok(find(&tx.past_pending(), owner_id, kind, USD).await?.is_some())
}

/// Locks and returns the owner's dollar accounts of these kinds; the lock lasts until the transaction ends.
pub async fn lock<const N: usize>(
    tx: &WriteTransaction,
    owner_id: Uuid,
    kinds: [LedgerKind; N],
) -> Result<[ledger_account::Model; N]> {
    of_kinds(&lock_opened(tx, owner_id, kinds).await?, kinds)
}

/// Locks and returns the owner's accounts of shares; the lock lasts until the transaction ends.
pub async fn lock_units(tx: &WriteTransaction, owner_id: Uuid) -> Result<Vec<ledger_account::Model>> {
    let select = ledger_account::Entity::find()
        .filter(Column::OwnerId.eq(owner_id))
        .filter(Column::Kind.eq(LedgerKind::Units))
        .order_by_asc(Column::Id)
        .lock(LockType::NoKeyUpdate);
    Ok(select.all(tx).await?)
}

/// Locks and returns those of the owner's dollar accounts of these kinds that have been opened, in any order.
pub async fn lock_opened<const N: usize>(
    tx: &WriteTransaction,
    owner_id: Uuid,
    kinds: [LedgerKind; N],
) -> Result<Vec<ledger_account::Model>> {
    let select = ledger_account::Entity::find()
        .filter(at(&kinds.map(|kind| (owner_id, kind, USD))))
        .order_by_asc(Column::Id)
        .lock(LockType::NoKeyUpdate);
    Ok(select.all(tx).await?)
}

/// Returns the rows of these kinds, in this order.
pub fn of_kinds<const N: usize>(
    rows: &[ledger_account::Model],
    kinds: [LedgerKind; N],
) -> Result<[ledger_account::Model; N]> {
    let found: Vec<_> =
        kinds.iter().filter_map(|kind| rows.iter().find(|row| row.kind == *kind).cloned()).collect();
    found.try_into().map_err(|_| Error::broken("a brokerage account has no ledger accounts"))
}
