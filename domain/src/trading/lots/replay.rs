//! Works out lots and realized gains from trades, without input or output: for what brokers report, which look at
//! the purchases of one account only, and for tests.

use super::rules::{self, Candidate, Sale};
use entity::{Money, Price, Quantity, fill, lot_closing, order::Side, tax_lot};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The lots and realized gains of one instrument, after the trades so far.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub lots: Vec<Candidate>,
    /// Realized gains with the purchase of the shares that were sold.
    pub closings: Vec<(lot_closing::Model, Uuid)>,
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
        let parts = rules::disallow(&mut self.closings, &mut bought, Self::ids(&mut self.ids))?;
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

    /// Lets shares that were bought before replace those that were sold at a loss.
    pub fn disallow(&mut self) -> Option<()> {
        let parts = rules::disallow(&mut self.closings, &mut self.lots, Self::ids(&mut self.ids))?;
        self.lots.extend(parts);
        Some(())
    }
}

/// Returns the book of one instrument in one account, from its lots and realized gains in the order of time: as if
/// there were no other accounts. `None` if they do not add up.
pub fn of_account(lots: &[&tax_lot::Model], closings: &[&lot_closing::Model]) -> Option<Book> {
    let purchase_of: BTreeMap<Uuid, Uuid> = lots.iter().map(|lot| (lot.id, fill_of(lot))).collect();
    let mut purchases: BTreeMap<Uuid, tax_lot::Model> = BTreeMap::new();
    for lot in lots {
        // The parts of a purchase that were split off are joined again.
        let (quantity, cost) = match purchases.get(&fill_of(lot)) {
            Some(joined) => (joined.quantity.plus(lot.quantity)?, joined.cost.plus(lot.cost)?),
            None => (lot.quantity, lot.cost),
        };
        let joined = tax_lot::Model {
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
        sales.entry(closing.fill_id).or_default().push(closing);
    }
    let mut trades: Vec<(_, Uuid)> = purchases.iter().map(|(id, lot)| (lot.opened_at, *id)).collect();
    trades.extend(sales.iter().filter_map(|(id, sale)| Some((sale.first()?.closed_at, *id))));
    trades.sort_unstable();

    let mut book = Book::default();
    for (_, id) in trades {
        if let Some(lot) = purchases.get(&id) {
            book.buy(lot.clone(), false)?;
            continue;
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
                is_taxable: true,
            };
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

fn sale_of(closing: &lot_closing::Model, quantity: Quantity, amount: Money) -> fill::Model {
    fill::Model {
        id: closing.fill_id,
        partner_id: closing.partner_id,
        account_id: closing.account_id,
        order_id: closing.fill_id,
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
    }
}
