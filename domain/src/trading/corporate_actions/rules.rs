//! How a corporate action changes open orders and quantities: rules without input or output.

use crate::trading::{
    lots::rules::scaled,
    orders::{
        state::QUANTITY_STEP,
        ticks::{self, Rounding},
    },
};
use entity::{
    Price, Quantity, Rate,
    order::{self, OrderKind, Side},
};

/// What becomes of an open order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adjusted {
    Unchanged,
    Canceled,
    To(Box<order::Model>),
}

/// Returns an open order on the ex-date of a dividend (FINRA Rule 5330): the prices of limit orders to buy and of
/// stop and stop-limit orders to sell are reduced by the dividend for each share and rounded down to the tick. Others,
/// and stop orders whose price was reached, stay. An order whose price would not stay above zero is canceled.
pub fn on_dividend(order: &order::Model, symbol: &str, per_share: Rate) -> Adjusted {
    let is_reduced = match order.side {
        Side::Buy => order.kind == OrderKind::Limit,
        Side::Sell => order.kind.has_stop() && order.triggered_at.is_none(),
    };
    if !is_reduced {
        return Adjusted::Unchanged;
    }
    let reduced = |price: Price| {
        let millionths = i128::from(price.units()) * 100 - i128::from(per_share.units());
        ticks::round(symbol, millionths, 100, Rounding::Down)
    };
    with_prices(order, reduced, reduced)
}

/// Returns an open order on the ex-date of a split: its open quantity multiplied and rounded down to four decimals, its
/// prices divided and rounded to the tick: limits to buy and stops to sell down (FINRA Rule 5330), limits to sell and
/// stops to buy up, so that the customer never trades at a worse price than ordered. The filled quantity stays.
/// At most `most` shares are open then; an order of which none are left, or more than 64 bits can express, is canceled.
/// An order by amount keeps its terms.
pub fn on_split(
    order: &order::Model,
    symbol: &str,
    (new_shares, old_shares): (i64, i64),
    most: Option<Quantity>,
) -> Adjusted {
    if order.notional.is_some() {
        return Adjusted::To(Box::new(order.clone()));
    }
    let open = order.quantity.minus(order.filled_quantity).unwrap_or_default();
    let open = multiplied(open, (new_shares, old_shares), most).filter(|open| open.is_positive());
    let Some(quantity) = open.and_then(|open| order.filled_quantity.plus(open)) else {
        return Adjusted::Canceled;
    };
    let (for_limit, for_stop) = match order.side {
        Side::Buy => (Rounding::Down, Rounding::Up),
        Side::Sell => (Rounding::Up, Rounding::Down),
    };
    let divided = |rounding| {
        move |price: Price| {
            ticks::round(
                symbol,
                i128::from(price.units()) * i128::from(old_shares),
                new_shares.into(),
                rounding,
            )
        }
    };
    let order = order::Model { quantity, ..order.clone() };
    with_prices(&order, divided(for_limit), divided(for_stop))
}

/// Returns the open shares of an order after a split, rounded down to four decimals, and at most `most`; `None` if they
/// exceed 64 bits.
pub fn multiplied(
    open: Quantity,
    (new_shares, old_shares): (i64, i64),
    most: Option<Quantity>,
) -> Option<Quantity> {
    let open = match (scaled(open, new_shares, old_shares), most) {
        (Some(open), Some(most)) => Ord::min(open, most),
        (open, most) => open.or(most)?,
    };
    Some(Quantity::from_units(open.units() / QUANTITY_STEP * QUANTITY_STEP))
}

/// Shares of an account after a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// What the ratio makes of them, rounded down to a hundred-millionth of a share.
    pub exact: Quantity,
    /// What the account keeps: whole shares, or down to four decimals. The rest is paid in cash.
    pub kept: Quantity,
}

/// Hundred-millionths in one share.
const SHARE: i64 = 100_000_000;

/// Returns what a split makes of shares; `None` if that exceeds 64 bits.
pub fn split(
    quantity: Quantity,
    (new_shares, old_shares): (i64, i64),
    is_whole_shares: bool,
) -> Option<Split> {
    let exact = scaled(quantity, new_shares, old_shares)?;
    let step = if is_whole_shares { SHARE } else { QUANTITY_STEP };
    Some(Split { exact, kept: Quantity::from_units(exact.units() / step * step) })
}

fn with_prices(
    order: &order::Model,
    limit: impl Fn(Price) -> Option<Price>,
    stop: impl Fn(Price) -> Option<Price>,
) -> Adjusted {
    let (limit_price, stop_price) = (order.limit_price.map(limit), order.stop_price.map(stop));
    if limit_price == Some(None) || stop_price == Some(None) {
        return Adjusted::Canceled;
    }
    Adjusted::To(Box::new(order::Model {
        limit_price: limit_price.flatten(),
        stop_price: stop_price.flatten(),
        ..order.clone()
    }))
}

#[cfg(test)]
mod tests;
