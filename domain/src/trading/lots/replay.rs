//! Works out lots and realized gains from trades, without input or output: for what brokers report, which look at
//! the purchases of one account only, and for tests.

use super::rules::{self, Candidate, Sale, parts, scaled};
use crate::trading::basis::Split;
use entity::{Money, Price, Quantity, fill, lot_closing, order::Side, tax_lot};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The lots and realized gains of one instrument, after the trades so far.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub lots: Vec<Candidate>,
    /// Realized gains with the purchase of the shares that were sold.
    pub closings: Vec<(lot_closing::Model, Uuid)>,
    /// Splits so far, with ids like those of the realized gains.
    splits: Vec<Split>,
    ids: u128,
}

impl Book {
    fn ids(last: &mut u128) -> impl FnMut() -> Uuid + use<'_> {
        || {
            *last += 1;
            Uuid::from_u128(*last)
        }
    }

    /// Opens a lot, whose shares may replace some that were sold before; `None` if an amount exceeds 64 bits.
    pub fn buy(&mut self, lot: tax_lot::Model, is_retirement: bool) -> Option<()> {
        let mut bought = vec![Candidate { lot, is_retirement }];
        let parts = rules::disallow(&mut self.closings, &mut bought, &self.splits, Self::ids(&mut self.ids))?;
        self.lots.extend(bought.into_iter().chain(parts));
        Some(())
    }

    /// Closes lots in this order, and lets shares that were bought before replace those sold; `None` if the lots have
    /// fewer shares than were sold.
    pub fn sell(&mut self, sale: Sale<'_>, in_order: &[Uuid]) -> Option<()> {
        let lot = |id: &Uuid| self.lots.iter().map(|candidate| &candidate.lot).find(|lot| lot.id == *id);
        let lots: Vec<_> = in_order.iter().filter_map(lot).collect();
        let closed = rules::close(&lots, sale, Self::ids(&mut self.ids))?;
        for (lot, closing) in closed {
            self.closings.push((closing, lot.purchase_id));
            if let Some(candidate) = self.lots.iter_mut().find(|candidate| candidate.lot.id == lot.id) {
                candidate.lot = lot;
            }
        }
        Some(())
    }

    /// Splits the open shares of each purchase: to what its lots have now if that follows from this split alone,
    /// otherwise in proportion.
    fn split(&mut self, split: Split, by: Option<&BTreeMap<Uuid, i64>>) -> Option<()> {
        let Split { new_shares, old_shares, .. } = split;
        let id = Self::ids(&mut self.ids)();
        self.splits.push(Split { id, ..split });
        let mut purchases: BTreeMap<Uuid, Vec<usize>> = BTreeMap::new();
        for (at, candidate) in self.lots.iter().enumerate() {
            if candidate.lot.open_quantity.is_positive() {
                purchases.entry(fill_of(&candidate.lot)).or_default().push(at);
            }
        }
        for (purchase, places) in purchases {
            let open: Vec<i64> =
                places.iter().filter_map(|at| Some(self.lots.get(*at)?.lot.open_quantity.units())).collect();
            let sum = Quantity::from_units(open.iter().sum());
            let total = match by.and_then(|by| by.get(&purchase)) {
                Some(more) => sum.plus(Quantity::from_units(*more))?,
                None => scaled(sum, new_shares, old_shares)?,
            };
            for (at, part) in places.into_iter().zip(parts(total, &open)) {
                let lot = &mut self.lots.get_mut(at)?.lot;
                let sold = lot.quantity.minus(lot.open_quantity)?;
                lot.open_quantity = Quantity::from_units(part);
                lot.quantity = sold.plus(lot.open_quantity)?;
            }
        }
        Some(())
    }

    /// Adds what the rounding of several splits took from a purchase before it is sold: less than a sale of it needs.
    fn round_up(&mut self, purchase: Uuid, sold: Quantity) -> Option<()> {
        let parts = self.lots.iter_mut().map(|candidate| &mut candidate.lot);
        let mut parts: Vec<_> = parts.filter(|lot| fill_of(lot) == purchase).collect();
        let open: i64 = parts.iter().map(|lot| lot.open_quantity.units()).sum();
        let missing = Quantity::from_units(sold.units().saturating_sub(open).max(0));
        let last = parts.last_mut()?;
        last.open_quantity = last.open_quantity.plus(missing)?;
        last.quantity = last.quantity.plus(missing)?;
        Some(())
    }

    /// Lets shares that were bought before replace those that were sold at a loss.
    pub fn disallow(&mut self) -> Option<()> {
        let parts =
            rules::disallow(&mut self.closings, &mut self.lots, &self.splits, Self::ids(&mut self.ids))?;
        self.lots.extend(parts);
        Some(())
    }
}

#[derive(Clone, Copy)]
enum Trade {
    Split,
    Purchase,
    Sale,
}

