//! Checks of columns that are derived from the ledger: orders and fills; and of the sums of positions.

use super::{AccountBalance, AccountBalances, Audit, ByCause, Movement, PAGE, chains::Causes, lots::Total};
use crate::{Result, kernel::events::EventType, trading::orders::state::Filled};
use chrono::{DateTime, Utc};
use entity::{
    Money, Price, Quantity, fill,
    ledger_account::LedgerKind,
    order::{self, Side},
    position,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;
use uuid::Uuid;

/// Ledger movements and accounts, with the events that caused the movements.
pub(super) struct Books<'a> {
    pub movements: &'a ByCause,
    pub accounts: &'a AccountBalances,
    pub causes: &'a Causes,
}

impl Books<'_> {
    /// Returns the total amount of an event's movements between accounts that `matches` accepts as debit and
    /// credit.
    fn moved_by(&self, event: Uuid, matches: impl Fn(&AccountBalance, &AccountBalance) -> bool) -> i64 {
        let matching = |movement: &&Movement| match (
            self.accounts.get(&movement.debit),
            self.accounts.get(&movement.credit),
        ) {
            (Some(debit), Some(credit)) => matches(debit, credit),
            _ => false,
        };
        let movements = self.movements.get(&event).into_iter().flatten();
        movements.filter(matching).map(|movement| movement.amount).fold(0, i64::saturating_add)
    }

    /// Returns the same total for all events of one type about a subject.
    pub fn moved(
        &self,
        subject: Uuid,
        event_type: EventType,
        matches: impl Fn(&AccountBalance, &AccountBalance) -> bool,
    ) -> i64 {
        let events = self.causes.get(&(subject, event_type)).into_iter().flatten();
        events.map(|cause| self.moved_by(cause.event, &matches)).fold(0, i64::saturating_add)
    }

    pub fn happened(&self, subject: Uuid, event_type: EventType) -> bool {
        self.causes.contains_key(&(subject, event_type))
    }
}

/// Fill, with the columns that orders and tax lots are derived from.
pub(super) struct Trade {
    pub id: Uuid,
    order: Uuid,
    pub account: Uuid,
    pub side: Side,
    pub quantity: Quantity,
    price: Price,
    /// What the customer paid or received.
    pub amount: Money,
    pub traded_at: DateTime<Utc>,
}

