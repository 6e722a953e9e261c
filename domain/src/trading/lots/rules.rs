//! Rules of tax lots, without input or output: which lots a sale closes, how long shares were held, and which
//! losses are disallowed as wash sales.

use crate::trading::basis::{self, Split};
use chrono::{Datelike, Days, Months, NaiveDate};
use entity::{
    Money, Price, Quantity,
    lot_closing::{self, Term},
    tax_lot::{self, LotMethod},
};
use std::cmp::{Ordering, Reverse};
use uuid::Uuid;

/// Days before and after a sale at a loss within which a purchase replaces the shares (26 U.S.C. 1091: 30 days).
pub const WASH_DAYS: u64 = 30;

/// Returns the first day on which a sale of shares with this acquisition date is long-term.
///
/// The holding period begins on the day after the acquisition and must exceed one year (26 U.S.C. 1222), so that is
/// the day after the anniversary. For shares acquired on the last day of a month it is the first day of the 13th
/// month after (Rev. Rul. 66-7): acquired on 2023-02-28, long-term from 2024-03-01.
pub fn long_term_from(held_since: NaiveDate) -> NaiveDate {
    let day_after = |day: NaiveDate| day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    let next = day_after(held_since);
    let is_last_of_month = next.day() == 1;
    let year_later = |day: NaiveDate| day.checked_add_months(Months::new(12)).unwrap_or(NaiveDate::MAX);
    if is_last_of_month { year_later(next) } else { day_after(year_later(held_since)) }
}

/// Returns whether shares held since one day and sold on another were held for more than a year.
pub fn term(held_since: NaiveDate, sold_on: NaiveDate) -> Term {
    if sold_on >= long_term_from(held_since) { Term::Long } else { Term::Short }
}

/// Returns the first and the last day on which a purchase replaces shares that were sold at a loss on this day.
pub fn wash_window(sold_on: NaiveDate) -> (NaiveDate, NaiveDate) {
    let days = Days::new(WASH_DAYS);
    (
        sold_on.checked_sub_days(days).unwrap_or(NaiveDate::MIN),
        sold_on.checked_add_days(days).unwrap_or(NaiveDate::MAX),
    )
}

/// Splits an amount in proportion to weights, so that the parts add up to it: each part is rounded down, and the
/// remaining cents go to the parts with the largest remainders, the first ones if equal.
pub fn split(total: Money, weights: &[i64]) -> Vec<Money> {
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if sum <= 0 {
        return weights.iter().map(|_| Money::ZERO).collect();
    }
    let exact = |weight: &i64| i128::from(total.units()) * i128::from(*weight);
    let mut parts: Vec<i128> = weights.iter().map(|weight| exact(weight).div_euclid(sum)).collect();
    let rest = i128::from(total.units()) - parts.iter().sum::<i128>();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder
        .sort_by_key(|at| Reverse(weights.get(*at).map_or(0, |weight| exact(weight).rem_euclid(sum))));
    for at in by_remainder.into_iter().take(usize::try_from(rest).unwrap_or(0)) {
        if let Some(part) = parts.get_mut(at) {
            *part += 1;
        }
    }
    parts.into_iter().map(|part| Money::from_units(i64::try_from(part).unwrap_or(i64::MAX))).collect()
}

/// Returns a quantity after a split, rounded down to a hundred-millionth of a share; `None` if it exceeds 64 bits.
pub fn scaled(quantity: Quantity, new_shares: i64, old_shares: i64) -> Option<Quantity> {
    let exact = i128::from(quantity.units()) * i128::from(new_shares) / i128::from(old_shares.max(1));
    i64::try_from(exact).ok().map(Quantity::from_units)
}

/// Splits a quantity in proportion to weights by largest remainder, so that the parts add up to it. No part is less
/// than a hundred-millionth of a share, which the sum may then exceed.
pub fn parts(total: Quantity, weights: &[i64]) -> Vec<i64> {
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let exact = |weight: &i64| i128::from(total.units()) * i128::from(*weight);
    let mut parts: Vec<i64> =
        weights.iter().map(|weight| i64::try_from(exact(weight) / sum.max(1)).unwrap_or(i64::MAX)).collect();
    let rest = total.units() - parts.iter().sum::<i64>();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|at| Reverse(weights.get(*at).map_or(0, |weight| exact(weight) % sum.max(1))));
    for at in by_remainder.into_iter().take(usize::try_from(rest).unwrap_or(0)) {
        if let Some(part) = parts.get_mut(at) {
            *part += 1;
        }
    }
    parts.into_iter().map(|part| part.max(1)).collect()
}

/// Compares the basis of one share of two lots.
fn by_unit_basis(one: &tax_lot::Model, other: &tax_lot::Model) -> Ordering {
    let scaled = |lot: &tax_lot::Model, by: &tax_lot::Model| {
        i128::from(lot.open_basis.units()) * i128::from(by.open_quantity.units())
    };
    scaled(one, other).cmp(&scaled(other, one))
}

