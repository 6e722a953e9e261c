//! The double-entry ledger: the only code that writes balances.
//!
//! Every movement has one debited and one credited account, so it cannot be unbalanced. Amounts are whole
//! units of the asset: cents of `USD`, hundred-millionths of a share. A user's assets are credit balances.

use super::{
    db::WriteTransaction,
    digest::{self, RowDigest},
    events::EventBuilder,
    ids::Ids,
};
use crate::{Error, Result};
use chrono::{DateTime, Utc};
use entity::{
    Kind,
    ledger_account::{self, LedgerKind},
    ledger_hold,
    ledger_release::{self, Reason},
    ledger_transfer,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType, OnConflict},
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Asset name of cash.
pub const USD: &str = "USD";

/// Whether accounts of this kind may not be overdrawn: a user's cash, proceeds and shares never go below
/// their holds.
const fn forbids_overdraft(kind: LedgerKind) -> bool {
    matches!(kind, LedgerKind::Cash | LedgerKind::Unsettled | LedgerKind::PendingDeposit | LedgerKind::Units)
}

/// Returns the account of this owner, kind and asset; opens it if there is none.
pub async fn account(
    connection: &impl ConnectionTrait,
    ids: Ids,
    partner_id: Uuid,
    owner_id: Uuid,
    kind: LedgerKind,
    asset: &str,
) -> Result<ledger_account::Model> {
    if let Some(found) = find(connection, owner_id, kind, asset).await? {
        return Ok(found);
    }
    let opened = ledger_account::ActiveModel {
        id: Set(ids.next(Kind::LedgerAccount)),
        partner_id: Set(partner_id),
        owner_id: Set(owner_id),
        asset: Set(asset.to_owned()),
        kind: Set(kind),
        no_overdraft: Set(forbids_overdraft(kind)),
        version: Set(0),
        debits: Set(0),
        credits: Set(0),
        held: Set(0),
    };
    let taken =
        [ledger_account::Column::OwnerId, ledger_account::Column::Kind, ledger_account::Column::Asset];
    ledger_account::Entity::insert(opened)
        .on_conflict(OnConflict::columns(taken).do_nothing().to_owned())
        .exec_without_returning(connection)
        .await?;
    find(connection, owner_id, kind, asset)
        .await?
        .ok_or_else(|| Error::broken("a ledger account disappeared while it was opened"))
}

/// Returns the account of this owner, kind and asset, if it has been opened.
pub async fn find(
    connection: &impl ConnectionTrait,
    owner_id: Uuid,
    kind: LedgerKind,
    asset: &str,
) -> Result<Option<ledger_account::Model>> {
    Ok(ledger_account::Entity::find()
        .filter(ledger_account::Column::OwnerId.eq(owner_id))
        .filter(ledger_account::Column::Kind.eq(kind))
        .filter(ledger_account::Column::Asset.eq(asset))
        .one(connection)
        .await?)
}

