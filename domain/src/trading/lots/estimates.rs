//! What a trade would do to lots if it were made now: the gains of a sale, wash sales, and the tax. Only reads.

use super::{Closed, Losses, close, disallow, losses_before, open_lots, opened, rules, sum, too_large};
use crate::{
    Result,
    kernel::{calendar::new_york_date, ids::Ids},
    trading::gains,
};
use chrono::NaiveDate;
use entity::{
    Money, Percent, Quantity, fill,
    lot_closing::{self, Term},
    order,
};
use rules::Candidate;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

/// Why a loss is, or can become, disallowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WashSaleCause {
    /// The sale follows a purchase of shares that replace those sold.
    EarlierPurchase,
    /// A purchase after the sale would replace the shares sold.
    LaterPurchase,
    /// The purchase replaces shares that were sold at a loss.
    EarlierSale,
}

/// A loss that a trade would disallow, or that later trades could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WashSale {
    pub cause: WashSaleCause,
    /// Number of shares sold at a loss that are or can be replaced.
    pub quantity: Quantity,
    /// Loss of these shares.
    pub loss: Money,
    /// Part of the loss that is lost for good, because the shares that replace those sold are in a retirement
    /// account.
    pub forfeited: Money,
    /// Last day of the 61 days around the sale, in New York.
    pub window_ends_on: NaiveDate,
}

/// What a sale would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleEstimate {
    /// The lots and what is sold of each, in the order in which they are sold.
    pub closings: Vec<lot_closing::Model>,
    pub wash_sales: Vec<WashSale>,
}

/// Returns what a sale would do with this fill. The lots with these ids are sold first.
pub async fn of_sale(
    ids: Ids,
    connection: &impl ConnectionTrait,
    order: &order::Model,
    named: &[Uuid],
    fill: &fill::Model,
) -> Result<SaleEstimate> {
    let open = open_lots(connection, order, new_york_date(fill.traded_at)).await?;
    let Closed { closings, .. } = close(ids, &open, order, named, fill)?;
    let closings: Vec<_> = closings.into_iter().map(|(closing, _)| closing).collect();
    let mut wash_sales = Vec::new();
    for closing in &closings {
        let replaced = closing.quantity.minus(closing.unreplaced_quantity).unwrap_or_default();
        if closing.disallowed.is_positive() {
            let cause = WashSaleCause::EarlierPurchase;
            add(&mut wash_sales, cause, closing, (replaced, closing.disallowed, closing.forfeited))?;
        }
        if closing.unreplaced_quantity.is_positive() {
            let loss = Money::ZERO.minus(gains::gain(closing)).ok_or_else(too_large)?;
            let rest = (closing.unreplaced_quantity, loss, Money::ZERO);
            add(&mut wash_sales, WashSaleCause::LaterPurchase, closing, rest)?;
        }
    }
    Ok(SaleEstimate { closings, wash_sales })
}

/// Returns the earlier losses that a purchase with this fill would disallow.
pub async fn of_purchase(
    ids: Ids,
    connection: &impl ConnectionTrait,
    order: &order::Model,
    fill: &fill::Model,
) -> Result<Vec<WashSale>> {
    let lot = opened(ids, order, fill, false);
    let Losses { sales: mut losses, splits, is_retirement } =
        losses_before(connection, lot.account_id, lot.instrument_id, lot.acquired_on).await?;
    let before = losses.clone();
    disallow(ids, &mut losses, &mut [Candidate { lot, is_retirement }], &splits)?;
    let mut wash_sales = Vec::new();
    for ((after, _), (before, _)) in losses.iter().zip(&before).filter(|(after, before)| after != before) {
        let change = (
            before.unreplaced_quantity.minus(after.unreplaced_quantity).unwrap_or_default(),
            after.disallowed.minus(before.disallowed).unwrap_or_default(),
            after.forfeited.minus(before.forfeited).unwrap_or_default(),
        );
        add(&mut wash_sales, WashSaleCause::EarlierSale, after, change)?;
    }
    Ok(wash_sales)
}

/// Adds shares, their loss, and the part of it that is lost for good to the wash sale with the same cause.
fn add(
    wash_sales: &mut Vec<WashSale>,
    cause: WashSaleCause,
    closing: &lot_closing::Model,
    (quantity, loss, forfeited): (Quantity, Money, Money),
) -> Result<()> {
    let window_ends_on = rules::wash_window(closing.closed_on).1;
    let Some(known) = wash_sales.iter_mut().find(|known| known.cause == cause) else {
        wash_sales.push(WashSale { cause, quantity, loss, forfeited, window_ends_on });
        return Ok(());
    };
    known.quantity = known.quantity.plus(quantity).ok_or_else(too_large)?;
    known.loss = sum([known.loss, loss])?;
    known.forfeited = sum([known.forfeited, forfeited])?;
    known.window_ends_on = Ord::max(known.window_ends_on, window_ends_on);
    Ok(())
}

/// Returns the tax on realized gains at the rates of short-term and long-term gains, rounded half up to the cent.
///
/// A loss of one term reduces the gain of the other, as on Schedule D; the tax is zero if a loss remains. Other
/// sales of the year do not count.
pub fn tax(closings: &[lot_closing::Model], short_rate: Percent, long_rate: Percent) -> Money {
    let gain_of = |term: Term| {
        let of_term = closings.iter().filter(|closing| closing.term == term);
        of_term.map(|closing| i128::from(gains::gain(closing).units())).sum::<i128>()
    };
    let (short, long) = (gain_of(Term::Short), gain_of(Term::Long));
    let (short, long) = (short + long.min(0), long + short.min(0));
    let tax = short.max(0) * i128::from(short_rate.units()) + long.max(0) * i128::from(long_rate.units());
    Money::from_units(i64::try_from((tax + 5_000) / 10_000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