/// Compares the price of one share with the basis of one share of a lot.
fn price_to_basis(price: Price, lot: &tax_lot::Model) -> Ordering {
    // Cents per hundred-millionth of a share against ten-thousandths of a dollar per share.
    let worth = i128::from(price.units()) * i128::from(lot.open_quantity.units());
    worth.cmp(&(i128::from(lot.open_basis.units()) * 10_000_000_000))
}

/// Returns the place of a lot in the order of the least tax: losses before gains, of losses the short-term ones
/// first, of gains the long-term ones.
fn tax_rank(lot: &tax_lot::Model, price: Price, sold_on: NaiveDate) -> u8 {
    match (price_to_basis(price, lot).is_lt(), term(lot.held_since, sold_on)) {
        (true, Term::Short) => 0,
        (true, Term::Long) => 1,
        (false, Term::Long) => 2,
        (false, Term::Short) => 3,
    }
}

/// Returns the open lots of a position in the order in which a sale closes them. `named` are the lots that an order
/// names; what they do not cover comes from the others, oldest first.
pub fn in_order<'a>(
    lots: impl IntoIterator<Item = &'a tax_lot::Model>,
    method: LotMethod,
    named: &[Uuid],
    price: Price,
    sold_on: NaiveDate,
) -> Vec<&'a tax_lot::Model> {
    let mut lots: Vec<_> = lots.into_iter().filter(|lot| lot.open_quantity.is_positive()).collect();
    lots.sort_by_key(|lot| (lot.opened_at, lot.id));
    match method {
        LotMethod::Fifo => {}
        LotMethod::Lifo => lots.reverse(),
        LotMethod::Hifo => lots.sort_by(|one, other| by_unit_basis(other, one)),
        LotMethod::MinTax => lots.sort_by(|one, other| {
            tax_rank(one, price, sold_on)
                .cmp(&tax_rank(other, price, sold_on))
                .then_with(|| by_unit_basis(other, one))
        }),
        LotMethod::Specific => {
            lots.sort_by_key(|lot| named.iter().position(|id| *id == lot.id).unwrap_or(usize::MAX));
        }
    }
    lots
}

/// A fill that sells shares.
#[derive(Clone, Copy, Debug)]
pub struct Sale<'a> {
    pub fill: &'a entity::fill::Model,
    pub instrument_id: Uuid,
    /// Trade date in New York.
    pub on: NaiveDate,
    /// Whether losses of the account count for taxes.
    pub is_taxable: bool,
}

/// Closes lots in this order. Returns what was closed and the lots after it; `None` if the lots have fewer shares
/// than were sold.
///
/// The proceeds are divided by largest remainder; a lot that is closed in part keeps its share of the basis, rounded
/// half up to the cent. So the cents of the parts add up exactly.
pub fn close(
    lots: &[&tax_lot::Model],
    sale: Sale<'_>,
    mut next_id: impl FnMut() -> Uuid,
) -> Option<Vec<(tax_lot::Model, lot_closing::Model)>> {
    let mut left = sale.fill.quantity;
    let mut taken = Vec::new();
    for lot in lots {
        if !left.is_positive() {
            break;
        }
        let quantity = Ord::min(left, lot.open_quantity);
        left = left.minus(quantity)?;
        taken.push((*lot, quantity));
    }
    if left.is_positive() {
        return None;
    }
    let weights: Vec<i64> = taken.iter().map(|(_, quantity)| quantity.units()).collect();
    let proceeds = split(sale.fill.net_amount(), &weights);
    let closed = taken.into_iter().zip(proceeds).map(|((lot, quantity), proceeds)| {
        let open_quantity = lot.open_quantity.minus(quantity)?;
        let open_basis = lot.open_basis.share(open_quantity.units(), lot.open_quantity.units())?;
        let basis = lot.open_basis.minus(open_basis)?;
        let is_loss = sale.is_taxable && proceeds < basis;
        let closing = lot_closing::Model {
            id: next_id(),
            partner_id: lot.partner_id,
            account_id: lot.account_id,
            instrument_id: sale.instrument_id,
            lot_id: lot.id,
            fill_id: Some(sale.fill.id),
            entitlement_id: None,
            quantity,
            proceeds,
            basis,
            disallowed: Money::ZERO,
            forfeited: Money::ZERO,
            unreplaced_quantity: if is_loss { quantity } else { Quantity::ZERO },
            held_since: lot.held_since,
            term: term(lot.held_since, sale.on),
            closed_at: sale.fill.traded_at,
            closed_on: sale.on,
        };
        Some((tax_lot::Model { open_quantity, open_basis, ..lot.clone() }, closing))
    });
    closed.collect()
}

/// A lot that was bought near a sale at a loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub lot: tax_lot::Model,
    /// Whether the lot is in a retirement account, where a loss that it replaces is lost for good (Rev. Rul.
    /// 2008-5).
    pub is_retirement: bool,
}