impl<C: ConnectionTrait> Audit<'_, C> {
    pub(super) async fn derived(
        &mut self,
        movements: &ByCause,
        accounts: &AccountBalances,
        causes: &Causes,
    ) -> Result<()> {
        let books = Books { movements, accounts, causes };
        self.transfers(&books).await?;
        let trades = self.fills(&books).await?;
        self.entitlements(&books).await?;
        self.orders(&trades).await?;
        let lots = self.lots(&trades).await?;
        self.positions(accounts, lots).await
    }

    /// Checks each fill against the movements of its event, and its amount against its price. Returns all fills
    /// in the order in which they happened.
    async fn fills(&mut self, books: &Books<'_>) -> Result<Vec<Trade>> {
        let mut trades = Vec::new();
        let mut filled: HashMap<Uuid, Filled> = HashMap::new();
        let rows = walk!(self, fill, row => {
            let index = usize::try_from(row.number).ok().and_then(|number| number.checked_sub(1));
            let causes = books.causes.get(&(row.order_id, EventType::OrderFilled));
            match index.and_then(|index| causes?.get(index)) {
                None => self.wrong(format!("fill {} has no event", row.id)),
                Some(cause) => {
                    self.movements_of(books, &row, cause.event);
                    if cause.price.is_some_and(|recorded| recorded != row.price) {
                        self.wrong(format!("fill {} has price {}, its event has another", row.id, row.price));
                    }
                }
            }
            // The fills of an order cost together what one fill would have cost.
            let sum = filled.entry(row.order_id).or_default();
            let amount = sum.and(row.quantity, row.price).map(|(next, amount)| {
                *sum = next;
                amount
            });
            if amount != Some(row.amount) {
                self.wrong(format!("fill {} has the wrong amount for {} shares at {}: {}", row.id,
                    row.quantity, row.price, row.amount));
            }
            if books.happened(row.id, EventType::TradeSettled) != row.settled_at.is_some() {
                self.wrong(format!("fill {} has a settlement status that does not match its events", row.id));
            }
            let amount = row.net_amount();
            let fill::Model { id, side, quantity, price, traded_at, .. } = row;
            let (order, account) = (row.order_id, row.account_id);
            trades.push(Trade { id, order, account, side, quantity, price, amount, traded_at });
        });
        self.report.checked.push(("fills", rows));
        Ok(trades)
    }

    fn movements_of(&mut self, books: &Books<'_>, row: &fill::Model, event: Uuid) {
        let owned = |account: &AccountBalance| account.owner == row.account_id;
        let money = books.moved_by(event, |debit, credit| match row.side {
            Side::Buy => owned(debit) && credit.kind == LedgerKind::ClearingPayable,
            Side::Sell => debit.kind == LedgerKind::ClearingReceivable && owned(credit),
        });
        if money != row.net_amount().units() {
            self.wrong(format!(
                "fill {} has amount {}, its ledger movements sum to {}",
                row.id,
                row.net_amount(),
                Money::from_units(money)
            ));
        }
        let fees = books.moved_by(event, |debit, credit| {
            debit.kind == LedgerKind::ClearingReceivable && credit.kind == LedgerKind::RegulatoryFees
        });
        if fees != row.fees().units() {
            self.wrong(format!(
                "fill {} has fees {}, its ledger movements sum to {}",
                row.id,
                row.fees(),
                Money::from_units(fees)
            ));
        }
        let shares = books.moved_by(event, |debit, credit| match row.side {
            Side::Buy => owned(credit) && credit.kind == LedgerKind::Units,
            Side::Sell => owned(debit) && debit.kind == LedgerKind::Units,
        });
        if shares != row.quantity.units() {
            let moved = Quantity::from_units(shares);
            self.wrong(format!(
                "fill {} has {} shares, its ledger movements sum to {moved}",
                row.id, row.quantity
            ));
        }
    }

    /// Checks each order against its fills.
    async fn orders(&mut self, trades: &[Trade]) -> Result<()> {
        let mut fills: HashMap<Uuid, Vec<&Trade>> = HashMap::new();
        for trade in trades {
            fills.entry(trade.order).or_default().push(trade);
        }
        let rows = walk!(self, order, row => {
            let fills = fills.remove(&row.id).unwrap_or_default();
            let filled = fills.iter().map(|fill| fill.quantity.units()).fold(0, i64::saturating_add);
            if filled != row.filled_quantity.units() {
                self.wrong(format!("order {} has filled quantity {}, which is not the sum of its fills",
                    row.id, row.filled_quantity));
            }
            if average(&fills) != row.filled_average_price {
                self.wrong(format!("order {} does not have the average price of its fills", row.id));
            }
            if row.status == order::Status::Filled && row.filled_quantity != row.quantity {
                self.wrong(format!("order {} is filled, but has quantity {} and filled quantity {}", row.id,
                    row.quantity, row.filled_quantity));
            }
            if fills.iter().any(|fill| fill.side != row.side || fill.account != row.account_id) {
                self.wrong(format!("order {} has a different side or account than its fills", row.id));
            }
        });
        if let Some(order) = fills.keys().next() {
            self.wrong(format!("fills refer to order {order}, which does not exist"));
        }
        self.report.checked.push(("orders", rows));
        Ok(())
    }

    /// Checks each position against the units in the ledger and against the sum of its open lots.
    async fn positions(
        &mut self,
        accounts: &AccountBalances,
        mut lots: HashMap<(Uuid, Uuid), Total>,
    ) -> Result<()> {
        let of_units = accounts.values().filter(|account| account.kind == LedgerKind::Units);
        let mut units: HashMap<(Uuid, String), i64> =
            of_units.map(|account| ((account.owner, account.asset.clone()), account.balance)).collect();
        let symbols: HashMap<Uuid, String> = entity::instrument::Entity::find()
            .all(&self.connection)
            .await?
            .into_iter()
            .map(|instrument| (instrument.id, instrument.symbol))
            .collect();
        let rows = walk!(self, position, row => {
            let symbol = symbols.get(&row.instrument_id).cloned().unwrap_or_default();
            let in_ledger = units.remove(&(row.account_id, symbol)).unwrap_or(0);
            if in_ledger != row.quantity.units() {
                self.wrong(format!("position {} has {} units, the ledger has {in_ledger}", row.id,
                    row.quantity.units()));
            }
            let total = lots.remove(&(row.account_id, row.instrument_id)).unwrap_or_default();
            if !total.is(row.quantity, row.cost_basis) {
                self.wrong(format!("position {} has {} shares with cost basis {}, its tax lots do not add up to \
                    that", row.id, row.quantity, row.cost_basis));
            }
        });
        if let Some(((account, symbol), _)) = units.iter().find(|(_, units)| **units != 0) {
            self.wrong(format!("account {account} has {symbol} in the ledger, but no position"));
        }
        if let Some(((account, _), _)) = lots.iter().find(|(_, total)| total.quantity != 0) {
            self.wrong(format!("account {account} has tax lots, but no position"));
        }
        self.report.checked.push(("positions", rows));
        Ok(())
    }
}

/// Returns the average price per share of the fills, rounded half up; `None` without fills.
fn average(fills: &[&Trade]) -> Option<Price> {
    let shares: i128 = fills.iter().map(|fill| i128::from(fill.quantity.units())).sum();
    let worth: i128 =
        fills.iter().map(|fill| i128::from(fill.quantity.units()) * i128::from(fill.price.units())).sum();
    let average = (worth + shares / 2).checked_div(shares)?;
    i64::try_from(average).ok().map(Price::from_units)
}