/// Returns the book of one instrument in one account, from its lots, realized gains and splits in the order of time:
/// as if there were no other accounts. `None` if they do not add up.
pub fn of_account(
    lots: &[&tax_lot::Model],
    closings: &[&lot_closing::Model],
    splits: &[Split],
) -> Option<Book> {
    let purchase_of: BTreeMap<Uuid, Uuid> = lots.iter().map(|lot| (lot.id, fill_of(lot))).collect();
    let mut purchases: BTreeMap<Uuid, tax_lot::Model> = BTreeMap::new();
    // What splits added to each purchase or removed from it.
    let mut split_by: BTreeMap<Uuid, i64> = BTreeMap::new();
    for lot in lots {
        // The parts of a purchase that were split off are joined again.
        let (quantity, cost) = match purchases.get(&fill_of(lot)) {
            Some(joined) => (joined.quantity.plus(lot.bought_quantity)?, joined.cost.plus(lot.cost)?),
            None => (lot.bought_quantity, lot.cost),
        };
        *split_by.entry(fill_of(lot)).or_insert(0) += lot.quantity.minus(lot.bought_quantity)?.units();
        let joined = tax_lot::Model {
            bought_quantity: quantity,
            quantity,
            cost,
            open_quantity: quantity,
            open_basis: cost,
            wash_adjustment: Money::ZERO,
            held_since: lot.acquired_on,
            replaces_id: None,
            ..(*lot).clone()
        };
        purchases.insert(fill_of(lot), joined);
    }
    let mut sales: BTreeMap<Uuid, Vec<&lot_closing::Model>> = BTreeMap::new();
    for closing in closings {
        sales.entry(sale_id(closing)?).or_default().push(closing);
    }
    let mut trades: Vec<(_, Trade, Uuid)> =
        purchases.iter().map(|(id, lot)| (lot.opened_at, Trade::Purchase, *id)).collect();
    trades.extend(sales.iter().filter_map(|(id, sale)| Some((sale.first()?.closed_at, Trade::Sale, *id))));
    trades.extend(splits.iter().map(|split| (split.at, Trade::Split, split.id)));
    // As before, trades of one time follow their ids; a split precedes the sale of the fraction that it leaves.
    trades.sort_unstable_by_key(|(at, kind, id)| (*at, *id, !matches!(kind, Trade::Split)));

    let mut book = Book::default();
    for (_, kind, id) in trades {
        match kind {
            Trade::Split => {
                let split = splits.iter().find(|split| split.id == id)?;
                book.split(*split, (splits.len() == 1).then_some(&split_by))?;
                continue;
            }
            Trade::Purchase => {
                book.buy(purchases.get(&id)?.clone(), false)?;
                continue;
            }
            Trade::Sale => {}
        }
        // Shares and proceeds by purchase, in the order of the sale.
        let mut picked: Vec<(Uuid, Quantity, Money)> = Vec::new();
        for closing in sales.get(&id)? {
            let purchase = *purchase_of.get(&closing.lot_id)?;
            match picked.iter_mut().find(|(of, ..)| *of == purchase) {
                Some((_, quantity, proceeds)) => {
                    *quantity = quantity.plus(closing.quantity)?;
                    *proceeds = proceeds.plus(closing.proceeds)?;
                }
                None => picked.push((purchase, closing.quantity, closing.proceeds)),
            }
        }
        let first = *sales.get(&id)?.first()?;
        for (purchase, quantity, amount) in picked {
            let fill = sale_of(first, quantity, amount);
            let sale = Sale {
                fill: &fill,
                instrument_id: first.instrument_id,
                on: first.closed_on,
                is_taxable: first.entitlement_id.is_none(),
            };
            if splits.len() > 1 {
                book.round_up(purchase, quantity)?;
            }
            let parts = book.lots.iter().map(|candidate| &candidate.lot);
            let parts = parts.filter(|lot| fill_of(lot) == purchase && lot.open_quantity.is_positive());
            let parts: Vec<_> = parts.map(|lot| lot.id).collect();
            book.sell(sale, &parts)?;
        }
        book.disallow()?;
    }
    Some(book)
}

/// Returns the id of the purchase of a lot: its fill, if it has one.
fn fill_of(lot: &tax_lot::Model) -> Uuid {
    lot.fill_id.unwrap_or(lot.purchase_id)
}

/// Returns the id of what sold the shares: a fill, or an entitlement that paid fractions in cash.
fn sale_id(closing: &lot_closing::Model) -> Option<Uuid> {
    closing.fill_id.or(closing.entitlement_id)
}

fn sale_of(closing: &lot_closing::Model, quantity: Quantity, amount: Money) -> fill::Model {
    fill::Model {
        id: sale_id(closing).unwrap_or_default(),
        partner_id: closing.partner_id,
        account_id: closing.account_id,
        order_id: sale_id(closing).unwrap_or_default(),
        number: 1,
        side: Side::Sell,
        quantity,
        price: Price::average(amount, quantity).unwrap_or_default(),
        amount,
        execution_id: None,
        explanation: None,
        traded_at: closing.closed_at,
        settles_at: closing.closed_at,
        settled_at: None,
        sec_fee: Money::ZERO,
        trading_activity_fee: Money::ZERO,
        set_aside: Money::ZERO,
    }
}
