//! Works out lots and realized gains from trades, without input or output: for what brokers report, which look at
//! the purchases of one account only, and for tests.

use super::rules::{self, Candidate, Sale};
use entity::{lot_closing, tax_lot};
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
