//! Account balances: total value, buying power and withdrawable cash.

use super::{instruments, market};
use crate::{
    Error, Result,
    kernel::{app::App, clock, ledger::USD},
};
use chrono::{DateTime, Utc};
use entity::{
    Money,
    ledger_account::{self, LedgerKind},
    position,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use std::collections::HashMap;
use uuid::Uuid;

/// Cash and market value of an account at one time, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Settled and unsettled cash plus positions at their last price, less what is owed; without pending deposits and
    /// money that is set aside for withdrawals.
    pub total: Money,
    /// Settled and unsettled cash less holds for orders; zero while money is owed.
    pub buying_power: Money,
    /// The same without unsettled cash, for accounts that are restricted to settled cash.
    pub settled_buying_power: Money,
    /// Settled cash less holds for orders, never below zero; zero while money is owed.
    pub withdrawable: Money,
    /// Cash from settled deposits and trades. An instant deposit is not settled until its money has arrived.
    pub settled_cash: Money,
    /// Proceeds of sales that have not settled.
    pub unsettled_cash: Money,
    /// Part of the settled and unsettled cash that open orders hold.
    pub held_cash: Money,
    /// Deposits whose money has not arrived, which are not part of the total.
    pub pending_deposits: Money,
    /// Money set aside for withdrawals that have not been paid, which is not part of the total.
    pub pending_withdrawals: Money,
    /// Money owed because a deposit was returned after it was spent.
    pub owed: Money,
    pub at: DateTime<Utc>,
}

const KINDS: [LedgerKind; 5] = [
    LedgerKind::Cash,
    LedgerKind::Unsettled,
    LedgerKind::PendingDeposit,
    LedgerKind::PendingWithdrawal,
    LedgerKind::Receivable,
];

/// Returns the balances of these accounts of one partner, at the current time of the partner's clock.
pub async fn of_accounts(
    app: &App,
    connection: &impl ConnectionTrait,
    partner_id: Uuid,
    accounts: &[Uuid],
) -> Result<HashMap<Uuid, Balance>> {
    let partner = clock::partner(connection, partner_id).await?;
    let at = clock::now_of(&partner);
    let cash = ledger_account::Entity::find()
        .filter(ledger_account::Column::OwnerId.is_in(accounts.iter().copied()))
        .filter(ledger_account::Column::PartnerId.eq(partner_id))
        .filter(ledger_account::Column::Asset.eq(USD))
        .filter(ledger_account::Column::Kind.is_in(KINDS))
        .all(connection)
        .await?;
    let positions = position::Entity::find()
        .filter(position::Column::AccountId.is_in(accounts.iter().copied()))
        .filter(position::Column::PartnerId.eq(partner_id))
        .filter(position::Column::Quantity.gt(0_i64))
        .all(connection)
        .await?;
    let mut values: HashMap<Uuid, i64> = HashMap::new();
    if !positions.is_empty() {
        let held: Vec<Uuid> = positions.iter().map(|position| position.instrument_id).collect();
        let held: Vec<_> = instruments::by_ids(app, &held).await?.into_values().collect();
        let quotes = market::quotes(app, connection, &partner, &held, at).await?;
        for position in &positions {
            let worth = quotes
                .get(&position.instrument_id)
                .and_then(|quote| Money::cost(position.quantity, quote.last));
            let worth = worth.ok_or_else(|| Error::broken("a position has no price"))?;
            *values.entry(position.account_id).or_default() += worth.units();
        }
    }
    Ok(accounts
        .iter()
        .map(|account| (*account, balance(*account, &cash, values.get(account).copied().unwrap_or(0), at)))
        .collect())
}

fn balance(account: Uuid, cash: &[ledger_account::Model], positions: i64, at: DateTime<Utc>) -> Balance {
    let sum = |kinds: &[LedgerKind], of: fn(&ledger_account::Model) -> i64| {
        cash.iter().filter(|row| row.owner_id == account && kinds.contains(&row.kind)).map(of).sum::<i64>()
    };
    let both = [LedgerKind::Cash, LedgerKind::Unsettled];
    let owed = -sum(&[LedgerKind::Receivable], ledger_account::Model::balance);
    let power = |kinds: &[LedgerKind]| {
        Money::from_units(if owed > 0 { 0 } else { sum(kinds, ledger_account::Model::available) })
    };
    Balance {
        total: Money::from_units(sum(&both, ledger_account::Model::balance) + positions - owed),
        buying_power: power(&both),
        settled_buying_power: power(&[LedgerKind::Cash]),
        withdrawable: power(&[LedgerKind::Cash]).max(Money::ZERO),
        settled_cash: Money::from_units(sum(&[LedgerKind::Cash], ledger_account::Model::balance)),
        unsettled_cash: Money::from_units(sum(&[LedgerKind::Unsettled], ledger_account::Model::balance)),
        held_cash: Money::from_units(sum(&both, |row| row.held)),
        pending_deposits: Money::from_units(sum(
            &[LedgerKind::PendingDeposit],
            ledger_account::Model::balance,
        )),
        pending_withdrawals: Money::from_units(sum(
            &[LedgerKind::PendingWithdrawal],
            ledger_account::Model::balance,
        )),
        owed: Money::from_units(owed),
        at,
    }
}