/// Disallows losses as far as the open shares of the candidates replace the shares that were sold (26 U.S.C. 1091),
/// and returns the parts that were split off from lots of which only some shares replace others.
///
/// A purchase from the 30th day before to the 30th day after the sale replaces; the shares are matched in the
/// order of sales and of purchases, and each replaces at most one. Shares that were bought before the sale by the
/// same order as those sold are no replacement (Rev. Rul. 56-602). The disallowed loss is added to the basis of the
/// replacing shares, and their holding period is prolonged by that of the shares sold.
///
/// `losses` are given with the purchase of the shares sold, in the order of the sales; `candidates` in any order.
/// Quantities are compared in shares of today: those of a sale before some of the `splits` are converted.
/// `None` if an amount exceeds 64 bits.
pub fn disallow(
    losses: &mut [(lot_closing::Model, Uuid)],
    candidates: &mut [Candidate],
    splits: &[Split],
    mut next_id: impl FnMut() -> Uuid,
) -> Option<Vec<Candidate>> {
    candidates.sort_by_key(|candidate| (candidate.lot.opened_at, candidate.lot.id));
    let mut parts = Vec::new();
    for (loss, purchase_id) in losses {
        let (first, last) = wash_window(loss.closed_on);
        for candidate in &mut *candidates {
            let lot = &mut candidate.lot;
            let is_replacement = lot.replaces_id.is_none()
                && (lot.purchase_id != *purchase_id || lot.opened_at > loss.closed_at)
                && (first..=last).contains(&lot.acquired_on);
            if !is_replacement {
                continue;
            }
            let sale = (loss.closed_at, loss.id);
            // What exceeds 64 bits is more than any lot has.
            let unreplaced = basis::quantity(splits, loss.unreplaced_quantity, sale);
            let quantity = unreplaced.map_or(lot.open_quantity, |left| Ord::min(left, lot.open_quantity));
            // In shares of the sale.
            let replaced = if unreplaced == Some(quantity) {
                loss.unreplaced_quantity
            } else {
                basis::quantity_at(splits, quantity, sale)?
            };
            if !quantity.is_positive() || !replaced.is_positive() {
                continue;
            }
            if quantity == lot.open_quantity {
                replace(loss, lot, replaced, candidate.is_retirement)?;
            } else {
                let mut part = split_off(lot, quantity, next_id())?;
                replace(loss, &mut part, replaced, candidate.is_retirement)?;
                parts.push(Candidate { lot: part, is_retirement: candidate.is_retirement });
            }
        }
    }
    Some(parts)
}

/// Splits shares off a lot with their part of its cost. The lot keeps the shares already sold.
fn split_off(lot: &mut tax_lot::Model, quantity: Quantity, id: Uuid) -> Option<tax_lot::Model> {
    let rest = lot.open_quantity.minus(quantity)?;
    let rest_basis = lot.open_basis.share(rest.units(), lot.open_quantity.units())?;
    let cost = lot.open_basis.minus(rest_basis)?;
    // Before a split these are the shares themselves.
    let bought = i128::from(lot.bought_quantity.units()) * i128::from(quantity.units());
    let bought = bought.checked_div(i128::from(lot.quantity.units()))?;
    let bought_quantity = Quantity::from_units(i64::try_from(bought).ok()?);
    let part = tax_lot::Model {
        id,
        bought_quantity,
        quantity,
        cost,
        open_quantity: quantity,
        open_basis: cost,
        wash_adjustment: Money::ZERO,
        ..lot.clone()
    };
    lot.quantity = lot.quantity.minus(quantity)?;
    lot.bought_quantity = lot.bought_quantity.minus(bought_quantity)?;
    lot.cost = lot.cost.minus(cost)?;
    (lot.open_quantity, lot.open_basis) = (rest, rest_basis);
    Some(part)
}

/// Lets all open shares of a lot replace so many shares that were sold at a loss.
fn replace(
    loss: &mut lot_closing::Model,
    lot: &mut tax_lot::Model,
    quantity: Quantity,
    is_retirement: bool,
) -> Option<()> {
    loss.unreplaced_quantity = loss.unreplaced_quantity.minus(quantity)?;
    let replaced = loss.quantity.minus(loss.unreplaced_quantity)?;
    let disallowed = loss.basis.minus(loss.proceeds)?.share(replaced.units(), loss.quantity.units())?;
    let moved = disallowed.minus(loss.disallowed)?;
    loss.disallowed = disallowed;
    lot.replaces_id = Some(loss.id);
    if is_retirement {
        loss.forfeited = loss.forfeited.plus(moved)?;
        return Some(());
    }
    lot.wash_adjustment = lot.wash_adjustment.plus(moved)?;
    lot.open_basis = lot.open_basis.plus(moved)?;
    let held = loss.closed_on.signed_duration_since(loss.held_since);
    lot.held_since = lot.acquired_on.checked_sub_signed(held).unwrap_or(lot.held_since);
    Some(())
}

#[cfg(test)]
mod tests;
