//! The double-entry ledger: the only code that writes balances.
//!
//! Every movement has one debited and one credited account, so it cannot be unbalanced. Amounts are whole
//! units of the asset: cents of `USD`, hundred-millionths of a share. A user's assets are credit balances.

mod accounts;
mod changes;
mod history;

pub(super) use accounts::KnownAccounts;
pub use accounts::{
    AccountId, AccountRef, Place, accounts, find, is_opened, lock, lock_all, lock_opened, lock_units,
    of_kinds,
};
pub(super) use changes::Changes;
pub use history::{PastBalance, PastMovement, balances_at, movements};

use super::{
    db::WriteTransaction,
    digest::{self, RowDigest},
    events::EventBuilder,
    ids::Ids,
};
use crate::Result;
use changes::add;
use chrono::{DateTime, Utc};
use entity::{
    Kind, ledger_account, ledger_hold,
    ledger_release::{self, Reason},
    ledger_transfer,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use uuid::Uuid;

/// Asset name of cash.
pub const USD: &str = "USD";

/// Whether an owner has no balance in any asset and no holds.
pub async fn is_empty(connection: &impl ConnectionTrait, owner_id: Uuid) -> Result<bool> {
    use ledger_account::Column;
    let something =
        Expr::col(Column::Credits).ne(Expr::col(Column::Debits)).or(Expr::col(Column::Held).ne(0));
    let select = ledger_account::Entity::find().filter(Column::OwnerId.eq(owner_id)).filter(something);
    Ok(select.one(connection).await?.is_none())
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
    pub fn post<'a>(
        &mut self,
        debit: impl Into<AccountRef<'a>>,
        credit: impl Into<AccountRef<'a>>,
        amount: i64,
    ) -> &mut Self {
        let debit = debit.into();
        self.posted(debit.id, credit.into().id, debit.asset, amount, None)
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

    /// Releases a part of a hold. An amount of zero adds nothing.
    pub fn release_part(&mut self, hold: &OpenHold, amount: i64, reason: Reason) -> &mut Self {
        if amount != 0 {
            self.releases.push((hold.id, hold.account_id, amount, reason));
        }
        self
    }

    /// Writes the entry. Accounts are updated at once, in the order of their ids so that two entries cannot
    /// deadlock; the rows are handed over to the transaction.
    ///
    /// Returns `false` if an account that forbids it would be overdrawn; the caller must then roll back.
    pub async fn write(self, tx: &WriteTransaction, ids: Ids, event: &mut EventBuilder) -> Result<bool> {
        if !tx.change_accounts(self.changes()?).await? {
            return Ok(false);
        }
        self.hand_over(tx, ids, event).await?;
        Ok(true)
    }

    /// Hands the entry over to the transaction, which fails if an account that forbids it would be overdrawn:
    /// at the latest when it is committed. Only the total of what is written together is checked, so the caller must
    /// have checked what it spends.
    pub async fn write_later(self, tx: &WriteTransaction, ids: Ids, event: &mut EventBuilder) -> Result<()> {
        let changes = self.changes()?;
        tx.add_changes(|pending| pending.add(changes)).await?;
        self.hand_over(tx, ids, event).await
    }

    async fn hand_over(self, tx: &WriteTransaction, ids: Ids, event: &mut EventBuilder) -> Result<()> {
        if !self.releases.is_empty() && tx.has_pending("ledger_hold").await {
            // The database compares a release with its hold.
            tx.flush().await?;
        }
        for (account_id, amount, purpose_id) in &self.holds {
            tx.insert(&ledger_hold::Model {
                id: ids.next(Kind::LedgerHold),
                partner_id: event.partner_id,
                account_id: *account_id,
                amount: *amount,
                purpose_id: *purpose_id,
                placed_at: event.at,
            })
            .await;
        }
        for (hold_id, _, amount, reason) in &self.releases {
            tx.insert(&ledger_release::Model {
                id: ids.next(Kind::LedgerRelease),
                hold_id: *hold_id,
                amount: *amount,
                reason: *reason,
                released_at: event.at,
            })
            .await;
        }
        self.hand_over_moves(tx, ids, event).await;
        Ok(())
    }

    fn changes(&self) -> Result<Changes> {
        let mut changes = Changes::default();
        for (debit, credit, _, amount, _) in &self.moves {
            changes.of(*debit, |change| add(&mut change.debits, *amount))?;
            changes.of(*credit, |change| add(&mut change.credits, *amount))?;
        }
        for (account, amount, _) in &self.holds {
            changes.of(*account, |change| add(&mut change.held, *amount))?;
        }
        for (_, account, amount, _) in &self.releases {
            changes.of(*account, |change| add(&mut change.held, -*amount))?;
        }
        Ok(changes)
    }

    async fn hand_over_moves(self, tx: &WriteTransaction, ids: Ids, event: &mut EventBuilder) {
        let entry_id = ids.next(Kind::LedgerEntry);
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
            tx.insert(&row).await;
        }
    }
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

/// Amount of a hold that has not been released, in SQL.
pub const LEFT_OF_HOLD: &str = "ledger_hold.amount - CAST(coalesce((SELECT sum(ledger_release.amount) FROM \
    ledger_release WHERE ledger_release.hold_id = ledger_hold.id), 0) AS bigint)";

/// Returns the open holds for `purpose`, oldest first.
pub async fn open_holds(connection: &impl ConnectionTrait, purpose: Uuid) -> Result<Vec<OpenHold>> {
    let holds = ledger_hold::Entity::find()
        .select_only()
        .columns([ledger_hold::Column::Id, ledger_hold::Column::AccountId])
        .expr(Expr::cust(LEFT_OF_HOLD))
        .filter(ledger_hold::Column::PurposeId.eq(purpose))
        .order_by_asc(ledger_hold::Column::Id)
        .into_tuple::<(Uuid, Uuid, i64)>()
        .all(connection)
        .await?;
    let holds = holds.into_iter().map(|(id, account_id, left)| OpenHold { id, account_id, left });
    Ok(holds.filter(|hold| hold.left > 0).collect())
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
