//! Columns that follow from the ledger: transfers, orders, fills and positions.

use super::{Audit, ByCause, LedgerPlace, LedgerPlaces, Movement, PAGE, chains::Causes};
use crate::{Result, kernel::events::EventType};
use entity::{
    Money, Price, Quantity, fill,
    ledger_account::LedgerKind,
    order::{self, Side},
    position,
    transfer::{self, Direction, Status},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;
use uuid::Uuid;

/// The ledger, and the events that moved it.
struct Books<'a> {
    movements: &'a ByCause,
    places: &'a LedgerPlaces,
    causes: &'a Causes,
}

impl Books<'_> {
    /// What one event moved between accounts of the ledger that `of` picks by debit and credit.
    fn moved_by(&self, event: Uuid, of: impl Fn(&LedgerPlace, &LedgerPlace) -> bool) -> i64 {
        let picked = |movement: &&Movement| match (
            self.places.get(&movement.debit),
            self.places.get(&movement.credit),
        ) {
            (Some(debit), Some(credit)) => of(debit, credit),
            _ => false,
        };
        self.movements.get(&event).into_iter().flatten().filter(picked).map(|movement| movement.amount).sum()
    }

    /// The same for every event of a type that happened to something.
    fn moved(&self, subject: Uuid, what: EventType, of: impl Fn(&LedgerPlace, &LedgerPlace) -> bool) -> i64 {
        let events = self.causes.get(&(subject, what.name())).into_iter().flatten();
        events.map(|cause| self.moved_by(cause.event, &of)).sum()
    }

    fn happened(&self, subject: Uuid, what: EventType) -> bool {
        self.causes.contains_key(&(subject, what.name()))
    }
}

/// A fill, as far as orders and positions are derived from it.
struct Trade {
    order: Uuid,
    account: Uuid,
    side: Side,
    quantity: Quantity,
    price: Price,
    amount: Money,
}

/// What an account holds of an instrument, and what it paid for it.
#[derive(Clone, Copy)]
struct Holding {
    quantity: Quantity,
    cost: Money,
}

impl Holding {
    const NONE: Self = Self { quantity: Quantity::ZERO, cost: Money::from_units(0) };

    /// After a trade; a sale takes away its part of the cost, rounded half up to the cent.
    fn after(self, trade: &Trade) -> Option<Self> {
        match trade.side {
            Side::Buy => Some(Self {
                quantity: self.quantity.plus(trade.quantity)?,
                cost: self.cost.plus(trade.amount)?,
            }),
            Side::Sell => {
                let left = self.quantity.minus(trade.quantity)?;
                Some(Self { quantity: left, cost: self.cost.share(left.units(), self.quantity.units())? })
            }
        }
    }
}