/// Locks and returns the owner's dollar accounts of these kinds; the lock lasts until the transaction ends.
pub async fn lock<const N: usize>(
    tx: &WriteTransaction,
    owner_id: Uuid,
    kinds: [LedgerKind; N],
) -> Result<[ledger_account::Model; N]> {
    let rows = ledger_account::Entity::find()
        .filter(ledger_account::Column::OwnerId.eq(owner_id))
        .filter(ledger_account::Column::Kind.is_in(kinds))
        .filter(ledger_account::Column::Asset.eq(USD))
        .order_by_asc(ledger_account::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .all(tx)
        .await?;
    let found: Vec<_> =
        kinds.iter().filter_map(|kind| rows.iter().find(|row| row.kind == *kind).cloned()).collect();
    found.try_into().map_err(|_| Error::broken("a brokerage account has no ledger accounts"))
}

/// Whether an owner has no balance in any asset and no holds.
pub async fn is_empty(connection: &impl ConnectionTrait, owner_id: Uuid) -> Result<bool> {
    use ledger_account::Column;
    let something =
        Expr::col(Column::Credits).ne(Expr::col(Column::Debits)).or(Expr::col(Column::Held).ne(0));
    let select = ledger_account::Entity::find().filter(Column::OwnerId.eq(owner_id)).filter(something);
    Ok(select.one(connection).await?.is_none())
}

#[derive(Default)]
struct Change {
    debits: i64,
    credits: i64,
    held: i64,
}

/// Movements, holds and releases that are written together or not at all.
#[derive(Default)]
pub struct Entry {
    moves: Vec<(Uuid, Uuid, String, i64, Option<Uuid>)>,
    holds: Vec<(Uuid, i64, Uuid)>,
    releases: Vec<(Uuid, Uuid, i64, Reason)>,
}

impl Entry {
    /// Adds a movement of `amount` from the debited account to the credited one. An amount of zero adds
    /// nothing.
    pub fn post(
        &mut self,
        debit: &ledger_account::Model,
        credit: &ledger_account::Model,
        amount: i64,
    ) -> &mut Self {
        self.posted(debit.id, credit.id, &debit.asset, amount, None)
    }

    /// Adds the full reversal of an earlier movement. A movement can be reversed only once.
    pub fn reverse(&mut self, earlier: &ledger_transfer::Model) -> &mut Self {
        self.posted(
            earlier.credit_account_id,
            earlier.debit_account_id,
            &earlier.asset,
            earlier.amount,
            Some(earlier.id),
        )
    }

    fn posted(
        &mut self,
        debit: Uuid,
        credit: Uuid,
        asset: &str,
        amount: i64,
        reverses: Option<Uuid>,
    ) -> &mut Self {
        if amount != 0 {
            self.moves.push((debit, credit, asset.to_owned(), amount, reverses));
        }
        self
    }

    /// Adds a hold of `amount` for `purpose`. An amount of zero adds nothing.
    pub fn hold(&mut self, account: &ledger_account::Model, amount: i64, purpose: Uuid) -> &mut Self {
        if amount != 0 {
            self.holds.push((account.id, amount, purpose));
        }
        self
    }

    /// Releases the remainder of a hold.
    pub fn release(&mut self, hold: &OpenHold, reason: Reason) -> &mut Self {
        self.releases.push((hold.id, hold.account_id, hold.left, reason));
        self
    }

    /// Writes the entry, updating accounts in the order of their ids so that two entries cannot deadlock.
    ///
    /// Returns `false` if an account that forbids it would be overdrawn; the caller must then roll back,
    /// because other accounts may already have been updated.
    pub async fn write(
        self,
        connection: &impl ConnectionTrait,
        ids: Ids,
        event: &mut EventBuilder,
    ) -> Result<bool> {
        for (account, change) in self.changes()? {
            if !apply(connection, account, &change).await? {
                return Ok(false);
            }
        }
        self.write_holds(connection, ids, event.at, event.partner_id).await?;
        self.write_moves(connection, ids, event).await?;
        Ok(true)
    }

    fn changes(&self) -> Result<BTreeMap<Uuid, Change>> {
        let mut changes: BTreeMap<Uuid, Change> = BTreeMap::new();
        let add = |slot: &mut i64, amount: i64| -> Result<()> {
            *slot = slot.checked_add(amount).ok_or_else(overflow)?;
            Ok(())
        };
        for (debit, credit, _, amount, _) in &self.moves {
            add(&mut changes.entry(*debit).or_default().debits, *amount)?;
            add(&mut changes.entry(*credit).or_default().credits, *amount)?;
        }
        for (account, amount, _) in &self.holds {
            add(&mut changes.entry(*account).or_default().held, *amount)?;
        }
        for (_, account, amount, _) in &self.releases {
            add(&mut changes.entry(*account).or_default().held, -*amount)?;
        }
        Ok(changes)
    }

    async fn write_holds(
        &self,
        connection: &impl ConnectionTrait,
        ids: Ids,
        at: DateTime<Utc>,
        partner_id: Uuid,
    ) -> Result<()> {
        for (account_id, amount, purpose_id) in &self.holds {
            ledger_hold::ActiveModel {
                id: Set(ids.next(Kind::LedgerHold)),
                partner_id: Set(partner_id),
                account_id: Set(*account_id),
                amount: Set(*amount),
                purpose_id: Set(*purpose_id),
                placed_at: Set(at),
            }
            .insert(connection)
            .await?;
        }
        for (hold_id, _, amount, reason) in &self.releases {
            ledger_release::ActiveModel {
                id: Set(ids.next(Kind::LedgerRelease)),
                hold_id: Set(*hold_id),
                amount: Set(*amount),
                reason: Set(*reason),
                released_at: Set(at),
            }
            .insert(connection)
            .await?;
        }
        Ok(())
    }

    async fn write_moves(
        self,
        connection: &impl ConnectionTrait,
        ids: Ids,
        event: &mut EventBuilder,
    ) -> Result<()> {
        if self.moves.is_empty() {
            return Ok(());
        }
        let entry_id = ids.next(Kind::LedgerEntry);
        let mut rows = Vec::with_capacity(self.moves.len());
        for (debit_account_id, credit_account_id, asset, amount, reverses_id) in self.moves {
            let mut row = ledger_transfer::Model {
                id: ids.next(Kind::LedgerTransfer),
                partner_id: event.partner_id,
                entry_id,
                asset,
                debit_account_id,
                credit_account_id,
                amount,
                reverses_id,
                cause_id: event.id,
                effective_at: event.at,
                recorded_at: event.recorded_at,
                digest: Vec::new(),
            };
            let digest = digest(&row);
            row.digest = digest.to_vec();
            event.movements.push(digest);
            rows.push(ledger_transfer::ActiveModel::from(row).reset_all());
        }
        ledger_transfer::Entity::insert_many(rows).exec_without_returning(connection).await?;
        Ok(())
    }
}

fn overflow() -> Error {
    Error::broken("a ledger entry overflows 64 bits")
}

/// Updates an account's sums, if its overdraft rule allows it.
async fn apply(connection: &impl ConnectionTrait, account: Uuid, change: &Change) -> Result<bool> {
    use ledger_account::Column;
    let after = |column: Column, by: i64| Expr::col(column).add(by);
    let left = Expr::col(Column::Credits).sub(Expr::col(Column::Debits)).sub(Expr::col(Column::Held));
    let needed = change.debits.checked_add(change.held).and_then(|out| out.checked_sub(change.credits));
    let needed = needed.ok_or_else(overflow)?;
    let changed = ledger_account::Entity::update_many()
        .col_expr(Column::Debits, after(Column::Debits, change.debits))
        .col_expr(Column::Credits, after(Column::Credits, change.credits))
        .col_expr(Column::Held, after(Column::Held, change.held))
        .col_expr(Column::Version, after(Column::Version, 1))
        .filter(Column::Id.eq(account))
        .filter(Column::NoOverdraft.eq(false).or(left.gte(needed)))
        .exec(connection)
        .await?;
    Ok(changed.rows_affected == 1)
}

/// Returns a movement's digest: SHA-256 over its columns, each with its length.
pub fn digest(row: &ledger_transfer::Model) -> RowDigest {
    digest::of(&[
        row.id.as_bytes(),
        row.partner_id.as_bytes(),
        row.entry_id.as_bytes(),
        row.asset.as_bytes(),
        row.debit_account_id.as_bytes(),
        row.credit_account_id.as_bytes(),
        &row.amount.to_be_bytes(),
        row.reverses_id.as_ref().map_or(&[][..], |id| id.as_bytes()),
        row.cause_id.as_bytes(),
        &row.effective_at.timestamp_micros().to_be_bytes(),
        &row.recorded_at.timestamp_micros().to_be_bytes(),
    ])
}

/// A hold that is not fully released, with its remaining amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenHold {
    pub id: Uuid,
    pub account_id: Uuid,
    pub left: i64,
}

