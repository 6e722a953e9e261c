//! Checks of tax lots and realized gains: against each other, against the fills, and of the sums of positions.

use super::{Audit, PAGE, derived::Trade};
use crate::{
    Result,
    kernel::calendar,
    trading::lots::rules::{self, WASH_DAYS},
};
use chrono::NaiveDate;
use entity::{Money, Quantity, lot_closing, order::Side, tax_lot};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;
use uuid::Uuid;

/// Shares and dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub quantity: i128,
    pub amount: i128,
}

impl Total {
    fn add(&mut self, quantity: Quantity, amount: Money) {
        self.quantity += i128::from(quantity.units());
        self.amount += i128::from(amount.units());
    }

    pub(super) fn is(&self, quantity: Quantity, amount: Money) -> bool {
        (self.quantity, self.amount) == (quantity.units().into(), amount.units().into())
    }
}

/// A realized loss, as far as the shares that replace those sold depend on it.
struct Loss {
    moved: i128,
    held_since: NaiveDate,
    closed_on: NaiveDate,
}

impl<C: ConnectionTrait> Audit<'_, C> {
    /// Checks every lot and every realized gain. Returns the sums of the open lots by account and instrument.
    pub(super) async fn lots(&mut self, trades: &[Trade]) -> Result<HashMap<(Uuid, Uuid), Total>> {
        let fills: HashMap<Uuid, &Trade> = trades.iter().map(|trade| (trade.id, trade)).collect();
        let mut closed: HashMap<Uuid, Total> = HashMap::new();
        let mut sold: HashMap<Uuid, Total> = HashMap::new();
        let mut losses: HashMap<Uuid, Loss> = HashMap::new();
        let rows = walk!(self, lot_closing, row => {
            closed.entry(row.lot_id).or_default().add(row.quantity, row.basis);
            for cause in [row.fill_id, row.entitlement_id].into_iter().flatten() {
                sold.entry(cause).or_default().add(row.quantity, row.proceeds);
            }
            self.closing(&row, &fills);
            let lot_closing::Model { held_since, closed_on, .. } = row;
            let moved = i128::from(row.disallowed.units()) - i128::from(row.forfeited.units());
            losses.insert(row.id, Loss { moved, held_since, closed_on });
        });
        self.report.checked.push(("realized gains", rows));

        let mut bought: HashMap<Uuid, Total> = HashMap::new();
        let mut open: HashMap<(Uuid, Uuid), Total> = HashMap::new();
        let rows = walk!(self, tax_lot, row => {
            let total = closed.remove(&row.id).unwrap_or_default();
            let quantity = i128::from(row.quantity.units()) - total.quantity;
            let basis = i128::from(row.cost.units()) + i128::from(row.wash_adjustment.units()) - total.amount;
            if !(Total { quantity, amount: basis }).is(row.open_quantity, row.open_basis) {
                self.wrong(format!("tax_lot {} has {} open shares with basis {}, which is not what its sales left",
                    row.id, row.open_quantity, row.open_basis));
            }
            if let Some(fill) = row.fill_id {
                bought.entry(fill).or_default().add(row.bought_quantity, row.cost);
                self.purchase(&row, fills.get(&fill).copied());
            }
            self.replacement(&row, &mut losses);
            open.entry((row.account_id, row.instrument_id)).or_default().add(row.open_quantity, row.open_basis);
        });
        self.report.checked.push(("tax lots", rows));
        if let Some((loss, _)) = losses.iter().find(|(_, loss)| loss.moved != 0) {
            self.wrong(format!(
                "lot_closing {loss} has a disallowed loss that is not the sum in the lots that replace it"
            ));
        }
        if let Some(lot) = closed.keys().next() {
            self.wrong(format!("realized gains refer to tax_lot {lot}, which does not exist"));
        }
        for trade in trades {
            // Trades from before lots were kept have neither lots nor realized gains.
            let total = match trade.side {
                Side::Buy => bought.get(&trade.id),
                Side::Sell => sold.get(&trade.id),
            };
            if total.is_some_and(|total| !total.is(trade.quantity, trade.amount)) {
                self.wrong(format!(
                    "fill {} does not have the shares and the amount of its tax lots",
                    trade.id
                ));
            }
        }
        Ok(open)
    }

    fn closing(&mut self, row: &lot_closing::Model, fills: &HashMap<Uuid, &Trade>) {
        let is_sale = match row.fill_id.map(|fill| fills.get(&fill)) {
            // What was paid in cash is checked with the entitlements.
            None => calendar::new_york_date(row.closed_at) == row.closed_on,
            Some(fill) => fill.is_some_and(|fill| {
                fill.side == Side::Sell
                    && fill.account == row.account_id
                    && calendar::new_york_date(fill.traded_at) == row.closed_on
            }),
        };
        if !is_sale || row.term != rules::term(row.held_since, row.closed_on) {
            self.wrong(format!(
                "lot_closing {} does not have the account, dates and term of its fill",
                row.id
            ));
        }
    }

    fn purchase(&mut self, row: &tax_lot::Model, fill: Option<&Trade>) {
        let is_purchase = fill.is_some_and(|fill| {
            fill.side == Side::Buy
                && fill.account == row.account_id
                && calendar::new_york_date(fill.traded_at) == row.acquired_on
        });
        if !is_purchase {
            self.wrong(format!("tax_lot {} does not have the account and the date of its fill", row.id));
        }
    }

    /// Checks the adjustment and the holding period of a lot against the loss that it replaces.
    fn replacement(&mut self, row: &tax_lot::Model, losses: &mut HashMap<Uuid, Loss>) {
        let Some(loss) = row.replaces_id else {
            if row.wash_adjustment != Money::ZERO || row.held_since != row.acquired_on {
                self.wrong(format!("tax_lot {} replaces no loss, but has an adjustment", row.id));
            }
            return;
        };
        let Some(loss) = losses.get_mut(&loss) else {
            self.wrong(format!("tax_lot {} replaces a loss that does not exist", row.id));
            return;
        };
        loss.moved -= i128::from(row.wash_adjustment.units());
        let held = loss.closed_on.signed_duration_since(loss.held_since);
        let is_prolonged = row.acquired_on.checked_sub_signed(held) == Some(row.held_since);
        // A loss that is replaced in a retirement account is lost, and nothing moves.
        let is_unchanged = row.wash_adjustment == Money::ZERO && row.held_since == row.acquired_on;
        let days = row.acquired_on.signed_duration_since(loss.closed_on).num_days().unsigned_abs();
        if days > WASH_DAYS || !(is_prolonged || is_unchanged) {
            self.wrong(format!("tax_lot {} does not have the dates of the loss that it replaces", row.id));
        }
    }
}