impl<C: ConnectionTrait> Audit<'_, C> {
    pub(super) async fn derived(
        &mut self,
        movements: &ByCause,
        places: &LedgerPlaces,
        causes: &Causes,
    ) -> Result<()> {
        let books = Books { movements, places, causes };
        self.transfers(&books).await?;
        let trades = self.fills(&books).await?;
        let instruments = self.orders(&trades).await?;
        self.positions(places, &trades, &instruments).await
    }

    /// Each transfer against the movements of its own events, and what accounts await against the transfers
    /// that are pending.
    async fn transfers(&mut self, books: &Books<'_>) -> Result<()> {
        let mut expected: HashMap<Uuid, i64> = HashMap::new();
        let rows = walk!(self, transfer, row => {
            if row.status == Status::Pending {
                *expected.entry(row.account_id).or_default() += row.amount.units();
            }
            if row.direction == Direction::Deposit {
                self.deposit(books, &row);
            }
        });
        for (id, place) in books.places.iter().filter(|(_, place)| place.kind == LedgerKind::PendingDeposit) {
            let expected = expected.remove(&place.owner).unwrap_or(0);
            if place.balance != expected {
                self.wrong(format!(
                    "ledger_account {id} awaits {}, its pending transfers are {expected}",
                    place.balance
                ));
            }
        }
        self.report.checked.push(("transfers", rows));
        Ok(())
    }

    fn deposit(&mut self, books: &Books<'_>, row: &transfer::Model) {
        let is_own = |credit: &LedgerPlace, kind| credit.kind == kind && credit.owner == row.account_id;
        let announced = books
            .moved(row.id, EventType::DepositPending, |_, credit| is_own(credit, LedgerKind::PendingDeposit));
        if announced != row.amount.units() {
            self.wrong(format!(
                "transfer {} is of {}, its ledger movements of {}",
                row.id,
                row.amount,
                Money::from_units(announced)
            ));
        }
        let arrived = books.moved(row.id, EventType::DepositSettled, |debit, credit| {
            debit.kind == LedgerKind::PendingDeposit && is_own(credit, LedgerKind::Cash)
        });
        let due = if row.status == Status::Settled { row.amount.units() } else { 0 };
        if arrived != due || (row.status == Status::Settled) != row.settled_at.is_some() {
            self.wrong(format!("transfer {} does not stand as its events and the ledger say", row.id));
        }
    }

    /// Each fill against the movements of the event that filled its order, and against its own price. Answers
    /// with all of them in the order in which they happened.
    async fn fills(&mut self, books: &Books<'_>) -> Result<Vec<Trade>> {
        let mut trades = Vec::new();
        let rows = walk!(self, fill, row => {
            let place = usize::try_from(row.number).ok().and_then(|number| number.checked_sub(1));
            let causes = books.causes.get(&(row.order_id, EventType::OrderFilled.name()));
            match place.and_then(|place| causes?.get(place)) {
                None => self.wrong(format!("fill {} has no event", row.id)),
                Some(cause) => {
                    self.movements_of(books, &row, cause.event);
                    if cause.price.as_ref().is_some_and(|told| *told != row.price.to_string()) {
                        self.wrong(format!("fill {} is at {}, its event says otherwise", row.id, row.price));
                    }
                }
            }
            if Money::cost(row.quantity, row.price) != Some(row.amount) {
                self.wrong(format!("fill {} says that {} shares at {} are {}", row.id, row.quantity,
                    row.price, row.amount));
            }
            if books.happened(row.id, EventType::TradeSettled) != row.settled_at.is_some() {
                self.wrong(format!("fill {} does not stand as its events say", row.id));
            }
            let fill::Model { order_id: order, account_id: account, side, quantity, price, amount, .. } = row;
            trades.push(Trade { order, account, side, quantity, price, amount });
        });
        self.report.checked.push(("fills", rows));
        Ok(trades)
    }

    fn movements_of(&mut self, books: &Books<'_>, row: &fill::Model, event: Uuid) {
        let owned = |place: &LedgerPlace| place.owner == row.account_id;
        let money = books.moved_by(event, |debit, credit| match row.side {
            Side::Buy => owned(debit) && credit.kind == LedgerKind::ClearingPayable,
            Side::Sell => debit.kind == LedgerKind::ClearingReceivable && owned(credit),
        });
        if money != row.amount.units() {
            self.wrong(format!(
                "fill {} is of {}, its ledger movements of {}",
                row.id,
                row.amount,
                Money::from_units(money)
            ));
        }
        let shares = books.moved_by(event, |debit, credit| match row.side {
            Side::Buy => owned(credit) && credit.kind == LedgerKind::Units,
            Side::Sell => owned(debit) && debit.kind == LedgerKind::Units,
        });
        if shares != row.quantity.units() {
            let moved = Quantity::from_units(shares);
            self.wrong(format!(
                "fill {} is of {} shares, its ledger movements of {moved}",
                row.id, row.quantity
            ));
        }
    }

    /// Each order against its fills. Answers with the instruments of the orders that have any.
    async fn orders(&mut self, trades: &[Trade]) -> Result<HashMap<Uuid, Uuid>> {
        let mut fills: HashMap<Uuid, Vec<&Trade>> = HashMap::new();
        for trade in trades {
            fills.entry(trade.order).or_default().push(trade);
        }
        let mut instruments = HashMap::new();
        let rows = walk!(self, order, row => {
            let fills = fills.remove(&row.id).unwrap_or_default();
            let filled: i64 = fills.iter().map(|fill| fill.quantity.units()).sum();
            if filled != row.filled_quantity.units() {
                self.wrong(format!("order {} says it is filled by {}, its fills say otherwise", row.id,
                    row.filled_quantity));
            }
            if average(&fills) != row.filled_average_price {
                self.wrong(format!("order {} does not have the average price of its fills", row.id));
            }
            if row.status == order::Status::Filled && row.filled_quantity != row.quantity {
                self.wrong(format!("order {} is for {}, and filled by {}", row.id, row.quantity,
                    row.filled_quantity));
            }
            if fills.iter().any(|fill| fill.side != row.side || fill.account != row.account_id) {
                self.wrong(format!("order {} is of another side or account than its fills", row.id));
            }
            if !fills.is_empty() {
                instruments.insert(row.id, row.instrument_id);
            }
        });
        if let Some(order) = fills.keys().next() {
            self.wrong(format!("fills name order {order}, which does not exist"));
        }
        self.report.checked.push(("orders", rows));
        Ok(instruments)
    }

    /// Each position against the units of the ledger, and against what its account's fills add up to one
    /// after the other.
    async fn positions(
        &mut self,
        places: &LedgerPlaces,
        trades: &[Trade],
        instruments: &HashMap<Uuid, Uuid>,
    ) -> Result<()> {
        let of_units = places.values().filter(|place| place.kind == LedgerKind::Units);
        let mut units: HashMap<(Uuid, String), i64> =
            of_units.map(|place| ((place.owner, place.asset.clone()), place.balance)).collect();
        let mut holdings: HashMap<(Uuid, Uuid), Option<Holding>> = HashMap::new();
        for trade in trades {
            if let Some(instrument) = instruments.get(&trade.order) {
                let holding = holdings.entry((trade.account, *instrument)).or_insert(Some(Holding::NONE));
                *holding = holding.and_then(|holding| holding.after(trade));
            }
        }
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
                self.wrong(format!("position {} holds {}, the ledger {in_ledger} units", row.id,
                    row.quantity.units()));
            }
            match holdings.remove(&(row.account_id, row.instrument_id)).flatten() {
                Some(Holding { quantity, cost }) if quantity == row.quantity => {
                    if cost != row.cost_basis {
                        self.wrong(format!("position {} cost {}, its fills say {cost}", row.id, row.cost_basis));
                    }
                }
                _ => self.wrong(format!("position {} is not what its fills add up to", row.id)),
            }
        });
        if let Some(((account, symbol), _)) = units.iter().find(|(_, units)| **units != 0) {
            self.wrong(format!("account {account} has {symbol} in the ledger and no position"));
        }
        self.report.checked.push(("positions", rows));
        Ok(())
    }
}

/// The price of a share over all fills, rounded half up; none without fills.
fn average(fills: &[&Trade]) -> Option<Price> {
    let shares: i128 = fills.iter().map(|fill| i128::from(fill.quantity.units())).sum();
    let worth: i128 =
        fills.iter().map(|fill| i128::from(fill.quantity.units()) * i128::from(fill.price.units())).sum();
    let average = (worth + shares / 2).checked_div(shares)?;
    i64::try_from(average).ok().map(Price::from_units)
}