/// Returns the open holds for `purpose`, oldest first.
pub async fn open_holds(connection: &impl ConnectionTrait, purpose: Uuid) -> Result<Vec<OpenHold>> {
    let holds = ledger_hold::Entity::find()
        .filter(ledger_hold::Column::PurposeId.eq(purpose))
        .order_by_asc(ledger_hold::Column::Id)
        .all(connection)
        .await?;
    let released = ledger_release::Entity::find()
        .filter(ledger_release::Column::HoldId.is_in(holds.iter().map(|hold| hold.id)))
        .all(connection)
        .await?;
    let left = |hold: &ledger_hold::Model| {
        hold.amount
            - released
                .iter()
                .filter(|release| release.hold_id == hold.id)
                .map(|release| release.amount)
                .sum::<i64>()
    };
    Ok(holds
        .iter()
        .map(|hold| OpenHold { id: hold.id, account_id: hold.account_id, left: left(hold) })
        .filter(|hold| hold.left > 0)
        .collect())
}

/// Returns the balance of an account at an instant: every movement recorded by then.
pub async fn balance_at(connection: &impl ConnectionTrait, account: Uuid, at: DateTime<Utc>) -> Result<i64> {
    use ledger_transfer::Column;
    let sum = |side: Column| async move {
        ledger_transfer::Entity::find()
            .select_only()
            .column_as(Expr::col(Column::Amount).sum().cast_as("bigint"), "amount")
            .filter(side.eq(account))
            .filter(Column::RecordedAt.lte(at))
            .into_tuple::<Option<i64>>()
            .one(connection)
            .await
            .map(|sum| sum.flatten().unwrap_or(0))
    };
    Ok(sum(Column::CreditAccountId).await? - sum(Column::DebitAccountId).await?)
}
